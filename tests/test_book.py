"""The book builds from nothing without a warning, and its pages bring everything they need."""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document
from nbclient import NotebookClient
from sphinx import addnodes

from coursekit import rlhf
from coursekit.classic_ppo import CARTPOLE
from coursekit.exercises import EXERCISES
from environments import only, requirements
from notebooks import BOOK, CHAPTERS

ROOT = BOOK.parent


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """A clean build of the tracked files, far from this checkout's cache, with what requirements.txt installs."""
    copy = tmp_path_factory.mktemp("book")
    for name in ("CONTRIBUTING.md", "_config.yml", "_toc.yml", "benchmarks", "book", "experiments", "src", "tests"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__"))
        else:
            shutil.copy(source, copy / name)
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-n", "-W", "--keep-going"]
    reader = only(tmp_path_factory.mktemp("hidden"), requirements("requirements.txt"))
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600, env=reader)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    assert (copy / "_build/html/book/index.html").exists()
    return copy / "_build" / "html"


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.loaded, self.images, self.ids, self.links = [], [], set(), []

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if "id" in a:
            self.ids.add(a["id"])
        if tag == "script" and a.get("src"):
            self.loaded.append(a["src"])
        if tag == "link" and a.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(a["href"])
        if tag == "a" and a.get("href"):
            self.links.append(a["href"])
        if tag == "img":
            self.images.append(a)


def pages(html):
    for page in sorted((html / "book").glob("*.html")):
        links = Links()
        links.feed(page.read_text())
        yield page, links


def test_every_chapter_is_a_page(html):
    assert {p.stem for p in CHAPTERS} <= {page.stem for page, _ in pages(html)}
    assert "book/index.html" in (html / "index.html").read_text()


def test_a_page_loads_nothing_from_outside(html):
    for page, links in pages(html):
        for target in links.loaded:
            assert not re.match(r"(https?:)?//", target), f"{page.name} loads {target}"
            assert (page.parent / target.split("?")[0]).exists(), f"{page.name} misses {target}"
        assert "thebe" not in " ".join(links.loaded).lower()
        assert "THEBE_JS_URL" not in page.read_text()


def test_every_inside_link_arrives(html):
    """genindex and the source files are the theme's own links; they must be there too."""
    known = {page.resolve(): links for page, links in pages(html)}
    for page, links in pages(html):
        for target in links.links:
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            file = (page.parent / path.split("?")[0]).resolve() if path else page.resolve()
            assert file.exists(), f"{page.name} links to {target}"
            if anchor and file in known:
                assert anchor in known[file].ids, f"{page.name} links to {target}"


def test_every_figure_has_words(html):
    for page, links in pages(html):
        for image in links.images:
            assert image.get("alt") and not image["alt"].startswith("../"), f"{page.name}: {image}"


def test_solutions_are_on_the_page_but_hidden(html):
    text = (html / "book" / "02_gae.html").read_text()
    count = sum(e.notebook == "02_gae" for e in EXERCISES.values())
    assert text.count("Show the solution") == count
    assert "gae_recursion_solution" in text
    assert text.count("<summary>Hint 1</summary>") == count


def test_mathjax_and_its_fonts_are_shipped(html):
    assert (html / "_static/mathjax/tex-mml-chtml.js").stat().st_size > 1e6
    assert len(list((html / "_static/mathjax/output/chtml/fonts/woff-v2").glob("*.woff"))) > 20


def extension(name):
    spec = importlib.util.spec_from_file_location(name, BOOK / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def details():
    """The rows of implementation_details.md."""
    text = (BOOK / "implementation_details.md").read_text()
    return [row for block in re.findall(r"```{details}\n(.*?)```", text, re.S) for row in yaml.safe_load(block)]


def test_every_detail_names_its_source_its_symptom_and_tests_that_exist():
    tests = {f"{path.name}::{name}" for path in Path(__file__).parent.glob("test_*.py")
             for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)}
    for row in details():
        assert row["detail"] and row["source"] and (row.get("bugs") or row.get("symptom")), row
        assert row["tests"] and set(row["tests"]) <= tests, set(row["tests"]) - tests


def test_every_planted_bug_is_a_symptom_of_exactly_one_detail():
    runs = json.loads((ROOT / "experiments/results/bugs.json").read_text())["runs"]
    named = [bug for row in details() for bug in row.get("bugs", [])]
    assert sorted(named) == sorted({run["bug"] for run in runs} - {"none", "nothing"})  # healthy ones


def test_symptoms_are_read_off_the_runs():
    """Two healthy runs between 1 and 2; sick ones far above, at the end only."""
    keys = ("gold", "kl", "proxy", "length", "ended", "explained_variance", "clip_fraction")

    def run(bug, end, caught=False):
        return {"bug": bug, "caught": caught, "curves": dict.fromkeys(keys, [1.0] * 6) | {"kl": [1.0] + [end] * 5}}

    runs = [run("none", 1.0), run("none", 2.0), run("far", 8.0, caught=True), run("far apart", 8.0),
            run("far apart", 9.0), run("both sides", 8.0), run("both sides", -9.0), run("near", 2.5)]
    symptom = extension("tables").symptom
    assert symptom(runs, "far apart") == "*far apart*: gold 1.00; KL 8.00 to 9.00 at the end (healthy 1.00 to 2.00)"
    assert symptom(runs, "far") == ("*far*: gold 1.00; KL 8.00 at the end (healthy 1.00 to 2.00); "
                                    "stopped at the first batch")
    assert symptom(runs, "both sides") == "*both sides*: gold 1.00; no fingerprint at this size"
    assert symptom(runs, "near") == "*near*: gold 1.00; no fingerprint at this size"
    with pytest.raises(ValueError, match="no bug is called 'none such'"):
        symptom(runs, "none such")


def test_the_indexes_hold_what_the_library_holds(html):
    formulas = (html / "book/formula_index.html").read_text()
    for _, function, label in extension("tables").functions(ROOT):
        assert f"#{label}" in formulas.replace("equation-", "") and function in formulas
    exercises = (html / "book/exercises.html").read_text()
    shown = {path.stem for path in CHAPTERS}
    assert all(e.id in exercises for e in EXERCISES.values() if e.notebook in shown)
    api = (html / "book/api.html").read_text()
    modules = {path.stem for path in (ROOT / "src/coursekit").glob("[a-z]*.py")} - {"cli"}
    assert modules == set(re.findall(r'id="module-coursekit\.(\w+)"', api))
    assert 'id="coursekit.hf.train_rm"' in api and 'id="coursekit.hf_roles.Transformer"' in api  # mocked, yet there


def test_a_chapter_leads_to_the_glossary_once_for_a_word(html):
    for path in CHAPTERS:
        linked = re.findall(r'href="glossary.html#(term-[^"]+)"', (html / f"book/{path.stem}.html").read_text())
        assert len(linked) > 2 and len(linked) == len(set(linked))


def test_the_glossary_is_linked_where_the_term_is_meant():
    """Never the verb "return", no exercise, no ordinary word that the text does not introduce as a term."""
    def linked(*sections):
        doctree = new_document("page")
        for title, *paragraphs in sections:
            doctree += nodes.section("", nodes.title("", title), *(nodes.paragraph("", "", *p) for p in paragraphs))
        env = SimpleNamespace(docname="book/02_gae", note_dependency=lambda _: None)
        extension("glossary").link_words(SimpleNamespace(srcdir=ROOT, env=env), doctree)
        return [node["reftarget"] for node in doctree.findall(addnodes.pending_xref)]

    def introduced(word):
        return nodes.emphasis("", word)

    verb = nodes.Text("Return it; it returns less often. The ratio and the value 3 of a critic.")
    assert linked(("Text", [verb])) == ["critic"]
    noun = [nodes.Text("The "), introduced("return"), nodes.Text(" is a sum; TD errors too.")]
    assert linked(("Text", noun)) == ["return", "TD error"]
    assert linked(("Text", [introduced("returns of the year")])) == []
    assert linked(("Exercise 2.2: GAE", [nodes.Text("A TD error of the critic.")])) == []


def test_the_settings_of_the_cheat_sheet_are_those_of_the_library():
    text = (BOOK / "cheat_sheet.md").read_text()
    found = {name: [cell.strip() for cell in cells.split("|")]
             for name, cells in re.findall(r"^\| (control|language model) \(.*?\) \| (.+) \|$", text, re.M)}
    control, model = CARTPOLE, rlhf.Config()
    same = [[f"{x:g}" for x in (c.gamma, c.lam, c.clip, c.epochs, c.lr)] for c in (control, model)]
    assert found["control"][:6] == [*same[0], f"{control.num_envs} × {control.num_steps} steps"]
    assert found["language model"] == [*same[1], f"{model.batch} replies", f"β = {model.beta:g}"]


def test_the_first_page_has_a_figure_that_moves(html):
    first, chapter = ((html / f"book/{name}.html").read_text() for name in ("index", "02_gae"))
    figure = re.search(r'<figure class="ck-slider".*?</figure>', first, re.S)[0]
    assert "the episode ends after" in figure and figure in chapter


def test_only_the_icons_in_use_are_shipped(html):
    lighter = extension("lighter")
    script = (html / "_static/scripts/fontawesome.js").read_text()
    assert len(script) < 2e5
    kept = {name for icon in lighter.ICON.findall(script) for name in [*icon[:2], *re.findall(r"[a-z-]+", icon[2])]}
    sizes_and_styles = {"lg", "solid", "brands", "regular"}
    assert lighter.icons(html) - sizes_and_styles <= kept


def test_text_that_the_kernel_cut_is_joined_as_it_was():
    pieces = [{"output_type": "stream", "name": "stdout", "text": text} for text in ("one\ntwo", "\nthree\n")]
    assert [output["text"] for output in extension("lighter").joined(pieces)] == ["one\ntwo\nthree\n"]


@pytest.mark.slow
def test_a_chapters_kernel_starts_without_a_warning(tmp_path, monkeypatch, capfd):
    """Nor with what the reader's own IPython runs at its start: it reads the settings of the build alone."""
    monkeypatch.setenv("IPYTHONDIR", "")
    extension("coursebook").quiet_kernels(SimpleNamespace(outdir=tmp_path / "html"))
    cell = nbformat.v4.new_code_cell("import os; print(get_ipython().ipython_dir)")
    NotebookClient(nbformat.v4.new_notebook(cells=[cell]), kernel_name="python3").execute()
    assert cell.outputs[0].text == f"{tmp_path / 'ipython'}\n"
    assert "WARNING" not in capfd.readouterr().err


def test_on_colab_a_first_cell_installs_the_library(tmp_path):
    coursebook = extension("coursebook")
    url = "https://github.com/us/course"
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={"repository_url": url}), srcdir=ROOT,
                          outdir=tmp_path, builder=SimpleNamespace(format="html"))
    coursebook.copy_for_colab(app, None)
    link = "https://colab.research.google.com/github/us/course/blob/main/book/02_gae.ipynb"
    assert coursebook._mended(link, coursebook.PAGE).endswith("/blob/colab/colab/02_gae.ipynb")
    assert {p.name for p in (tmp_path / "colab").iterdir()} == {p.name for p in CHAPTERS}
    first = json.loads((tmp_path / "colab/02_gae.ipynb").read_text())["cells"][0]
    assert url in "".join(first["source"]) and "find_spec" in "".join(first["source"])


def test_the_repository_address_alone_switches_the_buttons(html):
    coursebook = extension("coursebook")
    for url, on in (("", False), ("https://example.org/us/course", True)):
        options = {"repository_url": url}
        coursebook.switch_buttons(None, SimpleNamespace(html_theme_options=options))
        assert bool(options.get("use_edit_page_button")) is bool(options.get("launch_buttons")) is on
    page = (html / "book" / "02_gae.html").read_text()
    assert "mybinder" not in page and "/issues/new" not in page and "github.com/executablebooks" not in page


def test_every_formula_named_in_the_library_is_in_the_book():
    named = {label for module in (ROOT / "src/coursekit").glob("*.py")
             for label in re.findall(r"\(book: (eq-[a-z-]+)\)", module.read_text())}
    cells = [cell for path in CHAPTERS for cell in json.loads(path.read_text())["cells"]]
    labelled = [label for cell in cells
                for label in re.findall(r"^\$\$ \((eq-[a-z-]+)\)", "".join(cell["source"]), re.M)]
    assert len(labelled) == len(set(labelled)), "a label is used twice"
    assert named and named <= set(labelled), named - set(labelled)
