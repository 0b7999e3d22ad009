"""What other people's machines do with the repository: Binder's recipe, the workflows."""

import subprocess
import sys

import yaml

from notebooks import BOOK

ROOT = BOOK.parent


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


def test_the_workflows_run_what_is_run_here():
    for name, command in (("test", ".ci/run"), ("pages", "make pdf")):
        (job,) = yaml.safe_load((ROOT / f".github/workflows/{name}.yml").read_text())["jobs"].values()
        assert command in [step.get("run") for step in job["steps"]]
