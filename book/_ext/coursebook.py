"""What this book changes in a built page."""

import os
import re
from pathlib import Path

import nbformat

# What the theme's own parts lack, found by axe: (as it comes, as it leaves). Buttons are called what they
# show, the sidebar is a landmark, a header cell has words, a list of references is a list of paragraphs.
BODY = [(' aria-label="Toggle hidden content"', ""),
        (r'<th class="([^"]*)"><p></p></th>', r'<td class="\1"></td>'),
        (' role="doc-biblioentry"', ""),
        (r'<div role="list" class="citation-list">', '<div class="citation-list">')]
PAGE = [(r'(<button class="btn search-button-field[^>]*) aria-label="Search"', r"\1"),
        (r'(<i class="theme-switch [^>]*?)\s+title="[^"]*"', r"\1"),
        (r'<div id="pst-primary-sidebar" class=', '<div id="pst-primary-sidebar" role="region" '
                                                  'aria-label="Chapters and search" class='),
        # Colab opens the copies that install the library first, on a branch of their own.
        (r'(colab\.research\.google\.com/github/[^/"]+/[^/"]+/blob)/[^/"]+/book/', r"\1/colab/colab/")]
FIRST_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="_static/favicon.svg"><meta http-equiv="refresh" content="0; url={page}"></head>
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


# On Colab torch is there, and this extra takes any from 2.6 on: it is not installed once more.
INSTALL = """# Nothing to do where coursekit is installed; on Colab this takes a minute.
import importlib.util

if importlib.util.find_spec("coursekit") is None:
    !git clone -q --depth 1 {url} course
    %pip install -q "./course[gym]"
    %cd -q course/book
"""


def copy_for_colab(app, exception):
    """Where the repository's address is set: each notebook once more, with a first cell that installs coursekit
    if it is missing."""
    url = (app.config.html_theme_options or {}).get("repository_url")
    if exception or app.builder.format != "html" or not url:
        return
    folder = Path(app.outdir) / "colab"
    folder.mkdir(exist_ok=True)
    for path in sorted((Path(app.srcdir) / "book").glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(INSTALL.format(url=url), id="install"))
        nbformat.write(notebook, folder / path.name)


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


def quiet_kernels(app):
    """Start the chapters' kernels with settings of the book's own.

    What the reader's own IPython runs at its start stays out, and no kernel warns that it talks to the build in
    plain text: it does so within one machine.
    """
    settings = Path(app.outdir).parent / "ipython"
    profile = settings / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40  # errors alone\n")
    os.environ["IPYTHONDIR"] = str(settings)


def setup(app):
    for name in ("docstrings", "glossary", "lighter", "tables", "tryit"):
        app.setup_extension(name)
    app.connect("builder-inited", quiet_kernels)
    app.connect("config-inited", switch_buttons, priority=100)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("html-page-context", mend_body, priority=900)
    app.connect("build-finished", mend_pages)
    app.connect("build-finished", copy_for_colab)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
