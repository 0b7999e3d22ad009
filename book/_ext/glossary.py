"""The first time a chapter uses a word of the glossary, the word leads there."""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

PLAIN = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.strong, nodes.emphasis,
         nodes.legend, nodes.table, nodes.raw, addnodes.pending_xref)


def terms(book):
    """The words that book/glossary.md explains."""
    return re.findall(r"^(\S.*)\n  \S", (Path(book) / "glossary.md").read_text(), re.M)


def link_words(app, doctree):
    """Chapters only; running text only, not headings, links, code or tables; each word once."""
    docname = Path(app.env.docname)
    if not docname.name[:1].isdigit():
        return
    left = {term.lower(): term for term in terms(Path(app.srcdir) / docname.parent)}
    for text in list(doctree.findall(nodes.Text)):
        if left and isinstance(text.parent, nodes.paragraph) and not _inside(text, PLAIN):
            found = re.search(rf"\b({'|'.join(map(re.escape, left))})s?\b", text, re.I)
            if found:
                _replace(text, found, left.pop(found[1].lower()))
    app.env.note_dependency(str(Path(app.srcdir) / docname.parent / "glossary.md"))


def _inside(node, kinds):
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def _replace(text, found, term):
    word = nodes.inline("", found[0], classes=["xref", "std", "std-term"])
    link = addnodes.pending_xref("", word, refdomain="std", reftype="term", reftarget=term, refexplicit=True,
                                 refwarn=True)
    before, after = text[:found.start()], text[found.end():]
    text.parent.replace(text, [nodes.Text(before), link, nodes.Text(after)])


def setup(app):
    app.connect("doctree-read", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
