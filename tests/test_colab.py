"""The copies of the chapters for Colab, top to bottom in an empty folder where the library is not installed."""

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import module_from_spec, spec_from_file_location
from types import SimpleNamespace

import nbformat
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

from coursekit.autograder.notebook import sockets_in
from environments import LEFT_OUT, OURS, ROOT, only, ran
from notebooks import CHAPTERS

pytestmark = pytest.mark.slow


spec = spec_from_file_location("coursebook", ROOT / "book/_ext/coursebook.py")
coursebook = module_from_spec(spec)
spec.loader.exec_module(coursebook)


@pytest.fixture(scope="module")
def copies(tmp_path_factory):
    """The folder of the copies. They clone a repository that holds the files as they are here."""
    course = tmp_path_factory.mktemp("github") / "course"
    shutil.copytree(ROOT, course, ignore=LEFT_OUT)
    for command in ("init -q", "add -A", "-c user.name=x -c user.email=x@example.org commit -q -m x"):
        ran("git", *command.split(), cwd=course)
    html = tmp_path_factory.mktemp("html")
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={"repository_url": course.as_uri()}),
                          srcdir=ROOT, outdir=html, builder=SimpleNamespace(format="html"))
    coursebook.copy_for_colab(app, None)
    return html / "colab"


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """The name of a kernel without the library. What the first cell asks for is lent by the environment here."""
    (extra,) = re.findall(r'%pip install -q "./course(\[\w+\])"', coursebook.INSTALL)
    ran(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv")
    python = tmp_path / "venv/bin/python"
    (site,) = (tmp_path / "venv/lib").glob("*/site-packages")
    (site / "lent.pth").write_text(sysconfig.get_path("purelib"))
    kernel = tmp_path / "share/kernels/colab"
    kernel.mkdir(parents=True)
    variables = only(tmp_path / "hidden", [OURS + extra, "ipykernel"])
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps(
        {"argv": argv, "display_name": "colab", "language": "python", "env": variables}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    absent = subprocess.run([python, "-c", "import coursekit"], env=variables, cwd=tmp_path, capture_output=True)
    assert absent.returncode == 1
    return "colab"


@pytest.mark.parametrize("name", [path.stem for path in CHAPTERS])
def test_a_copy_runs_where_nothing_of_the_course_is(name, copies, machine, tmp_path):
    folder = tmp_path / "content"
    folder.mkdir()
    notebook = nbformat.read(copies / f"{name}.ipynb", as_version=4)
    with tempfile.TemporaryDirectory() as sockets:  # a short name: that of a socket is limited
        NotebookClient(notebook, timeout=300, kernel_name=machine, resources={"metadata": {"path": folder}},
                       config=Config(KernelManager=sockets_in(sockets))).execute()
    written = [output for cell in notebook.cells[1:] for output in cell.get("outputs", ())
               if output.output_type == "stream" and output.name == "stderr"]
    assert not written, written
    assert (folder / "course/book").is_dir()
