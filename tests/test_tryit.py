"""What the build writes for the page's editor: the registry's cases, in scripts that a file can load."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from docutils import nodes
from docutils.utils import new_document

import names
import small_judge
import tryit
import vendor_tryit
from browser import NPM
from coursekit.autograder import diagnosis, rules, shown
from coursekit.autograder.verdict import Known, inputs_of, outcome
from coursekit.exercises import EXERCISES

ROOT = Path(__file__).parent.parent
TRY = ROOT / "book" / "_static" / "try"


KINDS = {"b": bool, "i": int, "f": float}
SCOPE = {"nan": np.nan, "inf": np.inf,
         "array": lambda kind, shape, numbers: np.array(numbers, KINDS[kind]).reshape(shape)}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("try")
    tryit.write(ROOT / "book", folder)
    return folder


@pytest.fixture(scope="module")
def exercises(written):
    found = {}
    for path in sorted((written / "exercises").glob("*.js")):
        found |= json.loads(re.fullmatch(r"coursekitTry\.add\((.*)\);\n", path.read_text(), re.S)[1])
    return found


def test_every_exercise_of_the_registry_is_there(exercises):
    assert sorted(exercises) == sorted(EXERCISES)
    for i, e in EXERCISES.items():
        data = exercises[i]
        assert (data["points"], tuple(data["hints"])) == (e.points, e.hints)
        assert data["signature"].startswith(f"{e.function}(") and f"def {e.function}(" in data["stub"]


def test_the_cases_are_those_of_check(exercises):
    """The arguments are the same to the last bit."""
    for i, e in EXERCISES.items():
        cases = e.cases(0)
        assert exercises[i]["known"]["labels"] == [c.label for c in cases]
        for data, case in zip(exercises[i]["cases"], cases):
            for got, wanted in zip(eval(data["arguments"], SCOPE), inputs_of(case), strict=True):
                assert type(got) is type(wanted) and np.asarray(got).dtype == np.asarray(wanted).dtype
                np.testing.assert_array_equal(got, wanted)


@pytest.fixture(scope="module")
def known(exercises):
    """{id: (what the page's judge knows, what ours does)}"""
    return {i: (small_judge.Known(json.loads(json.dumps(exercises[i]["known"]))), Known(e, e.cases(0)))
            for i, e in EXERCISES.items()}


def test_the_page_knows_what_check_knows(known):
    for i, (theirs, ours) in known.items():
        assert theirs.mistakes == ours.mistakes and theirs.calls == ours.calls, i
        assert theirs.facts == ours.facts and theirs.places == ours.places, i
        for k in range(len(ours.cases)):
            assert shown.agree(theirs.expected[k], ours.expected[k], 1e-11), i
            assert shown.text(theirs.expected[k], 8) == shown.text(ours.expected[k], 8), i
            assert list(theirs.inputs[k]) == list(ours.inputs[k]), i
            for name, value in ours.inputs[k].items():
                assert value[0] == "s" or shown.agree(theirs.inputs[k][name], value, 1e-11), (i, name)
            for m in range(len(ours.mistakes)):
                assert shown.agree(theirs.outcome(m, k), ours.outcome(m, k), 1e-11), (i, ours.mistakes[m])


@pytest.mark.slow
def test_the_page_judges_mistakes_as_check_does(known):
    """Every single one, and a sample of pairs; the same rules, but the page knows pairs by their signatures."""
    for theirs, ours in known.values():
        pairs = ours.exercise.pairs[::7]
        for function in [*(m.function for m in ours.exercise.mistakes), *(f for _, _, f in pairs)]:
            values = [outcome(function, case) for case in ours.cases]
            outcomes = [dict(error=f"{v[2]}: no") if v[0] == "e" else dict(value=v) for v in values]
            assert diagnosis.judge(theirs, outcomes) == diagnosis.judge(ours, outcomes)


def test_what_the_first_cell_of_a_chapter_imports_is_at_hand(exercises):
    update, clip = exercises["ppo.update"], exercises["start.clip"]
    assert update["imports"]["gae"] == "coursekit.advantages.gae" and update["imports"]["np"] == "numpy"
    assert exercises["gae.recursion"]["imports"]["partial"] == "functools.partial" and "gae" not in clip["imports"]
    assert not any("math" in e["imports"] for e in exercises.values())


def test_names_that_earlier_cells_of_the_chapter_make_are_known(exercises):
    """An answer that uses one may be right in the notebook."""
    assert {"td_errors", "np", "chains"} <= set(exercises["td.mc_returns"]["earlier"])
    made, imported = (set(exercises["gae.recursion"][key]) for key in ("earlier", "imports"))
    assert made > imported


def test_the_refusals_are_those_of_check(exercises):
    assert "advantages.gae" in exercises["gae.recursion"]["refuses"] and exercises["ppo.update"]["refuses"] == []


@pytest.mark.slow
def test_two_builds_write_the_same(written, tmp_path):
    tryit.write(ROOT / "book", tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes()


def test_a_workers_parts_are_the_committed_files(written):
    text = (written / "parts.js").read_text()
    parts = json.loads(text.removeprefix("coursekitTry.parts = ").removesuffix(";\n"))
    assert parts["worker"] == (TRY / "worker.js").read_text()
    shared = {f"coursekit/{name}": (ROOT / "src" / "coursekit" / name).read_text() for name in tryit.RULES}
    made = parts["files"].pop("small_names.py")
    assert parts["files"] == {p.name: p.read_text() for p in TRY.glob("small_*.py")} | shared
    assert made == names.source() and parts["unjudged"] == rules.UNJUDGED


def test_the_page_knows_what_the_real_modules_have():
    """Every public name; and the parameters of what the page has, in numpy's order, none required missing."""
    space = {}
    exec(names.source(), space)
    modules, parameters = space["TABLES"]["MODULES"], space["TABLES"]["PARAMETERS"]
    for module, name in (("numpy", "einsum"), ("numpy.linalg", "eig"), ("itertools", "groupby")):
        assert name in modules[module].split(" ")
    assert parameters["numpy.sum"] == "a axis= dtype= out!None keepdims= initial= where="
    assert parameters["numpy.average"].split()[:3] == ["a", "axis=", "weights="]
    assert parameters["ndarray.sum"].startswith("a / axis= dtype= out!None")
    for name, told in parameters.items():
        required = [w for w in told.split() if w.endswith("!")]
        assert not required, (name, told)
    for name, told in parameters.items():  # what ours takes and the real one does not would let a mistake pass
        if name.startswith("numpy.") and (real := names.signature(getattr(np, name[6:], None))):
            known = {p.name for p in real} | {"x0", "x1", "a", "b", "start", "array"}
            if not any(p.kind is p.VAR_KEYWORD for p in real):
                assert {re.split("[=!]", w)[0] for w in told.split() if w not in "/*"} <= known | {"shape"}, name


def test_what_the_page_says_as_check_does_stands_in_none_of_its_scripts():
    names = ("engine.js", "words.js", "page.js", "progress.js", "small_runner.py", "small_judge.py")
    text = "".join((TRY / name).read_text() for name in names)
    limits = rules.MAX_ITEMS, rules.MAX_TEXT, rules.MAX_ERROR, rules.PAGE["printed"]
    for word in (rules.LATE.split("{}")[1], *rules.SIGNS.values(), *map(str, limits)):
        assert not re.search(rf"(?<!\d){re.escape(word)}(?!\d)", text.replace("* 1000", "")), word
    mark, = re.findall(r'"(\S+) solved"', (TRY.parent / "course.js").read_text())  # before all else is loaded
    assert mark == rules.SIGNS["correct"]


def test_the_pages_scripts_get_their_limits_from_the_rules(written):
    parts = json.loads((written / "parts.js").read_text().removeprefix("coursekitTry.parts = ").removesuffix(";\n"))
    scripts = (TRY / "engine.js").read_text() + (TRY / "words.js").read_text()
    for name, limit in (("error", rules.MAX_ERROR), ("seconds", 10), ("printed", 5000), ("late", rules.LATE)):
        assert parts[name] == limit and f"coursekitTry.parts.{name}" in scripts, name


def test_a_check_cell_tells_the_page_its_exercise():
    doctree = new_document("page")
    for source in ('check("gae.targets", targets)', "check(  'td.bias', bias)", 'print("no check(\\"x.y\\")")'):
        doctree += nodes.container("", nodes.literal_block(source, source), classes=["cell", "tag_check"])
    tryit.name_checks(None, doctree)
    added = [cell["classes"][2:] for cell in doctree.children]
    assert added == [["exercise-gae.targets"], ["exercise-td.bias"], []]


def test_the_page_leaves_out_what_a_check_printed_when_the_book_was_built():
    doctree, printed = new_document("page"), "○ gae.targets: not attempted"
    cell = nodes.container("", classes=["cell", "tag_check"])
    for kind, text in (("cell_input", 'check("gae.targets", targets)'), ("cell_output", printed)):
        cell += nodes.container("", nodes.literal_block(text, text), classes=[kind])
    doctree += cell
    tryit.name_checks(None, doctree)
    assert "not attempted" not in doctree.astext() and cell["classes"][-1] == "exercise-gae.targets"


def test_micropython_is_the_package_that_the_tool_names():
    """Its first line, the digest of its WebAssembly, its licence beside it; a plain script."""
    first, second = vendor_tryit.SCRIPT.read_text().splitlines()
    assert first == vendor_tryit.banner() and NPM[vendor_tryit.PACKAGE][0] in first
    parts = json.loads(second.removeprefix("coursekitTry.micropython = ").removesuffix(";"))
    wasm = vendor_tryit.base64.b64decode(parts["wasm"])
    assert wasm[:4] == b"\0asm" and vendor_tryit.hashlib.sha256(wasm).hexdigest() == parts["sha256"]
    assert parts["version"] == NPM[vendor_tryit.PACKAGE][0] and f"v{parts['version']}".encode() in wasm
    assert not re.search(r"\bexport (default|async|\{)|import\.meta", parts["loader"])
    licence = vendor_tryit.LICENCE.read_text()
    assert parts["version"] in licence and "Permission is hereby granted" in licence


def test_a_module_of_another_make_is_refused():
    with pytest.raises(ValueError, match="another version"):
        vendor_tryit.script("let x;", b"")


def test_the_scripts_are_plain_and_short():
    """No module, no request, nothing evaluated outside the worker; short files."""
    for name in ("engine.js", "words.js", "worker.js", "unread.js", "translate.js", "page.js", "answer.js",
                 "progress.js"):
        text = (TRY / name).read_text()
        code = re.sub(r"^\s*//.*|\"[^\"\n]*\"", "", text, flags=re.M)
        assert not re.search(r"(?m)^\s*(import|export)\b|\bimport\(|\beval\(|new Function|\bfetch\(|https?:", code)
        assert len(text.splitlines()) <= 320 and max(map(len, text.splitlines())) <= 116, name
