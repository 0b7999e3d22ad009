"""The first time a chapter uses a term of the glossary, the term leads there.

Some terms are ordinary words too (ORDINARY): "return the sum", "the value 3", "a ratio of two costs". Those lead
there only where the text sets them in italics or bold, as it does where it introduces a term. Exercises hold no
links: what they ask for is a function, and their hints are read while one thinks.
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

ORDINARY = {"actor", "advantage", "ceiling", "gold", "potential", "ratio", "reference", "return", "trace", "value"}
SET = (nodes.strong, nodes.emphasis)
PLAIN = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math,
         nodes.legend, nodes.table, nodes.raw, addnodes.pending_xref)


def terms(book):
    """The words that book/glossary.md explains."""
    return re.findall(r"^(\S.*)\n  \S", (Path(book) / "glossary.md").read_text(), re.M)


def link_words(app, doctree):
    """Chapters only; running text only, not headings, links, code, tables or exercises; each term once."""
    docname = Path(app.env.docname)
    if not docname.name[:1].isdigit():
        return
    left = {term.lower(): term for term in terms(Path(app.srcdir) / docname.parent)}
    for text in list(doctree.findall(nodes.Text)):
        found = meant(text, left)
        if found:
            _replace(text, found, left.pop(found[1].lower()))
    app.env.note_dependency(str(Path(app.srcdir) / docname.parent / "glossary.md"))


def meant(text, left):
    """The first term of `left` that a piece of text means, as a match, or None."""
    introduced = isinstance(text.parent, SET)
    paragraph = text.parent.parent if introduced else text.parent
    known = [term for term in left if (term in ORDINARY) <= introduced]
    if not known or not isinstance(paragraph, nodes.paragraph) or _inside(text, PLAIN) or _in_exercise(text):
        return None
    words = rf"\b({'|'.join(map(re.escape, sorted(known, key=len, reverse=True)))})s?\b"
    return re.fullmatch(words, text, re.I) if introduced else re.search(words, text, re.I)


def _inside(node, kinds):
    while node := node.parent:
        if isinstance(node, kinds):
            return True
    return False


def _in_exercise(node):
    while node := node.parent:
        if isinstance(node, nodes.section) and node[0].astext().startswith("Exercise "):
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
