"""The diagrams of the book: SVG files written by hand, which a page, GitHub and JupyterLab show alike."""

import json
import re
import xml.etree.ElementTree as xml

import pytest

from notebooks import BOOK

SVG = "{http://www.w3.org/2000/svg}"
DRAWINGS = sorted((BOOK / "figures").glob("*.svg"))
NARROW = 350  # pixels that the text of a page has on a screen of 390


def images():
    """{path of an SVG: its words} for every drawing that a page or a notebook shows."""
    found = {}
    for path in sorted([*BOOK.glob("*.md"), *BOOK.glob("*.ipynb")]):
        texts = [path.read_text(encoding="utf-8")]
        if path.suffix == ".ipynb":
            texts = ["".join(c["source"]) for c in json.loads(texts[0])["cells"] if c["cell_type"] == "markdown"]
        for alt, target in re.findall(r"!\[([^\]]*)\]\((\S+\.svg)\)", "\n".join(texts)):
            found[path.parent / target] = alt
    return found


def test_every_diagram_is_shown_and_has_words():
    shown = images()
    assert sorted(shown) == DRAWINGS
    for path, alt in shown.items():
        assert len(alt) > 100, f"{path.name}: the words in ![…] must say what the diagram shows"


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_a_diagram_is_readable_everywhere(path):
    """It has a title, a ground of its own, letters of 11 pixels on a phone, and loads nothing. By night the page
    inverts it (course.css): it has no second set of colours, which would follow the system and not the page."""
    text = path.read_text(encoding="utf-8")
    root = xml.parse(path).getroot()
    assert root.find(f"{SVG}title").text
    assert "prefers-color-scheme" not in text
    ground = root.find(f"{SVG}rect[@class='ground']")
    assert (ground.get("width"), ground.get("height")) == (root.get("width"), root.get("height"))
    sizes = [float(size) for size in re.findall(r"\bfont(?:-size)?:\s*([\d.]+)px", text)]
    assert sizes and min(sizes) * min(1, NARROW / float(root.get("width"))) >= 11
    assert not re.search(r"<(script|foreignObject|image|use)\b|@import", text)
    assert set(re.findall(r"https?://[^\s\"')<]+", text)) == {SVG.strip("{}")}


@pytest.mark.parametrize("path", DRAWINGS, ids=lambda path: path.stem)
def test_the_text_of_a_box_fits_into_it(path):
    """At 0.54 of the font's size for a letter, as wide as the fonts of Debian draw it."""
    root, size = xml.parse(path).getroot(), float(re.search(r"\bfont: (\d+)px", path.read_text())[1])
    boxes = [[float(rect.get(key)) for key in ("x", "y", "width", "height")]
             for rect in root.findall(f"{SVG}rect") if rect.get("x")]
    for text in root.findall(f"{SVG}text"):
        at = float(text.get("x")), float(text.get("y"))
        lines = [text.text, *(span.text for span in text.findall(f"{SVG}tspan"))]
        for x, y, width, height in boxes:
            if x <= at[0] <= x + width and y <= at[1] <= y + height:
                half = 0.54 * size * max(map(len, lines)) / 2
                assert x <= at[0] - half and at[0] + half <= x + width, lines
                assert y < at[1] - size and at[1] + 1.3 * size * (len(lines) - 1) < y + height, lines
