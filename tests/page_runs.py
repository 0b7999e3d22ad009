"""Runs answers on the page, and the same answers in CPython as a notebook would.

`build` writes a page with the scripts and the exercises alone, opened as a file. To start a worker takes longer
than most answers do: `RECYCLE` lets the page use its workers again, `KEPT` runs many sources in one.
"""

import contextlib
import importlib
import io
import json
import re
import shutil
import warnings
from pathlib import Path

import numpy as np

import tryit
from coursekit.autograder.book import cells, chapters, role
from coursekit.autograder.check import grade
from coursekit.autograder.outcome import describe
from coursekit.exercises import EXERCISES

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "gymnasium", "matplotlib", "coursekit.slider", "coursekit.lm", "coursekit.rlhf")
RUNS = """async runs => {  // two at a time
    const results = [], left = runs.map((run, i) => [i, ...run]);
    const one = async () => {
        for (let next; (next = left.shift());) {
            const [i, id, code, options] = next;
            results[i] = await coursekitTry.run(id, code, options);
        }
    };
    await Promise.all([one(), one()]);
    return results}"""
AGAIN = """;const before = run; run = (data) => {
    python.runPython("small_runner.small_lacks.state['lack'] = None; small_runner.state['printed'] = 0");
    before(data); };"""
# A worker whose answer has come to its end is not ended, but rests until the page wants another. For answers that
# change nothing outside themselves.
RECYCLE = f"""() => {{
    const Real = Worker, rested = [], again = {json.dumps(AGAIN)};
    let parts;
    Object.defineProperty(coursekitTry, "parts", {{get: () => parts, set(given) {{
        parts = {{...given, worker: given.worker + again}}; }}}});
    window.Worker = class {{
        constructor(address) {{ this.address = address; }}
        postMessage(message, ports) {{
            const used = message.wasm && rested.pop();
            this.inner ??= used || new Real(this.address);
            this.inner.onerror = (event) => this.onerror(event);
            this.inner.onmessage = ({{data}}) => {{
                this.spoilt ||= data.outcome?.fatal || data.defined?.fatal;
                this.over ||= data.done;
                this.onmessage({{data}});
            }};
            if (used) setTimeout(() => this.onmessage({{data: {{ready: true}}}}));
            else this.inner.postMessage(message, ports);
        }}
        terminate() {{
            if (this.over && !this.spoilt) rested.push(this.inner);
            else this.inner.terminate();
        }}
    }};
}}"""
# One worker, in which the page's own script runs one source after the other, on cases that are given or on those of
# an exercise, which gives a verdict as well. A source that does not end within 20 s ends it.
KEPT = f"async jobs => {{ const again = {json.dumps(AGAIN)};" + """
    const {loader, wasm} = coursekitTry.micropython, {worker, files} = coursekitTry.parts;
    const fresh = async () => {
        const start = `async function loader() { let process; ${loader}\\nreturn loadMicroPython; }\\n`;
        const made = new Worker(URL.createObjectURL(new Blob([start + worker + again])));
        const ready = new Promise(done => { made.onmessage = () => done(); });
        made.postMessage({wasm: Uint8Array.from(atob(wasm), c => c.charCodeAt(0)), files});
        await ready;
        return made};
    const {imports} = coursekitTry.exercises["ppo.update"], results = [], {exercises} = coursekitTry;
    let made = await (coursekitTry.kept ||= fresh());
    for (const job of jobs) {
        const {code, id} = job, exercise = exercises[id], name = job.name || exercise.function;
        const cases = job.cases || exercise.cases.map(c => c.arguments);
        const {text, lacks, broken} = coursekitTry.translated(code), told = {outcomes: [], printed: ""};
        if (lacks.length) { results.push({lack: lacks[0].lack}); continue; }
        const given = {code: text, broken, function: name, earlier: [], refuses: [],
            imports: exercise ? exercise.imports : imports};
        await new Promise(done => {
            const late = setTimeout(() => { told.late = true; made.terminate(); done(); }, 20000);
            made.onmessage = ({data}) => {
                if ("printed" in data) told.printed += data.printed;
                if ("defined" in data) told.defined = data.defined;
                if ("outcome" in data) told.outcomes.push(data.outcome);
                if (data.done) { clearTimeout(late); done(); }
            };
            made.postMessage({source: code, given, cases})});
        if (told.late || told.outcomes.some(o => o.fatal)) made = await (coursekitTry.kept = fresh());
        told.lack = [told.defined, ...told.outcomes].find(o => o?.lack)?.lack;
        if (exercise && !told.lack && !told.defined && !told.late) {
            told.verdict = await coursekitTry.judge(exercise, told.outcomes, code);
        }
        results.push(told);
    }
    return results}"""


def build(folder):
    """The page with the engine and all exercises; its address."""
    scripts = folder / "try"
    shutil.copytree(ROOT / "book" / tryit.FOLDER, scripts)
    tryit.write(ROOT / "book", scripts)
    exercises = sorted(f"try/exercises/{path.name}" for path in (scripts / "exercises").glob("*.js"))
    sources = ["try/engine.js", "try/editor.js", *exercises]
    tags = "".join(f'<script src="{s}"></script>' for s in sources)
    (folder / "page.html").write_text(f'<!doctype html><meta charset="utf-8"><title>exercises</title>{tags}')
    return (folder / "page.html").as_uri()


def at_hand():
    """{exercise id: what the first cell of its chapter imports, as {name: where from}}"""
    found = {}
    for path in chapters(ROOT / "book").values():
        imports, _ = tryit.at_hand([next(c["source"] for c in cells(path) if role(c) == "imports")])
        found |= {c["metadata"]["coursekit"]["exercise"]: imports for c in cells(path) if role(c) == "stub"}
    return found


KNOWN: dict = {}


def space_of(exercise_id):
    """The names that the first cell of the chapter imports, without what takes long."""
    if not KNOWN:
        KNOWN.update(at_hand())
    space = {"__name__": "__main__"}
    for name, whole in KNOWN[exercise_id].items():
        if not whole.startswith(HEAVY):
            module, _, part = whole.rpartition(".")
            try:
                space[name] = importlib.import_module(whole)
            except ImportError:
                space[name] = getattr(importlib.import_module(module), part)
    return space


def by_python(exercise_id, code):
    """(the verdict of `check` on a source, or the line of an error that it raises; what it prints)"""
    exercise, space = EXERCISES[exercise_id], space_of(exercise_id)
    with contextlib.redirect_stdout(io.StringIO()) as printed, np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(code, "<ipython cell>", "exec"), space)
            if exercise.function not in space:
                return "absent", printed.getvalue()
            return grade(exercise, space[exercise.function]), printed.getvalue()
        except Exception as error:
            return describe(error), printed.getvalue()


def same(result, verdict):
    """Whether the page's result is Python's verdict."""
    wanted = {"status": verdict.status, "passed": verdict.passed, "cases": verdict.cases,
              "misconception": verdict.misconception, "lines": list(verdict.lines)}
    return {k: result[k] for k in wanted} == wanted or (result, wanted)


NUMBER = re.compile(r"-?(?:\d+\.?\d*(?:e[+-]?\d+)?|inf|nan)")


def same_text(one, other):
    """Whether two prints are the same but for the last digits of their numbers."""
    if one == other:
        return True
    first, second = NUMBER.findall(one), NUMBER.findall(other)
    words = [NUMBER.sub("#", text).split() for text in (one, other)]
    return len(first) == len(second) and words[0] == words[1] and np.allclose(
        [float(x) for x in first], [float(x) for x in second], rtol=1e-9, atol=1e-12, equal_nan=True)


def outcome_of(result):
    """(status, passed, misconception) of a verdict of either side."""
    if isinstance(result, str):
        return "error", 0, None
    if isinstance(result, dict):
        return result["status"], result["passed"], result["misconception"]
    return result.status, result.passed, result.misconception
