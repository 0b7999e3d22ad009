"""The built book as a person meets it: in a browser, on a wide and a narrow screen, by light and by night.

    make test-browser        builds the book, then runs this; screenshots go to _build/screenshots
"""

import functools
import http.server
import json
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HTML, SHOTS = ROOT / "_build" / "html", ROOT / "_build" / "screenshots"
sys.path.insert(0, str(ROOT / "tools"))
from browser import chromium, missing, npm_file  # noqa: E402

PAGES = sorted(str(p.relative_to(HTML)) for p in [*HTML.glob("book/**/*.html"), *HTML.glob("[gps]*.html")])
lack = missing("axe-core") or ("" if PAGES else "missing: the built book (make book)")
pytestmark = pytest.mark.skipif(bool(lack), reason=lack)
WIDE, NARROW = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many files

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True


@pytest.fixture(scope="session")
def served():
    handler = functools.partial(Quiet, directory=str(HTML))
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="session")
def context():
    with chromium(viewport=WIDE, reduced_motion="reduce") as browser:
        yield browser


@pytest.fixture
def page(context):
    """A page that remembers what went wrong on it, in page.faults."""
    page = context.new_page()
    page.faults = []
    page.on("console", lambda m: page.faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("requestfailed", lambda r: page.faults.append(f"failed: {r.url}"))
    page.on("response", lambda r: page.faults.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on("request", lambda r: page.faults.append(f"outside: {r.url}")
            if not r.url.startswith(("http://127.0.0.1:", "file://", "data:", "blob:")) else None)
    yield page
    page.close()


def visit(page, base, name):
    page.goto(f"{base}/{name}", wait_until="load")
    page.evaluate("async () => { if (window.MathJax) await MathJax.startup.promise }")
    page.evaluate("document.querySelectorAll('img[loading=lazy]').forEach(i => i.loading = 'eager')")


def sound(page):
    """Formulas, images, width and console of the page as it stands."""
    state = page.evaluate("""() => ({
        math: document.querySelectorAll('.math').length,
        typeset: document.querySelectorAll('.math mjx-container').length,
        wrong: [...document.querySelectorAll('mjx-merror, [data-mjx-error]')].map(e => e.textContent),
        broken: [...document.images].filter(i => i.checkVisibility() && !(i.complete && i.naturalWidth)).map(i => i.src),
        wordless: [...document.images].filter(i => !i.alt).map(i => i.src.slice(0, 80)),
        over: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth) - innerWidth})""")
    assert state["wrong"] == [] and state["typeset"] >= state["math"], state
    assert state["broken"] == [] and state["wordless"] == [], state
    assert state["over"] <= 0, f"scrolls sideways by {state['over']} px: {wide_ones(page)}"
    assert page.faults == [], page.faults


def wide_ones(page):
    return page.evaluate("""() => [...document.querySelectorAll('main *')].filter(e =>
        e.getBoundingClientRect().right > innerWidth + 1).slice(0, 5).map(e => e.outerHTML.slice(0, 120))""")


def violations(page, *, rules=None):
    only = {"type": "rule", "values": rules} if rules else {"type": "tag", "values": TAGS}
    found = page.evaluate("""async only => (await axe.run(document, {runOnly: only,
        resultTypes: ['violations']})).violations.map(v => [v.id, v.nodes.length,
        v.nodes.slice(0, 3).map(n => [n.target.join(' '), n.html.slice(0, 160), (n.any[0] || n.all[0] || n.none[0] || {}).message])])""", only)
    return found


def by(page, scheme, size):
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size(size)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=scheme)


def shoot(page, name, what):
    SHOTS.mkdir(parents=True, exist_ok=True)
    file = SHOTS / f"{Path(name).stem}-{what}.jpg"
    page.screenshot(path=file, full_page=True, type="jpeg", quality=60)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_and_accessible(page, served, name):
    visit(page, served, name)
    page.add_script_tag(path=npm_file("axe-core"))
    found = {}
    for size, what in ((WIDE, "wide"), (NARROW, "narrow")):
        for scheme in ("light", "dark"):
            by(page, scheme, size)
            sound(page)
            rules = None if scheme == "light" else ["color-contrast"]  # the other rules are blind to colour
            found[f"{what} {scheme}"] = violations(page, rules=rules)
            if (what, scheme) in (("wide", "light"), ("narrow", "dark")):
                shoot(page, name, f"{what}-{scheme}")
    found = {k: v for k, v in found.items() if v}
    assert not found, json.dumps(found, indent=1)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_sound_as_a_file(page, name):
    visit(page, HTML.as_uri(), name)
    for size in (WIDE, NARROW):
        for scheme in ("light", "dark"):
            by(page, scheme, size)
            sound(page)
