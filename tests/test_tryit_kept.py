"""Nobody loses an answer: two tabs, a reset, a browser that keeps nothing, a file, paper; and marks that agree."""

import io
import json

import pytest
from pypdf import PdfReader

from coursekit.exercises import EXERCISES
from test_browser import NARROW, lack, problems, visit
from test_tryit_page import ID, PAGE, RIGHT, WRONG, check, focused, opened, panel, told, verdict, write, written

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lack), reason=lack), pytest.mark.usefixtures("forgetful")]
MINE = RIGHT + "\n# mine"
TAB, KEPT = "Another tab holds another version of this answer.", "Another version of this answer is kept."
OLD = "You have changed the answer since this verdict."


@pytest.fixture
def second(context):
    """Another tab."""
    tab = context.new_page()
    yield tab
    tab.close()


def record(page):
    return json.loads(page.evaluate(f"localStorage.getItem('coursekit:{ID}')") or "{}")


def text_of(parts):
    return "\n".join(written(parts))


def lines(text):
    return "\n".join(text.splitlines())


def choice(parts):
    return parts.section.locator(".ck-choice")


def offered(parts):
    """What is said of another version, or None; waits for the news of another tab."""
    box = choice(parts)
    return box.locator("p").inner_text() if box.is_visible() else None


def fill(page):
    """Use up the browser's storage, to the last character."""
    page.evaluate("""() => {
        for (let size = 1 << 22, n = 0; size >= 1; ) {
            try { localStorage.setItem(`other:${n++}`, 'x'.repeat(size)); } catch { size >>= 1; }
        }}""")


# ---- two tabs

def test_what_one_tab_writes_does_not_replace_what_another_has_written(page, second, base):
    here, there = opened(page, base), opened(second, base)
    stub = text_of(here)
    write(second, there, RIGHT)
    choice(here).wait_for()
    assert offered(here) == TAB and offered(there) is None and text_of(here) == stub
    here.editor.focus()
    page.keyboard.press("Control+End")
    page.keyboard.type(" # ")
    choice(there).wait_for()
    assert offered(there) == TAB and text_of(there) == lines(RIGHT)
    assert record(page) == {"answer": f"{stub} # ", "others": [RIGHT]}
    second.close()
    visit(page, base, PAGE)
    here = panel(page)
    assert offered(here) == KEPT and text_of(here) == f"{stub} # "
    here.button("Show the other version").click()
    assert text_of(here) == lines(RIGHT) and record(page) == {"answer": RIGHT, "others": [f"{stub} # "]}
    here.button("Show the other version").click()
    assert text_of(here) == f"{stub} # ", "to and fro, and nothing is lost"
    here.button("Discard the other version").click()
    assert record(page) == {"answer": f"{stub} # "} and offered(here) is None and focused(page) == "Reset"


def test_both_tabs_type_in_turn_and_the_last_text_of_each_is_kept(page, second, base):
    here, there = opened(page, base), opened(second, base)
    for i in range(3):
        write(page, here, f"# here {i}")
        choice(there).wait_for()
        write(second, there, f"# there {i}")
        choice(here).wait_for()
    assert record(page) == {"answer": "# there 2", "others": ["# here 2"]}
    assert offered(here) == TAB and offered(there) == KEPT
    here.button("Discard the other version").click()
    there.section.get_by_text(TAB).wait_for()
    assert text_of(there) == "# there 2" and record(page) == {"answer": "# here 2"}


def test_a_reset_in_one_tab_does_not_delete_the_answer_of_another(page, second, base):
    here, there = opened(page, base), opened(second, base)
    write(second, there, RIGHT)
    choice(here).wait_for()
    here.button("Reset").click()
    assert record(page)["others"] == [RIGHT] and text_of(there) == lines(RIGHT)
    there.section.get_by_text("In another tab this answer was reset or erased.").wait_for()
    there.button("Keep this answer").click()
    assert record(page) == {"answer": RIGHT} and offered(there) is None


def test_a_tab_that_lay_aside_compares_before_it_writes(page, second, base):
    """Without the news: a tab that was frozen, or lay in the browser's memory."""
    here, there = opened(page, base), opened(second, base)
    page.evaluate("addEventListener('storage', event => event.stopImmediatePropagation(), true)")
    write(second, there, RIGHT)
    write(page, here, "# late")
    assert record(page) == {"answer": "# late", "others": [RIGHT]}


def test_a_mark_and_an_erasure_are_seen_in_other_tabs(page, second, base):
    here = opened(page, base)
    check(page, here, MINE)
    visit(second, base, "book/index.html")
    assert second.get_by_text(f"1 of {len(EXERCISES)} solved").is_visible()
    second.get_by_role("button", name="Erase", exact=True).click()
    second.get_by_role("button", name="Erase all").click()
    here.section.get_by_text("In another tab this answer was reset or erased.").wait_for()
    assert here.mark.inner_text() == "" and text_of(here) == lines(MINE) and record(page) == {}
    here.button("Show the stub").click()
    assert offered(here) == KEPT and record(page) == {"others": [MINE]}
    check(page, here, RIGHT)
    second.get_by_text(f"1 of {len(EXERCISES)} solved").wait_for()


# ---- a reset, and a verdict on another text

def test_a_reset_is_undone_by_a_button_on_a_phone_too_and_after_a_reload(page, base):
    page.set_viewport_size(NARROW)
    parts = opened(page, base)
    stub = text_of(parts)
    write(page, parts, MINE)
    parts.button("Reset").click()
    assert text_of(parts) == stub and offered(parts) == "The stub is back, and your answer is kept."
    parts.button("Undo the reset").click()
    assert text_of(parts) == lines(MINE) and record(page) == {"answer": MINE} and focused(page) == "Reset"
    parts.button("Reset").click()
    visit(page, base, PAGE)
    parts = panel(page)
    assert offered(parts) == KEPT and text_of(parts) == stub
    parts.button("Show the other version").click()
    assert text_of(parts) == lines(MINE) and offered(parts) is None
    parts.button("Reset").click()
    parts.button("Discard my answer").click()
    assert record(page) == {} and offered(parts) is None


def test_a_verdict_fades_once_the_text_is_another(page, base):
    parts = opened(page, base)
    check(page, parts, RIGHT)
    old = parts.section.get_by_text(OLD)
    edge = "e => getComputedStyle(e).borderLeftColor"
    green = parts.verdict.evaluate(edge)
    assert not old.is_visible()
    page.keyboard.type("#")
    assert old.is_visible() and parts.verdict.evaluate(edge) != green
    page.keyboard.press("Backspace")
    assert not old.is_visible() and parts.verdict.evaluate(edge) == green
    parts.button("Reset").click()
    assert old.is_visible() and parts.mark.inner_text() == "✓ solved", "that it was solved stays true"
    check(page, parts, WRONG)
    assert not old.is_visible() and verdict(parts) == told(WRONG)


# ---- a browser that keeps nothing

def test_storage_that_is_blocked_is_said_and_leaving_asks(page, base):
    page.add_init_script("Object.defineProperty(window, 'localStorage', "
                         "{get() { throw new DOMException('no', 'SecurityError'); }})")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    parts = opened(page, base)
    said = parts.section.locator(".ck-help")
    assert "does not let the page keep anything" in said.inner_text() and "stays in this" not in said.inner_text()
    write(page, parts, MINE)
    parts.button("Reset").click()
    parts.button("Undo the reset").click()
    assert text_of(parts) == lines(MINE)
    visit(page, base, "book/index.html")
    assert asked == ["beforeunload"]
    assert page.locator("#progress").inner_text().startswith("This browser does not let the pages keep anything")
    write(page, opened(page, base), MINE)
    panel(page, click=False).button("Copy to notebook").click()
    page.get_by_text("Copied.").wait_for()
    visit(page, base, "book/index.html")
    assert asked == ["beforeunload"], "what was copied is not lost"


def test_storage_that_is_full_is_said_as_long_as_it_is(page, base):
    parts = opened(page, base)
    said = parts.section.locator(".ck-help")
    write(page, parts, "# kept")
    fill(page)
    write(page, parts, MINE)
    assert "storage is full" in said.inner_text() and offered(parts) is None
    assert record(page) == {"answer": "# kept"}
    page.evaluate("localStorage.removeItem('other:0')")
    page.keyboard.type("!")
    assert "What you write stays in this browser." in said.inner_text()
    assert record(page) == {"answer": f"{MINE}!"} and offered(parts) is None and page.faults == []


# ---- a file, paper, and marks

def test_answers_move_to_another_browser_in_a_file(page, base, tmp_path):
    check(page, opened(page, base), MINE)
    visit(page, base, "book/index.html")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a file").click()
    saved.value.save_as(tmp_path / "answers.json")

    def load(path):
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="Load a file").click()
        chooser.value.set_files(path)

    page.evaluate("localStorage.clear()")
    visit(page, base, "book/index.html")
    assert not page.get_by_role("button", name="Save as a file").is_visible()
    load(tmp_path / "answers.json")
    page.get_by_text("Loaded 1 exercise.").wait_for()
    assert page.get_by_text(f"1 of {len(EXERCISES)} solved").is_visible() and record(page)["answer"] == MINE
    load(tmp_path / "answers.json")
    page.get_by_text("Loaded 1 exercise.").wait_for()
    assert "others" not in record(page)

    page.evaluate(f"localStorage.setItem('coursekit:{ID}', JSON.stringify({{answer: '# here'}}))")
    load(tmp_path / "answers.json")
    page.get_by_text("1 had another answer here: both are kept").wait_for()
    assert record(page).items() >= {"answer": "# here", "others": [MINE]}.items() and record(page)["solved"]
    parts = opened(page, base)
    assert offered(parts) == KEPT and text_of(parts) == "# here"

    visit(page, base, "book/index.html")
    for strange in ("{", "[]", "7", "null", '{"x": 1}', f'{{"{ID}": null}}', f'{{"{ID}": {{"answer": 7}}}}'):
        (tmp_path / "strange.json").write_text(strange)
        load(tmp_path / "strange.json")
        page.get_by_text("strange.json holds no answers.").wait_for()
    fill(page)
    (tmp_path / "long.json").write_text(json.dumps({"gae.recursion": {"answer": "# " * 99}}))
    load(tmp_path / "long.json")
    page.get_by_text("Not everything could be kept").wait_for()
    assert page.faults == []


def test_a_browser_that_asks_first_still_finds_the_file(page, base):
    check(page, opened(page, base), RIGHT)
    visit(page, base, "book/index.html")
    page.evaluate("HTMLAnchorElement.prototype.click = function () { window.asked = this.href }")
    page.get_by_role("button", name="Save as a file").click()
    page.wait_for_timeout(3000)
    assert ID in page.evaluate("new Promise((done, failed) => { const request = new XMLHttpRequest();"
                               "request.onload = () => done(request.responseText); request.onerror = failed;"
                               "request.open('GET', asked); request.send(); })")


@pytest.mark.parametrize("state", ["open", "closed", "not loaded"])
def test_paper_shows_the_answer_under_its_stub(page, base, state):
    parts = opened(page, base)
    check(page, parts, RIGHT)
    write(page, parts, MINE)
    if state == "closed":
        parts.button("Close").click()
    elif state == "not loaded":
        visit(page, base, PAGE)
    text = "".join(leaf.extract_text() for leaf in PdfReader(io.BytesIO(page.pdf())).pages)
    assert text.count("# mine") == 1 and text.count("Your answer ✓ solved") == 1
    assert "Check (" not in text and not page.locator(".ck-print").is_visible()
    page.emulate_media(media="print")
    below = page.locator(".ck-print").bounding_box()["y"]
    page.emulate_media(media="screen")
    stub = parts.section.locator(".tag_exercise")
    assert not stub.is_visible() if state == "open" else stub.is_visible()
    page.emulate_media(media="print")
    assert stub.is_visible() and stub.bounding_box()["y"] < below
    page.emulate_media(media="screen")


def test_the_table_of_exercises_has_the_marks_of_the_chapters(page, second, base):
    visit(second, base, "book/exercises.html")
    marks = second.locator(".ck-exercises .ck-mark")
    assert marks.evaluate_all("all => all.map(mark => mark.dataset.exercise)") == list(EXERCISES)
    assert second.get_by_text("✓ solved").count() == 0
    check(page, opened(page, base), RIGHT)
    second.get_by_text("✓ solved").wait_for()
    row = second.get_by_role("row").filter(has_text="✓ solved")
    assert row.count() == 1 and ID in row.inner_text()
    visit(page, base, "book/exercises.html")
    assert page.get_by_text("✓ solved").count() == 1 and page.faults == []


def test_the_states_of_a_kept_answer_are_accessible_wide_narrow_light_and_dark(page, second, served):
    here, there = opened(page, served), opened(second, served)
    check(page, here, MINE)
    here.button("Reset").click()
    states = {"reset": lambda: None, "tab": lambda: write(second, there, WRONG)}
    found = {}
    for what, change in states.items():
        change()
        here.section.get_by_text({"reset": "The stub is back", "tab": TAB}[what]).wait_for()
        page.mouse.move(0, 0)
        found[what] = problems(page, served, f"{what}.html", {})
    assert not any(found.values()), json.dumps(found, indent=1)
