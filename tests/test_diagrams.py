"""Mermaid fences become committed drawings, and nothing else does."""

import io
import re
import shutil

import pytest
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from diagrams import FOLDER, drawing, words
from notebooks import BOOK
from render_mermaid import sources

ROOT = BOOK.parent

TEXT = "flowchart TD\n    accTitle: A title\n    accDescr: What it shows.\n    A --> B\n"


def build(folder, text, *, drawn=True):
    """One page with one fence through Sphinx: (html, warnings)."""
    (folder / FOLDER).mkdir(parents=True)
    if drawn:
        shutil.copy(next((ROOT / FOLDER).glob("*.svg")), folder / FOLDER / drawing(text))
    (folder / "index.md").write_text(f"# Page\n\n```mermaid\n{text}```\n")
    settings = {"extensions": ["myst_parser", "diagrams"], "myst_fence_as_directive": ["mermaid"]}
    heard = io.StringIO()
    with patch_docutils(), docutils_namespace():
        app = Sphinx(str(folder), None, str(folder / "out"), str(folder / "tree"), "html", settings,
                     status=None, warning=heard)
        app.build()
    return (folder / "out/index.html").read_text(), heard.getvalue()


def test_a_fence_becomes_its_drawing_with_caption_and_words(tmp_path):
    html, warnings = build(tmp_path, TEXT)
    assert warnings == ""
    assert re.search(r'<img alt="What it shows\." src="_images/[0-9a-f]{16}\.svg"', html)
    assert "<p>A title</p>" in html and "flowchart" not in html


@pytest.mark.parametrize("text, drawn, lack", [
    (TEXT, False, "run python tools/render_mermaid.py"),
    (TEXT.replace("accDescr", "accNothing"), True, "accDescr: line"),
    (TEXT.replace("accTitle", "accNothing"), True, "accTitle: or")])
def test_a_diagram_without_drawing_or_words_is_a_warning(tmp_path, text, drawn, lack):
    _, warnings = build(tmp_path, text, drawn=drawn)
    assert "mermaid diagram without" in warnings and lack in warnings


def test_the_drawing_belongs_to_the_text_not_to_its_indent():
    assert drawing(TEXT) == drawing("\n" + TEXT.replace("    ", "  ") + "\n")
    assert drawing(TEXT) != drawing(TEXT.replace("A --> B", "B --> A"))


def test_every_fence_of_the_book_is_drawn_and_nothing_else():
    drawn = {path.name for path in (ROOT / FOLDER).glob("*.svg")}
    assert drawn <= {drawing(text) for _, text in sources(BOOK)}, "run python tools/render_mermaid.py --all"
    for path, text in sources(BOOK):
        assert all(words(text)), f"{path.name}: accTitle or accDescr is missing"
        assert (ROOT / FOLDER / drawing(text)).exists(), f"{path.name}: run python tools/render_mermaid.py"


def test_drawings_use_no_foreign_objects_and_nothing_from_outside():
    for path in (ROOT / FOLDER).glob("*.svg"):
        svg = path.read_text()
        assert "<foreignObject" not in svg and "<script" not in svg
        assert set(re.findall(r"https?://[^\s\"')<]+", svg)) <= {"http://www.w3.org/2000/svg",
                                                                 "http://www.w3.org/1999/xlink"}
