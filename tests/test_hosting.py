"""What other people's machines do with the repository: Binder's recipe, the workflows."""

import re
import subprocess
import sys

import pytest
import yaml

from notebooks import BOOK

ROOT = BOOK.parent


@pytest.mark.slow
def test_binder_installs_from_the_whole_repository_under_python_3_11():
    """repo2docker writes the recipe without docker; without runtime.txt it would take Python 3.10."""
    done = subprocess.run([sys.executable, "-m", "repo2docker", "--no-build", "--debug", "."], cwd=ROOT,
                          capture_output=True, text=True, timeout=120)
    recipe = done.stdout + done.stderr
    assert done.returncode == 0, recipe[-2000:]
    assert "environment-2epy-2d3-2e11" in recipe
    steps = ["COPY --chown=0:0 src/ ${REPO_DIR}/", '-r "binder/requirements.txt"', "RUN ./binder/postBuild"]
    at = [recipe.index(step) for step in steps]
    assert at == sorted(at)


def test_the_slow_index_of_torch_is_binders_alone():
    assert "extra-index-url" in (ROOT / "binder/requirements.txt").read_text()
    assert "-r ../requirements.txt" in (ROOT / "binder/requirements.txt").read_text()
    assert "index-url" not in (ROOT / "requirements.txt").read_text()


WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github/workflows").glob("*.yml")}
SET_UP = ("sudo ", "git ", "cp ", "test ")  # what prepares the machine or carries files


def commands(job):
    """The lines that a job runs, once for each value of its matrix."""
    matrix = job.get("strategy", {}).get("matrix", {})
    for step in job["steps"]:
        for line in step.get("run", "").splitlines():
            name = re.search(r"\$\{\{ matrix\.(\w+) \}\}", line)
            yield from ([line.replace(name[0], value) for value in matrix[name[1]]] if name else [line])


def readme_lines():
    """The commands of README.md, without comments and prompts."""
    blocks = re.findall(r"^```\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    parts = [part for line in "".join(blocks).splitlines() for part in line.split("#")[0].split("&&")]
    return {part.strip().removeprefix("$ ") for part in parts}


def test_a_workflow_runs_make_targets_and_lines_of_the_readme_only():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M))
    allowed = {f"make {target}" for target in targets} | readme_lines()
    run = [line for workflow in WORKFLOWS.values() for job in workflow["jobs"].values() for line in commands(job)
           if not line.startswith(SET_UP)]
    assert set(run) <= allowed, set(run) - allowed
    assert {"make fast", "make coverage", "make notebooks", "make test-grader", "make test-browser", "make links",
            "make newest", "make mutants", "make slow"} <= set(run)


def test_pages_are_published_after_every_other_job_and_no_token_stands_in_an_address():
    jobs = WORKFLOWS["test"]["jobs"]
    publishes = {name for name, job in jobs.items() if "write" in job.get("permissions", {}).values()}
    assert publishes == {"publish", "colab"} and jobs["colab"]["needs"] == "publish"
    assert set(jobs["publish"]["needs"]) == set(jobs) - publishes
    assert all(set(workflow["permissions"].values()) == {"read"} for workflow in WORKFLOWS.values())
    assert not any("secrets." in path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))
