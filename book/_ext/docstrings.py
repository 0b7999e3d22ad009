"""Docstrings of the library as pages: what is plain text there must not be taken for markup here."""

import re

SECTION = re.compile(r"^(Args(?=: [\w*]+(?:, [\w*]+)*: )|Raises(?=: \w+: )|Returns|Source): (\S.*)")


def plain(app, what, name, obj, options, lines):
    """Formulas (indented after an empty line, above the sections) become blocks as written, less their label;
    `name` becomes code; a section that stands on one line becomes one that napoleon knows, if it names an argument
    or an error; an example (from >>> to the next empty line) stays as it is."""
    out, formula, sections, example = [], False, False, False
    for i, line in enumerate(lines):
        example = line.startswith(">>> ") or (example and bool(line.strip()))
        if example:
            out.append(line)
            continue
        header = SECTION.match(line)
        sections = sections or bool(header) or line.rstrip() in ("Args:", "Returns:", "Raises:")
        if header:
            out += ["", f"{header[1]}:", "    " + _escaped(header[2])]
            continue
        indented = line.startswith("    ") and not sections
        if indented and not formula and i and not lines[i - 1].strip():
            out += [".. code-block:: none", ""]
            formula = True
        elif line.strip() and not indented:
            if formula:
                out.append("")
            formula = False
        out.append(re.sub(r"\s+\(book: [a-z-]+\)", "", line) if formula else _escaped(line))
    lines[:] = out


def _escaped(line):
    line = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line)
    parts = re.split(r"(``.*?``)", line)
    return "".join(part if part.startswith("``") else re.sub(r"([*|]|_(?=\W|$))", r"\\\1", part)
                   for part in parts)


def setup(app):
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("autodoc-process-docstring", plain, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
