"""The files around the code are right: changelog, citation, .gitignore, issue forms, licences."""

import re
import shutil
import subprocess

import pytest
import yaml

import coursekit
from coursekit.exercises import EXERCISES
from notebooks import BOOK

ROOT = BOOK.parent


def git(*command):
    return subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True).stdout.split()


def test_the_citation_and_the_changelog_name_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == coursekit.__version__
    sections = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert sections[0] == "Unreleased"
    dated = [re.fullmatch(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)", section) for section in sections[1:-1]]
    assert all(dated), "a version's heading is its number and its date"
    assert dated[0].groups() == (citation["version"], citation["date-released"])
    dates = [match[2] for match in dated]
    assert dates == sorted(dates, reverse=True)


@pytest.mark.skipif(not (ROOT / ".git").exists() or not shutil.which("git"), reason="not a checkout")
def test_git_ignores_what_the_commands_write_by_default():
    sources = "".join(path.read_text() for path in (ROOT / "src/coursekit").rglob("*.py"))
    named = set(re.findall(r'Path\(f?"([\w{}.]+\.(?:safetensors|png))"\)', sources))
    assert {"rlhf.safetensors", "rlhf.png"} <= named
    written = {name.replace("{options.task}", task) for name in named for task in ("cartpole", "lunarlander")}
    written |= {"reward/model.safetensors", "rlhf.partial", "rlhf.safetensors.partial"}
    assert set(git("check-ignore", "--no-index", *written)) == written
    assert not git("ls-files", "-ci", "--exclude-standard"), "a committed file is ignored"


def test_the_issue_forms_ask_what_is_needed():
    forms = {path.stem: yaml.safe_load(path.read_text())
             for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config"}
    assert set(forms) == {"wrong_verdict", "bug", "erratum"}
    for name, form in forms.items():
        assert form["name"] and form["description"], name
        ids = [field["id"] for field in form["body"]]
        assert len(ids) == len(set(ids))
        assert all(field["attributes"]["label"] for field in form["body"])
    asked = [field["id"] for field in forms["wrong_verdict"]["body"]
             if field.get("validations", {}).get("required")]
    assert {"exercise", "answer", "verdict"} <= set(asked)


def test_the_licence_of_the_film_ratings_comes_along():
    text = (ROOT / "LICENSE-text").read_text()
    assert "Copyright (c) 2014 cjhutto" in text and "Permission is hereby granted" in text


MAP = (ROOT / "CONTRIBUTING.md").read_text()
SOURCE = ROOT / "src/coursekit"


def chapters():
    """The map's first table: {chapter: [library, exercises, ids, experiments, commands]}, each a list of names."""
    rows = re.findall(r"^\| (\d\w+|all) \|(.*)\|$", MAP, re.M)
    return {name: [re.findall(r"[\w.*-]+", cell) for cell in cells.split("|")] for name, cells in rows}


def test_every_path_that_contributing_names_exists():
    code = re.findall(r"`([^`\n]+)`", MAP) + re.findall(r"^```\n(.*?)^```", MAP, re.M | re.S)
    words = [word.rstrip(".,:;") for span in code for word in span.split("#")[0].split()]
    path = re.compile(r"[\w.*/-]+(/[\w.*-]*|\.(py|md|ipynb|js|css|toml|txt|cff|ya?ml))")
    paths = {word for word in words if path.fullmatch(word)}
    paths = {path for path in paths if not re.search(r"\b(NN|NAME|M)\b|NN_|_M\.|draft", path)}  # placeholders
    assert len(paths) > 50
    assert not [path for path in sorted(paths) if not list(ROOT.glob(path.rstrip("/")))]


def test_the_map_holds_every_notebook_module_exercise_experiment_and_command():
    rows = chapters()
    assert set(rows) - {"all"} == {path.stem for path in BOOK.glob("*.ipynb")}
    library, exercises, _, experiments, commands = ([name for row in rows.values() for name in row[i]]
                                                    for i in range(5))
    modules = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert set(library) == modules - {"__init__", "cli", "commands", "autograder", "exercises"}
    assert all((SOURCE / "exercises" / f"{name}.py").exists() for name in exercises)
    assert sorted(experiments) == sorted(path.stem for path in (ROOT / "experiments").glob("*.py"))
    files = {path.stem.replace("_", "-") for path in (SOURCE / "commands").glob("[a-z]*.py")} - {"common"}
    assert sorted(commands) == sorted(files)
    for exercise in EXERCISES.values():
        assert exercise.id.split(".")[0] + ".*" in rows[exercise.notebook][2], exercise.id


def test_the_page_of_the_library_and_the_package_give_the_same_map():
    rows = chapters()
    of_chapter = {re.sub("^0", "", name.split("_")[0]): row[0] for name, row in rows.items()}
    sections = re.split(r"^(.+)\n-{3,}\n", (BOOK / "api.rst").read_text(), flags=re.M)[1:]
    for title, text in zip(sections[::2], sections[1::2]):
        numbers = re.findall(r"\d\w?", title) or ["all"]
        public = {name for n in numbers for name in of_chapter[n] if name[0] != "_" and name != "checkpoints"}
        assert set(re.findall(r"automodule:: coursekit\.(\w+)", text)) == public, title
    assert {name for row in rows.values() for name in row[0]} <= set(re.findall(r"\w+", coursekit.__doc__))
