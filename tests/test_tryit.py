"""What the build writes for the page's editor: the registry's cases, in scripts that a file can load."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import tryit
import vendor_tryit
from browser import NPM
from coursekit.autograder.outcome import Outcome
from coursekit.autograder.verdict import agree, inputs_of, judge, shape_of, show
from coursekit.exercises import EXERCISES

ROOT = Path(__file__).parent.parent
TRY = ROOT / "book" / "_static" / "try"


KINDS = {"b": bool, "i": int, "f": float}
SCOPE = {"nan": np.nan, "inf": np.inf,
         "array": lambda kind, shape, numbers: np.array(numbers, KINDS[kind]).reshape(shape)}


def read(value):
    """A value as the scripts tell it, back in numpy."""
    kind, *rest = value
    if kind == "t":
        return tuple(map(read, rest[0]))
    return rest[0] if kind == "s" else SCOPE["array"](rest[0], rest[1], [float(x) for x in rest[2]])


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
        assert (data["points"], data["tolerance"], tuple(data["hints"])) == (e.points, e.tolerance, e.hints)
        assert data["signature"].startswith(f"{e.function}(") and f"def {e.function}(" in data["stub"]
        assert [(m["name"], m["look_at"]) for m in data["misconceptions"]] == [
            (m.name, m.look_at) for m in e.misconceptions]


def test_the_cases_are_those_of_check(exercises):
    """The arguments are the same to the last bit, the expected values agree, and are shown alike."""
    for i, e in EXERCISES.items():
        cases = e.cases(0)
        assert [c["label"] for c in exercises[i]["cases"]] == [c.label for c in cases]
        for data, case in zip(exercises[i]["cases"], cases):
            for got, wanted in zip(eval(data["arguments"], SCOPE), inputs_of(case), strict=True):
                assert type(got) is type(wanted) and np.asarray(got).dtype == np.asarray(wanted).dtype
                np.testing.assert_array_equal(got, wanted)
            expected = e.reference(*inputs_of(case))
            assert agree(read(data["value"]), expected, 0.0) and data["shown"][0] == show(expected)
            assert data["shape"] == (None if shape_of(expected) is None else str(shape_of(expected)))


def test_the_first_line_of_a_failure_is_that_of_check(exercises):
    for i, e in EXERCISES.items():
        cases = e.cases(0)
        wrong = judge(e, cases, [Outcome(value=None)] * len(cases))
        first = exercises[i]["cases"][0]
        assert wrong.lines[1] == f"  with     {first['inputs']}"
        assert wrong.lines[3] == f"  expected {first['shown'][0]}"


def test_the_misconceptions_outputs_are_those_of_the_registry(exercises):
    for i, e in EXERCISES.items():
        for data, m in zip(exercises[i]["misconceptions"], e.misconceptions, strict=True):
            for value, case in zip(data["values"], e.cases(0), strict=True):
                assert agree(read(value), m.function(*inputs_of(case)), 1e-15), (i, m.name)


def test_only_the_library_that_a_chapter_imports_is_at_hand(exercises):
    assert exercises["ppo.update"]["names"] == ["gae", "token_rewards", "token_steps"]
    assert exercises["gae.recursion"]["names"] == ["gae"] and exercises["start.clip"]["names"] == []


def test_two_builds_write_the_same(written, tmp_path):
    tryit.write(ROOT / "book", tmp_path)
    for path in [p for p in tmp_path.rglob("*") if p.is_file()]:
        assert path.read_bytes() == (written / path.relative_to(tmp_path)).read_bytes()


def test_a_workers_parts_are_the_committed_files(written):
    text = (written / "parts.js").read_text()
    parts = json.loads(text.removeprefix("coursekitTry.parts = ").removesuffix(";\n"))
    assert parts["worker"] == (TRY / "worker.js").read_text()
    assert parts["files"] == {p.name: p.read_text() for p in TRY.glob("small_*.py")} and len(parts["files"]) > 8


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
    """No module, no request, nothing evaluated outside the worker; 250 lines a file."""
    for name in ("engine.js", "judge.js", "worker.js"):
        text = (TRY / name).read_text()
        code = re.sub(r"^\s*//.*|\"[^\"\n]*\"", "", text, flags=re.M)
        assert not re.search(r"(?m)^\s*(import|export)\b|\bimport\(|\beval\(|new Function|\bfetch\(|https?:", code)
        assert len(text.splitlines()) <= 250 and max(map(len, text.splitlines())) <= 116, name
