"""Draw every mermaid fence of the book that has no SVG yet.

    python tools/render_mermaid.py          into book/figures/mermaid, to be committed
    python tools/render_mermaid.py --all    draw all of them again, and drop the drawings that no fence asks for
"""

import json
import sys
from pathlib import Path

from browser import chromium, missing, npm_file

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "book" / "_ext"))
from diagrams import FENCE, FOLDER, drawing, words  # noqa: E402

# Text in SVG, not in foreignObject, which printers and Inkscape can't draw; a font every system has or matches.
SETTINGS = {"startOnLoad": False, "theme": "neutral", "htmlLabels": False, "flowchart": {"htmlLabels": False},
            "deterministicIds": True, "deterministicIDSeed": "ck", "securityLevel": "strict",
            "themeCSS": ".edgeLabel rect { fill: #fff; opacity: 1; }",
            "fontFamily": "Arial, Helvetica, 'Liberation Sans', sans-serif"}


def sources(book):
    """(file, text of a fence) for every mermaid fence of the pages and notebooks in the folder `book`."""
    for path in sorted([*book.glob("*.md"), *book.glob("*.ipynb")]):
        texts = [path.read_text()]
        if path.suffix == ".ipynb":
            cells = json.loads(texts[0])["cells"]
            texts = ["".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown"]
        for text in texts:
            yield from ((path, fence) for fence in FENCE.findall(text))


def draw(texts):
    """The SVG of every text, with light ground, so that it reads in the dark too."""
    with chromium() as context:
        page = context.new_page()
        page.set_content("<!doctype html><body></body>")
        page.add_script_tag(path=npm_file("mermaid"))
        page.evaluate("settings => mermaid.initialize(settings)", SETTINGS)
        for text in texts:
            svg = page.evaluate("async text => (await mermaid.render('ck', text)).svg", text)
            if "<foreignObject" in svg:
                raise ValueError(f"diagram {words(text)[0]!r} needs foreignObject; use plain labels")
            yield svg


def main(*options):
    folder, wanted = ROOT / FOLDER, {}
    for path, text in sources(ROOT / "book"):
        if not all(words(text)):
            sys.exit(f"{path.name}: a diagram lacks accTitle: or accDescr:")
        wanted[drawing(text)] = text
    new = [name for name in wanted if "--all" in options or not (folder / name).exists()]
    for old in {path.name for path in folder.glob("*.svg")} - set(wanted) if "--all" in options else ():
        (folder / old).unlink()
        print(f"dropped {old}")
    if new and missing("mermaid"):
        sys.exit(missing("mermaid"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, svg in zip(new, draw([wanted[name] for name in new]) if new else ()):
        (folder / name).write_text(svg + "\n")
        print(f"drew {name}: {words(wanted[name])[0]}")
    print(f"{len(wanted)} diagrams, {len(new)} drawn")


if __name__ == "__main__":
    main(*sys.argv[1:])
