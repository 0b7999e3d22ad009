"""The built book as a person meets it: in a browser, on a wide and a narrow screen, by light and by night.

    make test-browser        builds the book, then runs this; screenshots of every page go to _build/screenshots
                             where COURSEKIT_SHOTS is set
"""

import io
import itertools
import json
import os
import re
from functools import partial
from pathlib import Path

import pytest
from pypdf import PdfReader

import make_pdf
from browser import missing, npm_file
from oracles import ORACLES

ROOT = Path(__file__).parent.parent
HTML, SHOTS = ROOT / "_build" / "html", ROOT / "_build" / "screenshots"

PAGES = sorted(str(p.relative_to(HTML)) for p in [*HTML.glob("book/**/*.html"), *HTML.glob("[gs]*.html")])
CHAPTERS = [name for name in PAGES if Path(name).stem[:1].isdigit()]
lack = missing("axe-core") or ("" if PAGES else "missing: the built book (make book)")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lack), reason=lack)]
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# The rules that look at colours and places.
DRAWING = ("color-contrast", "link-in-text-block", "scrollable-region-focusable", "target-size")


def visit(page, base, name):
    """Open a page, and wait until all is there. On a busy machine a transition takes as long as it likes: none."""
    page.goto(f"{base}/{name}", wait_until="load")
    page.add_style_tag(content="*, ::before, ::after {transition: none !important}")
    page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")


STATE = """() => {
    const images = [...document.images].filter(image => image.checkVisibility()), page = document.documentElement;
    return {math: document.querySelectorAll('.math').length,
            typeset: document.querySelectorAll('.math mjx-container').length,
            wrong: [...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(e => e.textContent),
            broken: images.filter(i => !(i.complete && i.naturalWidth)).map(i => i.src),
            wordless: [...document.images].filter(i => !i.alt).map(i => i.src.slice(0, 80)),
            over: Math.max(page.scrollWidth, document.body.scrollWidth) - innerWidth}}"""
# axe fetches style sheets again for one rule, which a browser refuses from file://. The hidden frames of a figure,
# half of a page's elements, are taken out meanwhile: nobody meets them.
AXE = """async only => {
    const frames = [...document.querySelectorAll('[data-frame]')];
    const back = frames.filter(frame => frame.style.display === 'none').map(frame => {
        const place = document.createComment('');
        frame.replaceWith(place);
        return () => place.replaceWith(frame);
    });
    const found = await axe.run(document, {
        runOnly: only, resultTypes: ['violations'], preload: location.protocol !== 'file:'});
    back.forEach(put => put());
    return found.violations.map(
        v => [v.id, v.nodes.slice(0, 3).map(node => [node.target.join(' '), node.html.slice(0, 160)])])}"""
# What axe looks at, as two numbers: elements, words and what is seen of them; the same with places and colours.
DRAWN = """base => {
    const sum = text => [...text].reduce((sum, c) => Math.imul(sum, 31) + c.charCodeAt(0) | 0, 0);
    const html = document.body.outerHTML.replaceAll(base, ''), seen = [], drawn = [];
    for (const element of document.querySelectorAll('body, body *')) {
        const style = getComputedStyle(element), {x, y, width, height} = element.getBoundingClientRect();
        seen.push(style.display, style.visibility, style.opacity, !(width && height));
        drawn.push(x, y, width, height, style.color, style.backgroundColor, style.backgroundImage);
    }
    return [sum(html.replace(/ class="[^"]*"/g, '') + seen), sum(html + seen + drawn)]}"""


def sound(page):
    """Formulas, images, width and console of the page as it stands."""
    state = page.evaluate(STATE)
    assert state["wrong"] == [] and state["typeset"] >= state["math"], state
    assert state["broken"] == [] and state["wordless"] == [], state
    assert state["over"] <= 0, f"scrolls sideways by {state['over']} px: {wide_ones(page)}"
    assert page.faults == [], page.faults


def wide_ones(page):
    return page.evaluate("""() => [...document.querySelectorAll('main *')].filter(e =>
        e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120))""")


def violations(page, *rules):
    """What axe finds: [rule, [[where, what], …]]."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=npm_file("axe-core"))
    return page.evaluate(AXE, {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS})


def by(page, scheme, size):
    """Another scheme and another size."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=scheme)


def shoot(page, name, what):
    """A picture, where pictures are wanted."""
    if not os.environ.get("COURSEKIT_SHOTS"):
        return
    SHOTS.mkdir(parents=True, exist_ok=True)
    file = SHOTS / f"{Path(name).stem}-{what}.jpg"
    height = min(page.evaluate("document.documentElement.scrollHeight"), 30_000)  # a JPEG has an end
    page.screenshot(path=file, full_page=True, type="jpeg", quality=60,
                    clip={"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height})


STATES = {f"{what} {scheme}": (size, scheme) for what, size in (("wide", WIDE), ("narrow", NARROW))
          for scheme in ("light", "dark")}


def problems(page, base, name, drawn):
    """{state: what axe finds} of a page that is sound, wide and narrow, by day and by night. By night axe is asked
    only of colours and places, unless more is another; and not at all where it is `drawn` as it was before."""
    found, by_day = {}, {}
    for state, (size, scheme) in STATES.items():
        by(page, scheme, size)
        sound(page)
        seen, whole = page.evaluate(DRAWN, base)
        known = scheme == "dark" and by_day[size["width"]] == seen
        by_day[size["width"]] = seen
        if drawn.get(state) != whole:
            drawn[state] = whole
            found[state] = violations(page, *DRAWING if known else ())
            shoot(page, name, state.replace(" ", "-"))
    return {state: broken for state, broken in found.items() if broken}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_and_accessible(page, served, name):
    """From a server and from the disk: drawn the same, it is accessible the same."""
    found, drawn = {}, {}
    for base in (served, HTML.as_uri()):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)
        visit(page, base, name)
        found[base] = problems(page, base, name, drawn)
    assert not any(found.values()), json.dumps(found, indent=1)


@pytest.mark.parametrize("name", CHAPTERS)
def test_a_chapter_loads_in_under_4_megabytes(page, served, name):
    loaded = []
    page.on("response", lambda r: loaded.append(int(r.headers.get("content-length", 0))))
    visit(page, served, name)
    page.evaluate("document.fonts.ready")
    assert 1e6 < sum(loaded) < 4e6


@pytest.mark.parametrize("base", ["http", "file"])
def test_the_front_door_leads_to_the_book(page, served, base):
    page.goto((served if base == "http" else HTML.as_uri()) + "/index.html")
    page.wait_for_url("**/book/index.html")
    assert page.faults == [] and page.title()


# What is folded into a <details>, where it is seen.
INSIDE = """details => {
    const inside = details.querySelector(':scope > :not(summary)');
    return inside.checkVisibility({visibilityProperty: true}) && inside.offsetHeight && inside.innerText.trim()}"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_everything_hidden_opens_by_click_and_by_keyboard(page, served, name):
    visit(page, served, name)
    folded = page.locator("main details").element_handles()
    for details in folded:
        summary = details.query_selector("summary")
        assert not details.evaluate(INSIDE), summary.inner_text()
        for how, seen in ((summary.click, True), (partial(summary.press, "Enter"), False),
                          (partial(summary.press, "Space"), True)):
            how()
            assert bool(details.evaluate(INSIDE)) == seen, summary.inner_text()
    assert folded and page.faults == []


def positions(figure):
    """The controls of a figure, each as [(its value in words, a function that sets it by keyboard or click)]."""
    for control in figure.locator("input[type=range], fieldset").all():
        if control.get_attribute("type") == "range":
            words = control.get_attribute("data-values").split("|")
            yield [(word, partial(turn, control, i)) for i, word in enumerate(words)]
        else:
            yield [(label.inner_text().strip(), label.locator("input").check)
                   for label in control.locator("label").all()]


def turn(dial, position):
    """Every position follows the one before it: one step on, or back to the start."""
    dial.press("ArrowRight" if position else "Home")


SHOWN = """(figure, [status, dials]) => ({
    text: status.innerText, heard: dials.map(dial => dial.getAttribute("aria-valuetext")),
    frames: [...figure.querySelector("svg").querySelectorAll("g[data-frame]")]
        .filter(g => g.style.display !== "none").map(g => g.dataset.frame)})"""


@pytest.mark.parametrize("base", ["http", "file"])
@pytest.mark.parametrize("name", CHAPTERS)
def test_a_figure_moves_to_the_numbers_of_the_library(page, served, name, base):
    """Every combination of its controls: the words, the one visible frame, and the words for who hears it."""
    visit(page, served if base == "http" else HTML.as_uri(), name)
    figures = page.locator("figure.ck-slider").all()
    assert len(figures) == len(ORACLES[Path(name).stem]), "an oracle for each figure: see tests/oracles.py"
    for figure, oracle in zip(figures, ORACLES[Path(name).stem]):
        parts = [figure.get_by_role("status").element_handle(), figure.get_by_role("slider").element_handles()]
        combinations, before = list(itertools.product(*positions(figure))), itertools.repeat(None)
        for i, (chosen, numbers) in enumerate(zip(combinations, oracle(), strict=True)):
            for now, last in zip(chosen, before):
                if now is not last:
                    now[1]()
            shown, before = figure.evaluate(SHOWN, parts), chosen
            text = shown["text"]
            assert text.startswith(f"{', '.join(word for word, _ in chosen)}: {numbers}"), (i, text, numbers)
            assert "\n" not in text.strip()
            assert shown["frames"] == [str(i)]
            assert all(heard in text for heard in shown["heard"])
        assert not figure.locator("img").is_visible()
    assert page.faults == []


@pytest.mark.parametrize("base", ["http", "file"])
def test_the_search_finds_pages_without_a_network(page, served, base):
    page.goto((served if base == "http" else HTML.as_uri()) + "/search.html?q=whitening")
    page.wait_for_selector("#search-results ul.search li a")
    assert "02_gae.html" in page.content() and page.faults == []


def test_the_cheat_sheet_prints_on_one_sheet_of_a4(page, served):
    visit(page, served, "book/cheat_sheet.html")
    margin = dict.fromkeys(("top", "bottom", "left", "right"), "12mm")
    sheet = PdfReader(io.BytesIO(page.pdf(format="A4", margin=margin)))
    assert len(sheet.pages) == 1 and "replies never end" in sheet.pages[0].extract_text()


def test_the_pdf_has_a_cover_numbers_at_the_foot_and_contents_that_know_them(page):
    leaf = '<p style="break-before: page">'
    parts = [(title, make_pdf.printed_html(page, f"<p>{title}</p>" + leaf * (pages - 1))) for title, pages in (
        ("Chapter 0", 2), ("Chapter 1", 1))]
    book = make_pdf.bound(page, {"title": "T", "author": "A", "copyright": "", "html": {"extra_footer": ""}}, parts)
    cover, contents, chapter, _, last = (leaf.extract_text() for leaf in book.pages)
    assert "T" in cover and "Chapter 0" in chapter and "Chapter 1" in last and last.endswith("5")
    assert re.findall(r"(Chapter \d)\s+(\d)", contents) == [("Chapter 0", "3"), ("Chapter 1", "5")]


def test_without_scripts_a_slider_shows_its_start(page, served):
    def forbid(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"Content-Security-Policy": "script-src 'none'"})

    page.route("**/02_gae.html", forbid)
    page.goto(f"{served}/book/02_gae.html")
    figure = page.locator("figure.ck-slider").last
    figure.get_by_role("slider").press("Home")
    assert figure.get_by_role("status").inner_text().startswith("λ = 0.95: advantages")
    assert figure.locator("svg").first.is_visible() and not figure.locator("img").is_visible()
