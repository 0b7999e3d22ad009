"""For all tests: Ctrl-C counts, no figure stays open. For those of the pages: a browser, the built book served."""

import functools
import http.server
import json
import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from browser import chromium

try:
    import hypothesis
except ImportError:  # a newcomer's environment: no test that is run there needs it
    pass
else:  # no test asserts seconds: a busy machine takes longer
    hypothesis.settings.register_profile("course", hypothesis.settings(), deadline=None)
    hypothesis.settings.register_profile(  # make mutants
        "mutants", deadline=None, max_examples=30, database=None, derandomize=True,
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate])
    hypothesis.settings.load_profile("course")

# make mutants: mutmut runs the tests that reach a function in no order, each mutant in a fork of one process.
MUTATING, MEASURED = "MUTANT_UNDER_TEST" in os.environ, Path("mutmut-stats.json")
if MUTATING:  # an optimiser imports it when it is made: 1.3 s in every fork
    import torch._dynamo  # noqa: F401

ROOT = Path(__file__).parent.parent
HTML = ROOT / "_build" / "html"

# Started in the background, a shell's programs ignore Ctrl-C, and so would all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many files

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size, daemon_threads = 128, True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """What needs the built book, or the built package, is slow. Files with slow tests come first: the others then
    fill what is left of the time that the workers of `make test` have."""
    for item in items:
        if {"html", "archives"} & set(item.fixturenames):
            item.add_marker("slow")
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
    if MUTATING and MEASURED.exists():  # the quickest first: most mutants fall in the first tenth of a second
        seconds = json.loads(MEASURED.read_text())["duration_by_test"]
        items.sort(key=lambda item: seconds.get(item.nodeid, 0))


@pytest.fixture(autouse=True)
def closed_figures():
    """What a chapter's code draws in one test is not open in the next: pyplot warns from 20 on."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(scope="session")
def served():
    handler = functools.partial(Quiet, directory=str(HTML))
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def context():
    with chromium(viewport={"width": 1280, "height": 900}, reduced_motion="reduce") as browser:
        browser.set_default_timeout(120_000)  # a busy machine takes longer than Playwright's 30 s
        yield browser


def left_behind(url, failure):
    """Whether a request failed because its page was left: a page starts a worker ahead of need, from a blob, and
    whoever goes on within 60 ms aborts the reading of its script."""
    return url.startswith("blob:") and failure == "net::ERR_ABORTED"


@pytest.fixture
def page(context):
    """A page that remembers what went wrong on it, in page.faults."""
    page = context.new_page()
    page.faults = []
    page.on("console", lambda m: page.faults.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("requestfailed", lambda r: page.faults.append(f"failed: {r.url}")
            if not left_behind(r.url, r.failure) else None)
    page.on("response", lambda r: page.faults.append(f"{r.status}: {r.url}") if r.status >= 400 else None)
    page.on("request", lambda r: page.faults.append(f"outside: {r.url}")
            if not r.url.startswith(("http://127.0.0.1:", "file://", "data:", "blob:")) else None)
    yield page
    page.close()


@pytest.fixture
def forgetful(page):
    """What a test leaves in the browser is not there for the next one."""
    yield
    page.evaluate("() => { try { localStorage.clear() } catch {} }")


@pytest.fixture(params=["http", "file"])
def base(request, served):
    """Where the built book is read: from a server, or from the disk."""
    return served if request.param == "http" else HTML.as_uri()
