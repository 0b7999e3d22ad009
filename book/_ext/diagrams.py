"""Mermaid fences as committed drawings: a page needs no script to show them, and a wrong diagram can't be built.

GitHub and JupyterLab draw a mermaid fence themselves. Here each fence becomes the SVG named by the hash of
its text; its accTitle is the caption, its accDescr the words for those who don't see it. Draw new ones with
`python tools/render_mermaid.py`.
"""

import hashlib
import re
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

FOLDER = "book/figures/mermaid"
FENCE = re.compile(r"^```mermaid\n(.*?)^```$", re.M | re.S)


def drawing(text):
    """The name of a diagram's SVG: one text, one drawing, wherever it stands."""
    lines = "\n".join(line.strip() for line in text.strip().splitlines())
    return hashlib.sha1(lines.encode()).hexdigest()[:16] + ".svg"


def words(text):
    """accTitle and accDescr of a diagram; "" where one is missing."""
    found = (re.search(rf"^\s*{key}:\s*(.+)$", text, re.M) for key in ("accTitle", "accDescr"))
    return tuple(match[1].strip() if match else "" for match in found)


class Mermaid(SphinxDirective):
    """```mermaid: the committed SVG, with its caption and its words."""

    has_content = True

    def run(self):
        text = "\n".join(self.content)
        name, (title, description) = drawing(text), words(text)
        file = Path(self.env.srcdir) / FOLDER / name
        if not (title and description and file.exists()):
            lack = f"drawing {name}; run python tools/render_mermaid.py" if title and description else \
                "an accTitle: or accDescr: line; add it under the first line"
            logging.getLogger(__name__).warning("mermaid diagram without %s", lack, location=self.get_location())
            return []
        self.env.note_dependency(str(file))
        image = nodes.image(uri=f"/{FOLDER}/{name}", alt=description)
        caption = nodes.legend("", nodes.paragraph("", title))  # a caption would be numbered
        return [nodes.figure("", image, caption, classes=["ck-diagram"], align="center")]


def setup(app):
    app.add_directive("mermaid", Mermaid)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
