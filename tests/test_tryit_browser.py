"""Answers run on the page get the verdicts of the notebook, and nothing that is typed there does harm.

A page with the scripts and the exercises alone, opened as a file; part of `make test-browser`.
"""

import contextlib
import json
import math
import random
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import page_fuzz
import page_runs
import tryit
from browser import missing
from coursekit.autograder import diagnosis, rules
from coursekit.autograder.book import answers, chapters
from coursekit.autograder.outcome import Outcome
from coursekit.autograder.verdict import Known, judge, outcome
from coursekit.exercises import EXERCISES
from page_answers import ANSWERS
from page_runs import RUNS, by_python, same, same_text
from page_slips import CALLS, ERRORS, FORGED, HOSTILE, LATE, NEWER, PYTHON, SLIPS, UNJUDGED, VALUES, body

ROOT = Path(__file__).parent.parent

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(missing()), reason=missing())]
SOLUTIONS = {i: source for path in chapters(ROOT / "book").values() for i, source in answers(path).items()}
# Runs code on cases of our own; gives what the worker told of each.
TOLD = """async ([code, calls]) => {
    const some = coursekitTry.exercises["start.advantage"];
    await coursekitTry.warm();
    let told;
    const spy = coursekitTry.judge;
    coursekitTry.judge = (exercise, outcomes) => { told = outcomes; return {status: "told"} };
    coursekitTry.add({probe: {...some, id: "probe", function: "probe", cases: calls.map(c => ({arguments: c}))}});
    const {lines} = await coursekitTry.run("probe", code);
    coursekitTry.judge = spy;
    return told || lines}"""
GIVEN = "def probe(value): return value"
JUDGE = """runs => Promise.all(runs.map(([id, outcomes]) =>
    coursekitTry.judge(coursekitTry.exercises[id], outcomes, '')))"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A page with the engine and all exercises."""
    return page_runs.build(tmp_path_factory.mktemp("site"))


@contextlib.contextmanager
def opened(site, context, *, recycle):
    page = context.new_page()
    page.faults, page.requests = [], []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda m: page.faults.append(m.text) if m.type in ("error", "warning") else None)
    page.goto(site)
    if recycle:
        page.evaluate(page_runs.RECYCLE)
    page.evaluate("coursekitTry.warm().then(() => null)")
    page.on("request", lambda r: page.requests.append(r.url) if not r.url.startswith("blob:") else None)
    yield page
    page.close()
    assert page.faults == [] and page.requests == []


@pytest.fixture(scope="module")
def tried(site, context):
    """The page as it is: each answer in a worker of its own."""
    with opened(site, context, recycle=False) as page:
        yield page


@pytest.fixture(scope="module")
def quick(site, context):
    """The page with workers that are used again: for answers that do no harm."""
    with opened(site, context, recycle=True) as page:
        yield page


def run(page, *runs):
    """The results of (id, code) or (id, code, options), one after the other."""
    return page.evaluate(RUNS, [list(r) for r in runs])


def report(different):
    return f"{len(different)} differ: " + json.dumps(different[:4], indent=1, ensure_ascii=False)


def test_every_solution_is_right_on_the_page(quick):
    results = run(quick, *SOLUTIONS.items())
    assert len(results) == len(EXERCISES)
    for (i, code), result in zip(SOLUTIONS.items(), results):
        assert same(result, by_python(i, code)[0]) is True and result["status"] == "correct"


def test_answers_as_people_write_them_get_the_same_verdict(quick):
    written = [(i, code) for i, codes in ANSWERS.items() for code in codes]
    results = run(quick, *written)
    different = []
    for (i, code), result in zip(written, results):
        verdict, printed = by_python(i, code)
        if same(result, verdict) is not True or not same_text(result["printed"], printed):
            different.append((code, same(result, verdict), result["printed"], printed))
    assert not different, report(different)
    assert len(written) > 60 and sum(r["status"] == "wrong" for r in results) > 10


def test_every_mistake_and_a_sample_of_pairs_have_the_same_verdict(quick):
    runs, verdicts = [], []
    for exercise in EXERCISES.values():
        cases = exercise.cases(0)
        for function in [*(m.function for m in exercise.mistakes), *(f for _, _, f in exercise.pairs[::20])]:
            values = [outcome(function, case) for case in cases]
            runs.append([exercise.id, [dict(type=v[2], text="no") if v[0] == "e" else dict(value=tryit.as_data(v))
                                       for v in values]])
            verdicts.append(judged(exercise, cases, values))
    compared = [same(result, verdict) for result, verdict in zip(quick.evaluate(JUDGE, runs), verdicts)]
    assert not (different := [c for c in compared if c is not True]), report(different)
    assert len(verdicts) > 350


def judged(exercise, cases, values):
    """Our verdict on values of shown.py."""
    found = diagnosis.judge(Known(exercise, cases), [
        dict(error=f"{v[2]}: no") if v[0] == "e" else dict(value=v) for v in values])
    return SimpleNamespace(**found)


def made(kind, shape, numbers):
    return np.array(numbers, {"b": bool, "i": int, "f": float}[kind]).reshape(shape)


def test_every_kind_of_value_has_the_same_verdict(quick):
    """Each value as the answer to exercises that want an array, a tuple, a number, a text, flags."""
    told = quick.evaluate(TOLD, [GIVEN, [f"[{v}]" for v in VALUES]])
    runs, verdicts = [], []
    for i in ("gae.targets", "td.error", "td.error_parts", "ppo.diagnosis", "gae_at_work.valid", "rm.loss",
              "ppo.kl", "credit.responsible", "ppo.update"):
        cases = EXERCISES[i].cases(0)
        for text, came in zip(VALUES, told):
            value = eval(text, {"array": made, "nan": math.nan, "inf": math.inf})
            runs.append([i, [came] * len(cases)])
            verdicts.append((text, judge(EXERCISES[i], cases, [Outcome(value=value)] * len(cases))))
    different = [(text, told) for result, (text, verdict) in zip(quick.evaluate(JUDGE, runs), verdicts)
                 if (told := same(result, verdict)) is not True]
    assert not different, report(different)


def floats():
    """A thousand: computed ones of all sizes, short ones, odd ones."""
    draw = random.Random(0)
    computed = [draw.gauss(0, 1) * 10.0 ** draw.randint(-20, 20) for _ in range(500)]
    short = [round(draw.uniform(-100, 100), draw.randint(0, 8)) for _ in range(490)]
    return computed + short + [0.0, -0.0, 1e16, 9e15, 1e-4, 1e-5, 1e22, 1e23, math.inf, math.nan]


def test_a_thousand_floats_are_printed_as_python_prints_them(quick):
    values = floats()
    parts = [values[k:k + 150] for k in range(0, len(values), 150)]
    code = "inf, nan = np.inf, np.nan\nx = {}\nfor y in x[::2]:\n    print(y)\n" \
        "print([y for y in x[1::4]])\nfor y in x[3::4]:\n    print(f'{{y}}')\ndef advantage(q_values, policy): pass"
    printed = "".join(r["printed"] for r in run(quick, *(("start.advantage", code.format(part)) for part in parts)))
    wanted = [str(x) for part in parts for x in part[::2] + part[1::4] + part[3::4]]
    assert printed.replace("[", "").replace("]", "").replace(",", "").split() == wanted and len(wanted) == 1000


def test_formatted_floats_are_pythons(quick):
    values = [x for x in floats() if abs(x) < 1e6]
    code = "def probe(value): return [f'{x:.3f} {x:.4g} {x:8.2e} {x:.0%}' for x in value]"
    told = quick.evaluate(TOLD, [code, [f"[{values[k:k + 50]}]" for k in range(0, len(values), 50)]])
    texts = [text for outcome in told for _, _, text in outcome["value"][2]]
    assert texts == [f"{x:.3f} {x:.4g} {x:8.2e} {x:.0%}" for x in values] and len(texts) > 700


def test_a_stub_is_not_attempted(quick):
    stubs = quick.evaluate("Object.entries(coursekitTry.exercises).map(([id, e]) => [id, e.stub])")
    some = [(i, stub) for i, stub in stubs if i in SOLUTIONS][::6]
    assert len(some) > 5  # a sample of every chapter
    for (i, _), result in zip(some, run(quick, *some)):
        assert result["status"] == "not attempted" and result["lines"] == [f"○ {i}: not attempted"]


def test_errors_read_like_pythons(quick):
    """One line, with the line of the reader's source where the error rose in it."""
    wanted = [f"{error} (your line 3)" for error in ERRORS.values()] + list(CALLS.values())
    codes = [body("pass", line) for line in ERRORS] + list(CALLS)
    results = run(quick, *(("start.advantage", code) for code in codes))
    assert [r["lines"][2].removeprefix("  got      ") for r in results] == wanted


def test_a_slip_is_told_with_its_line(quick):
    results = run(quick, *(("start.advantage", code) for code in SLIPS))
    assert [r["lines"] for r in results] == [[wanted] for wanted in SLIPS.values()]
    assert {r["status"] for r in results} == {"error"}


def test_python_is_never_called_a_slip(quick):
    with warnings.catch_warnings(action="ignore"):  # 1if
        for piece in PYTHON:
            compile(piece, "piece", "exec")
    first, different = "raise ValueError('here')\n", []
    pieces = [*PYTHON, *NEWER]
    for piece, result in zip(pieces, run(quick, *(("start.advantage", first + piece) for piece in pieces))):
        if result["status"] != "unjudged" and result["lines"] != ["ValueError: here (your line 1)"]:
            different.append((piece, result["lines"]))
    assert not different, report(different)


def test_what_the_page_lacks_is_no_mistake(quick):
    """Nothing is counted as wrong, nothing is expected, and the line says what is lacking and where."""
    for (code, wanted), result in zip(UNJUDGED.items(), run(quick, *(("start.advantage", c) for c in UNJUDGED))):
        assert result["lines"] == [rules.UNJUDGED.format(wanted)], code
        assert (result["status"], result["passed"], result["misconception"]) == ("unjudged", 0, None), code


def test_answers_from_a_grammar_come_to_the_same(quick):
    """A sample; `python tests/page_fuzz.py 5000` takes more."""
    found = list(page_fuzz.compared(quick, list(page_fuzz.written(100, seed="tests"))))
    assert not (different := [d for _, d in found if d]), report(different)
    assert sum(how == "same" for (_, how), _ in found) > 90


def test_hostile_answers_end_in_one_readable_line(tried):
    results = run(tried, *(("start.advantage", code, {"seconds": 1} if wanted == LATE else {})
                           for code, wanted in HOSTILE))
    for result in results:
        text = "\n".join(result["lines"])
        assert result["status"] in ("wrong", "error") and result["passed"] == 0, text
        assert len(text.split("\n")) == len(result["lines"]) in (1, 4, 5) and "Traceback" not in text, text
        assert len(max(result["lines"], key=len)) < 250 and len(result["printed"]) < 5100, text
    strange = [(code, r["lines"]) for (code, wanted), r in zip(HOSTILE, results) if wanted not in str(r["lines"])]
    assert not strange, report(strange)
    after, = run(tried, ("start.advantage", SOLUTIONS["start.advantage"]))
    assert after["status"] == "correct"


@pytest.mark.parametrize("what", FORGED)
def test_an_honest_answer_survives_other_names(tried, what):
    result, = run(tried, ("start.advantage", FORGED[what] + body("return q_values - (policy * q_values).sum()")))
    assert result["status"] == "correct" and len(result["lines"]) == 1
    wrong, = run(tried, ("start.advantage", FORGED[what] + body("return 3.5")))
    assert wrong["status"] == "wrong"


def test_what_is_printed_is_cut(tried):
    code = body("print('a' * 4000)", "print('b' * 4000)", "print('c')", "return q_values - policy @ q_values")
    result, = run(tried, ("start.advantage", code))
    assert result["status"] == "correct"
    assert result["printed"] == "a" * 4000 + "\n" + "b" * 999 + "\n… (the rest is left out)\n"


def test_an_endless_loop_keeps_what_it_printed(tried):
    result, = run(tried, ("start.advantage", body("print('here')", "while True: pass"), {"seconds": 1}))
    assert result["printed"] == "here\n"


def test_a_run_can_be_stopped(tried):
    """Its worker is ended, and no other: the judge and the next one wait."""
    result, ended = tried.evaluate("""async code => {
        const terminate = Worker.prototype.terminate;
        let ended = 0;
        Worker.prototype.terminate = function () { ended += 1; terminate.call(this); };
        const run = coursekitTry.run("start.advantage", code);
        setTimeout(() => coursekitTry.stop(), 500);
        const result = await run;
        Worker.prototype.terminate = terminate;
        return [result, ended]}""", body("while True: pass"))
    assert (result["status"], result["lines"]) == ("stopped", ["Stopped."]) and ended == 1


def test_a_worker_has_nothing_to_ask_the_network_with(tried):
    """The worker's own script, and behind it a question that only JavaScript could put."""
    names = tried.evaluate("""async () => {
        const {loader, wasm} = coursekitTry.micropython, {worker, files} = coursekitTry.parts;
        const asked = `;onmessage = async ({data}) => { await prepare(data);
            post({left: FORBIDDEN.filter(name => self[name] !== undefined && name !== "Function").concat(
                (() => 0).constructor ? ["constructor"] : [])}) }`;
        const start = `async function loader() { let process; ${loader}\\nreturn loadMicroPython; }\\n`;
        const made = new Worker(URL.createObjectURL(new Blob([start + worker + asked])));
        const bytes = Uint8Array.from(atob(wasm), c => c.charCodeAt(0));
        return await new Promise(done => {
            made.onmessage = ({data}) => data.left && done(data.left);
            made.postMessage({wasm: bytes, files})})}""")
    assert names == []
