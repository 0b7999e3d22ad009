"""The whole book as one PDF: every page of the contents as built, then the solutions, opened, as an appendix.

    python tools/make_pdf.py        _build/html -> _build/coursekit.pdf
"""

import io
import sys
import time
from pathlib import Path

import yaml
from pypdf import PdfReader, PdfWriter

from browser import chromium, missing

ROOT = Path(__file__).parent.parent
HTML, PDF = ROOT / "_build" / "html", ROOT / "_build" / "coursekit.pdf"
PAPER = {"format": "A4", "print_background": True, "scale": 0.9,
         "margin": {"top": "16mm", "bottom": "16mm", "left": "14mm", "right": "14mm"}}
STILL = "* { animation: none !important; transition: none !important }"  # what fades in would be printed blank
# Links inside the book would lead to files of this machine.
PLAIN = """document.querySelectorAll('a[href]').forEach(a => {
    if (!/^https?:/.test(a.getAttribute('href'))) a.removeAttribute('href') })"""
FOLD = """document.querySelectorAll('.tag_solution, main details').forEach(e => { e.style.display = 'none' })"""
SOLUTIONS = """() => {
    const article = document.querySelector('article.bd-article');
    const head = document.querySelector('#jb-print-docs-body');
    const kept = [...article.querySelectorAll('section')].filter(s => s.querySelector(':scope > .tag_solution'));
    kept.forEach(s => [...s.children].forEach(e => {
        if (!e.matches('h2, h3, details, .tag_solution')) e.remove() }));
    article.replaceChildren(...kept);
    head.querySelector('h1').prepend('Solutions, ');
    head.querySelector('#print-main-content')?.remove();
    article.querySelectorAll('details, .tag_solution').forEach(e => { e.open = true; e.style.display = '' });
    return kept.length }"""


def contents():
    """The pages of _toc.yml in order, without suffix."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"]] + [chapter["file"] for part in toc.get("parts", [toc]) for chapter in part["chapters"]]


def leaves(page, name):
    """One page of the book as printed, and its solutions where it has some: (title, PDF) each."""
    page.goto((HTML / f"{name}.html").as_uri())
    page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
    title = page.title().split(" — ")[0]
    page.add_style_tag(content=STILL)
    page.evaluate(PLAIN)
    page.evaluate(FOLD)
    yield title, page.pdf(**PAPER)
    if page.evaluate(SOLUTIONS):
        yield f"Solutions, {title}", page.pdf(**PAPER)


def main():
    if lack := missing():
        sys.exit(lack)
    if not HTML.exists():
        sys.exit("missing: the built book (make book)")
    start, book = time.monotonic(), PdfWriter()
    with chromium(color_scheme="light", reduced_motion="reduce") as context:
        page = context.new_page()
        printed = [list(leaves(page, name)) for name in contents()]
    for part in (0, 1):  # the pages, then the appendix
        for title, pdf in (found[part] for found in printed if len(found) > part):
            at = len(book.pages)
            book.append(PdfReader(io.BytesIO(pdf)), import_outline=False)
            book.add_outline_item(title=title, page_number=at)
    book.add_metadata({"/Title": yaml.safe_load((ROOT / "_config.yml").read_text())["title"]})
    book.write(PDF)
    print(f"{PDF.relative_to(ROOT)}: {len(book.pages)} pages, {PDF.stat().st_size / 1e6:.1f} MB, "
          f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
