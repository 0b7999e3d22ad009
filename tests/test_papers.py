"""The files around the code are right: changelog, citation, .gitignore, issue forms, licences."""

import re
import shutil
import subprocess

import pytest
import yaml

import coursekit
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
