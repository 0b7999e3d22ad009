"""The whole book as one PDF: cover, contents, every page as built, then the solutions, opened, as an appendix.

    python tools/make_pdf.py        _build/html -> _build/coursekit.pdf
"""

import io
import sys
import time
from html import escape
from pathlib import Path

import yaml
from pypdf import PdfReader, PdfWriter

import coursekit
from browser import chromium, missing

ROOT = Path(__file__).parent.parent
HTML, PDF = ROOT / "_build" / "html", ROOT / "_build" / "coursekit.pdf"
PAPER = {"format": "A4", "print_background": True, "scale": 0.8,
         "margin": {"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"}}
# What fades in would be printed blank; the contents of a page are in those of the book.
STILL = """* { animation: none !important; transition: none !important }
    #print-main-content { display: none }"""
FRONT = """<style>
    body { font: 12pt sans-serif; margin: 0 } h1 { font-size: 32pt; margin: 70mm 0 8mm } h2 { font-size: 20pt }
    .row { display: flex; margin: 2.2mm 0 } .dots { flex: 1; border-bottom: 1px dotted #888; margin: 0 2mm 1mm }
    .late { margin-top: 90mm; color: #555 }</style>"""
NUMBERS = """<style>
    @page { margin: 0 } body { margin: 0; font: 9pt sans-serif; color: #555 }
    div { height: 296mm; position: relative; break-after: page }
    span { position: absolute; bottom: 8mm; width: 100%; text-align: center }</style>"""
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


def printed_html(page, html, **options):
    page.set_content(html)
    return PdfReader(io.BytesIO(page.pdf(**PAPER | options)))


def cover(page, config):
    return printed_html(page, f"""{FRONT}<h1>{escape(config["title"])}</h1>
        <p>An executable course, from TD versus Monte Carlo to PPO with four models for language models</p>
        <p class="late">{escape(config["author"])}, {config["copyright"]} · version {coursekit.__version__}</p>
        {config["html"]["extra_footer"]}""")


def table(page, parts, at):
    """The contents: each title with the number of its first page. at: pages before the first part."""
    rows = []
    for title, pdf in parts:
        rows.append(f'<div class="row"><span>{escape(title)}</span><span class="dots"></span>{at + 1}</div>')
        at += len(pdf.pages)
    return printed_html(page, FRONT + "<h2>Contents</h2>" + "".join(rows))


def stamp(page, book):
    """Write the number of each page at its foot, but not on the cover."""
    numbers = "".join(f"<div><span>{n + 1 if n else ''}</span></div>" for n in range(len(book.pages)))
    stamps = printed_html(page, NUMBERS + numbers, scale=1, margin={}).pages
    for leaf, number in zip(book.pages, stamps, strict=True):
        leaf.merge_page(number)
        leaf.compress_content_streams()


def bound(page, config, parts):
    """Cover, contents and parts, (title, PDF) each, as one PDF with numbers and an outline."""
    book, front = PdfWriter(), cover(page, config)
    at = len(front.pages) + len(table(page, parts, 0).pages)
    for title, pdf in [("Cover", front), ("Contents", table(page, parts, at)), *parts]:
        at = len(book.pages)
        book.append(pdf, import_outline=False)
        book.add_outline_item(title=title, page_number=at)
    stamp(page, book)
    book.add_metadata({"/Title": config["title"], "/Author": config["author"]})
    return book


def main():
    if lack := missing():
        sys.exit(lack)
    if not HTML.exists():
        sys.exit("missing: the built book (make book)")
    start = time.monotonic()
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    with chromium(color_scheme="light", reduced_motion="reduce") as context:
        page = context.new_page()
        printed = [list(leaves(page, name)) for name in contents()]
        # the pages, then the appendix
        parts = [found[part] for part in (0, 1) for found in printed if len(found) > part]
        book = bound(page, config, [(title, PdfReader(io.BytesIO(pdf))) for title, pdf in parts])
    book.write(PDF)
    print(f"{PDF.relative_to(ROOT)}: {len(book.pages)} pages, {PDF.stat().st_size / 1e6:.1f} MB, "
          f"{time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()
