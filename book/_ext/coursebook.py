"""What this book changes in a built page."""

import re
from pathlib import Path

# What the theme's own parts lack, found by axe: (as it comes, as it leaves). Buttons are called what they
# show, the sidebar is a landmark, a header cell has words, a list of references is a list of paragraphs.
BODY = [(' aria-label="Toggle hidden content"', ""),
        (r'<th class="([^"]*)"><p></p></th>', r'<td class="\1"></td>'),
        (' role="doc-biblioentry"', ""),
        (r'<div role="list" class="citation-list">', '<div class="citation-list">')]
PAGE = [(r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1"),
        (r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r"\1"),
        (r'<div id="pst-primary-sidebar" class=', '<div id="pst-primary-sidebar" role="region" '
                                                  'aria-label="Chapters and search" class=')]
FIRST_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="refresh" content="0; url={page}"></head>
<body><main><h1>{title}</h1><p><a href="{page}">Open the book</a></p></main></body></html>
"""


def drop_thebe(app, pagename, templatename, context, doctree):
    """sphinx-thebe puts its files on every page, even when off: one from a CDN, one that breaks."""
    for kind in ("script_files", "css_files"):
        context[kind] = [file for file in context.get(kind, [])
                         if "thebe" not in f"{file} {getattr(file, 'attributes', '')}".lower()]


def mend_body(app, pagename, templatename, context, doctree):
    """Names and roles in the page's own text."""
    context["body"] = _mended(context.get("body") or "", BODY)


def mend_pages(app, exception):
    """Names and roles in what the theme puts around the text; and the first page, which leads to the book."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text()
        if (mended := _mended(text, PAGE)) != text:
            path.write_text(mended)
    first = FIRST_PAGE.format(title=app.config.html_title or app.config.project,
                              page=f"{app.config.root_doc}.html")
    (Path(app.outdir) / "index.html").write_text(first)


def _mended(text, changes):
    for pattern, replacement in changes:
        text = re.sub(pattern, replacement, text)
    return text


def switch_buttons(app, config):
    """One setting, the repository's address, turns on every button that needs it."""
    options = config.html_theme_options
    if not options.get("repository_url"):
        return
    options.update(use_repository_button=True, use_issues_button=True, use_edit_page_button=True)
    options.setdefault("launch_buttons", {}).update(
        binderhub_url="https://mybinder.org", colab_url="https://colab.research.google.com")


def setup(app):
    app.setup_extension("diagrams")
    app.connect("config-inited", switch_buttons, priority=100)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", mend_body, priority=900)
    app.connect("build-finished", mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
