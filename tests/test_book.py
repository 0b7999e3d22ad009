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

import pytest
from notebooks import BOOK, CHAPTERS

ROOT = BOOK.parent


@pytest.fixture(scope="module")
def html(tmp_path_factory):
    """A clean build of the tracked files, far from this checkout's cache."""
    copy = tmp_path_factory.mktemp("book")
    for name in ("_config.yml", "_toc.yml", "book", "experiments"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        else:
            shutil.copy(source, copy / name)
    command = [Path(sys.executable).parent / "jupyter-book", "build", ".", "-n", "-W", "--keep-going"]
    built = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=600)
    assert built.returncode == 0, (built.stdout + built.stderr)[-3000:]
    assert (copy / "_build/html/book/index.html").exists()
    return copy / "_build" / "html"


class Links(HTMLParser):
    def __init__(self):
        super().__init__()
        self.loaded, self.images, self.ids = [], [], set()

    def handle_starttag(self, tag, attributes):
        a = dict(attributes)
        if "id" in a:
            self.ids.add(a["id"])
        if tag == "script" and a.get("src"):
            self.loaded.append(a["src"])
        if tag == "link" and a.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(a["href"])
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


def test_every_figure_has_words(html):
    for page, links in pages(html):
        for image in links.images:
            assert image.get("alt") and not image["alt"].startswith("../"), f"{page.name}: {image}"


def test_solutions_are_on_the_page_but_hidden(html):
    text = (html / "book" / "02_gae.html").read_text()
    assert text.count("Show the solution") == 6
    assert "gae_recursion_solution" in text
    assert text.count("<summary>Hint 1</summary>") == 6


def test_mathjax_and_its_fonts_are_shipped(html):
    assert (html / "_static/mathjax/tex-mml-chtml.js").stat().st_size > 1e6
    assert len(list((html / "_static/mathjax/output/chtml/fonts/woff-v2").glob("*.woff"))) > 20


def test_the_repository_address_alone_switches_the_buttons(html):
    spec = importlib.util.spec_from_file_location("coursebook", BOOK / "_ext" / "coursebook.py")
    extension = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(extension)
    for url, on in (("", False), ("https://example.org/us/course", True)):
        options = {"repository_url": url}
        extension.switch_buttons(None, SimpleNamespace(html_theme_options=options))
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
