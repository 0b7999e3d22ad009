"""Exercises solved on the page: by keyboard, by night, on a phone, without a network and without storage."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from coursekit.autograder.check import grade
from coursekit.exercises import EXERCISES
from notebooks import solution
from test_browser import CHAPTERS, lack, problems, visit

pytestmark = [pytest.mark.slow, pytest.mark.skipif(bool(lack), reason=lack), pytest.mark.usefixtures("forgetful")]
PAGE, ID, NUMBER = "book/00_before_you_start.html", "start.critic", "exercise 0.3"
RIGHT = solution("00_before_you_start", ID)
WRONG = """def critic_update(value, reward, next_value, terminated, gamma, alpha):
    print("asked", value)
    return value + alpha * (reward + gamma * next_value - value)
"""
ENDLESS = "def critic_update(*numbers):\n    while True:\n        pass\n"


def opened(page, base, *, click=True):
    visit(page, base, PAGE)
    return panel(page, click=click)


def panel(page, *, click=True, exercise=ID, number=NUMBER):
    """The parts of one exercise; click: open it first."""
    section = page.locator(f"section:has(> [data-exercise='{exercise}'])")
    parts = SimpleNamespace(
        section=section, open=section.get_by_role("button", name=f"Try it here: {number}"),
        editor=section.get_by_role("textbox", name=f"Your answer to {number}"),
        verdict=section.locator(".ck-verdict pre"), mark=section.locator(".ck-offer span"),
        button=lambda name: section.get_by_role("button", name=name))
    if click:
        parts.open.click()
        parts.editor.wait_for()
    return parts


def write(page, parts, text):
    parts.editor.focus()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(text)


def check(page, parts, text):
    """The verdict on a text, in lines."""
    write(page, parts, text)
    page.keyboard.press("Control+Enter")
    parts.button("Check").wait_for()
    parts.verdict.wait_for()
    return verdict(parts)


def verdict(parts):
    return parts.verdict.text_content().rstrip("\n").split("\n")


def told(text):
    """What `check` says in the notebook."""
    names = {"np": np, "print": lambda *_: None}
    exec(text, names)
    return list(grade(EXERCISES[ID], names[EXERCISES[ID].function]).lines)


def written(parts):
    """The text in the editor, line by line."""
    return parts.editor.locator(".cm-line").all_inner_texts()


def focused(page):
    return page.evaluate("document.activeElement.ariaLabel || document.activeElement.textContent.trim()")


def tab_to(page, name, *, within):
    for _ in range(within):
        page.keyboard.press("Tab")
        if focused(page).startswith(name):
            return
    raise AssertionError(f"{name!r} is not within {within} tabs; the focus is on {focused(page)!r}")


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_exercise_of_a_chapter_is_offered_and_nothing_is_loaded_for_it(page, served, name):
    asked = []
    page.on("request", lambda r: asked.append(r.url))
    visit(page, served, name)
    own = [e.id for e in EXERCISES.values() if f"book/{e.notebook}.html" == name]
    assert page.locator(".ck-offer").evaluate_all("bars => bars.map(bar => bar.dataset.exercise)") == own
    assert not [url for url in asked if "/try/" in url] and page.faults == []


def test_one_exercise_by_keyboard_alone(page, base):
    parts = opened(page, base, click=False)
    parts.section.locator("summary").first.focus()
    tab_to(page, "Try it here", within=3)
    page.keyboard.press("Enter")
    page.wait_for_function("name => document.activeElement.ariaLabel === name", arg=f"Your answer to {NUMBER}")
    page.keyboard.press("Control+A")
    for line in ("def critic_update(value, reward, next_value, terminated, gamma, alpha):",
                 "if terminated: # the new line is indented, and so is this",
                 "next_value = 1.0"):
        page.keyboard.type(line)
        page.keyboard.press("Enter")
    page.keyboard.press("Backspace")  # out of the if
    page.keyboard.type("return value + alpha * (reward + gamma * next_value - value)")
    page.keyboard.press("Control+Enter")
    parts.verdict.wait_for()
    wrong = "\n".join(written(parts))
    assert "\n        next_value = 1.0\n    return" in wrong and verdict(parts) == told(wrong)

    page.keyboard.press("Tab")  # indents, and stays
    assert written(parts)[-1].startswith("        return") and focused(page).startswith("Your answer")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Escape")
    page.wait_for_timeout(2500)  # CodeMirror by itself waits two seconds for the Tab
    tab_to(page, "Check", within=1)
    tab_to(page, "Hint 1", within=1)
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    hints = parts.section.locator(".ck-hints").inner_text()
    assert hints.startswith("Hint 1: ") and "Hint 2: " in hints and focused(page) == "No more hints"
    tab_to(page, "Show the solution", within=1)
    page.keyboard.press("Enter")
    assert parts.section.locator(".tag_solution details[open]").count() == 1
    assert page.evaluate("document.activeElement.closest('details').matches('.tag_solution details')")

    for _ in range(9):
        page.keyboard.press("Shift+Tab")
        if focused(page).startswith("Check"):
            break
    page.keyboard.press("Shift+Tab")  # Check, then the editor
    for key in ("ArrowUp", "End", "Backspace", "Backspace", "Backspace"):
        page.keyboard.press(key)
    page.keyboard.type("0.0")
    page.keyboard.press("Escape")
    tab_to(page, "Check", within=1)
    page.keyboard.press("Space")
    parts.section.get_by_text("✓ solved").wait_for()
    assert verdict(parts) == told(RIGHT) and focused(page).startswith("Check") and page.faults == []


def test_stub_hints_and_solution_stand_on_the_page_once(page, base):
    parts = opened(page, base)
    stub, hint, solution = (parts.section.locator(f":scope > {where}").first
                            for where in (".tag_exercise", "details", ".tag_solution"))
    assert not stub.is_visible() and not hint.is_visible() and not solution.is_visible()
    parts.button("Show the solution").click()
    assert solution.is_visible() and parts.section.get_by_text("_solution(").count() == 1
    parts.button("Close").click()
    assert stub.is_visible() and hint.is_visible() and page.get_by_text("not attempted").count() == 0


def test_the_open_panel_is_accessible_wide_narrow_light_and_dark(page, served):
    parts = opened(page, served)
    parts.button("Hint 1").click()
    found = {}
    for text, what in ((WRONG, "wrong"), (RIGHT, "right")):
        assert check(page, parts, text) == told(text)
        page.mouse.move(0, 0)
        found[what] = problems(page, served, f"{what}.html", {})
    assert parts.editor.evaluate("e => parseFloat(getComputedStyle(e).fontSize)") >= 16, "a phone would zoom in"
    assert not any(found.values()), json.dumps(found, indent=1)


def test_the_first_verdict_needs_no_request_once_the_panel_is_open(page, base):
    parts, asked = opened(page, base, click=False), []
    start = time.perf_counter()
    parts.open.click()
    parts.editor.wait_for()
    page.evaluate("coursekitTry.warm().then(() => null)")
    page.on("request", lambda r: asked.append(r.url))
    assert check(page, parts, RIGHT) == told(RIGHT)
    print(f"first verdict {time.perf_counter() - start:.2f} s after the click")
    for name in ("Hint 1", "Hint 2", "Copy to notebook", "Show the solution", "Reset", "Close"):
        parts.button(name).click()
    assert [url for url in asked if not url.startswith("blob:")] == [] and page.faults == []


def test_what_is_printed_stands_apart_from_the_verdict(page, base):
    parts = opened(page, base)
    assert check(page, parts, WRONG) == told(WRONG)
    printed = parts.section.get_by_role("region", name="Printed by your answer")
    assert printed.inner_text().startswith("asked ")
    check(page, parts, RIGHT)
    assert not printed.is_visible()


def test_answers_and_marks_outlast_a_reload_are_saved_and_erased(page, base):
    parts = opened(page, base)
    assert parts.mark.inner_text() == ""
    check(page, parts, RIGHT)
    write(page, parts, RIGHT + "\n# mine")
    visit(page, base, PAGE)
    assert panel(page, click=False).mark.inner_text() == "✓ solved"
    assert written(panel(page))[-1] == "# mine"

    visit(page, base, "book/index.html")
    box, total = page.locator("#progress"), sum(e.points for e in EXERCISES.values())
    count = f"of {len(EXERCISES)} solved, {{}} of {total} points"
    assert box.get_by_text(f"1 {count.format(EXERCISES[ID].points)}").is_visible()
    bar = box.get_by_role("progressbar", name="1 of")
    assert bar.evaluate("bar => [bar.value, bar.max]") == [1, len(EXERCISES)]
    with page.expect_download() as saved:
        box.get_by_role("button", name="Save as a file").click()
    record = json.loads(saved.value.path().read_text())
    assert list(record) == [ID] and record[ID]["answer"] == RIGHT + "\n# mine" and record[ID]["solved"]

    box.get_by_role("button", name="Erase", exact=True).click()
    page.keyboard.press("Enter")  # the focus is on the harmless answer
    assert not box.get_by_role("button", name="Erase all").is_visible()
    assert page.evaluate("localStorage.length") > 0 and focused(page) == "Erase"
    page.keyboard.press("Enter")
    box.get_by_role("button", name="Erase all").click()
    assert box.get_by_text(f"0 {count.format(0)}").is_visible()
    assert page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('coursekit:'))") == []
    visit(page, base, PAGE)
    assert panel(page, click=False).mark.inner_text() == ""
    assert "raise NotImplementedError" in "".join(written(panel(page))) and page.faults == []


def test_reset_brings_the_stub_and_undo_the_answer(page, base):
    parts = opened(page, base)
    stub = written(parts)
    write(page, parts, RIGHT)
    answer = written(parts)
    parts.button("Reset").click()
    assert written(parts) == stub and stub[-1].strip() == "raise NotImplementedError"
    kept = json.loads(page.evaluate(f"localStorage.getItem('coursekit:{ID}')"))
    assert kept == {"others": [RIGHT]}, "a stub is no answer"
    parts.editor.press("ControlOrMeta+z")
    assert written(parts) == answer and not parts.section.locator(".ck-choice").is_visible()


@pytest.mark.parametrize("clipboard", ["modern", "old"])
def test_a_copy_is_what_the_editor_holds(page, base, clipboard):
    if clipboard == "old":
        page.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    parts = opened(page, base)
    write(page, parts, f"{RIGHT}  # {base} {clipboard}")
    answer = written(parts)
    parts.button("Copy to notebook").click()
    parts.section.get_by_text('paste it over the cell with "def critic_update"').wait_for()
    assert focused(page) == "Copy to notebook"
    write(page, parts, "x")
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.press("ControlOrMeta+V")
    assert written(parts) == answer


def test_stop_ends_the_worker_of_an_endless_loop(page, base):
    parts = opened(page, base)
    write(page, parts, ENDLESS)
    parts.button("Check").click()
    parts.button("Running…").wait_for()
    parts.button("Stop").click()
    assert verdict(parts) == ["Stopped."] and focused(page).startswith("Check")
    deadline = time.monotonic() + 6  # the limit, 10 s, would end it too; Chromium needs 2 s
    while len(page.workers) > 2 and time.monotonic() < deadline:
        page.wait_for_timeout(100)
    assert len(page.workers) == 2, "the judge, and the one that waits for the next answer"
    assert check(page, parts, RIGHT) == told(RIGHT) and page.faults == []


def test_a_verdict_that_comes_after_stop_is_dropped(page, served):
    parts = opened(page, served)
    page.evaluate("""() => {
        const run = coursekitTry.run;
        coursekitTry.run = async (...answer) => {
            const verdict = await run(...answer);
            await new Promise(soon => setTimeout(soon, 1000));
            return verdict;
        }}""")
    write(page, parts, WRONG)
    page.keyboard.press("Control+Enter")
    parts.button("Stop").click()
    check_again = check(page, parts, RIGHT)
    assert verdict(parts) == check_again == told(RIGHT)


def test_an_answer_that_is_stopped_before_python_has_come_never_runs(page, served):
    held = []
    page.route("**/micropython.js", lambda route: held.append(route))
    parts = opened(page, served)
    write(page, parts, ENDLESS)
    page.keyboard.press("Control+Enter")
    parts.button("Stop").click()
    write(page, parts, RIGHT)
    page.keyboard.press("Control+Enter")
    held[0].continue_()
    parts.section.get_by_text("✓ solved").wait_for()
    assert verdict(parts) == told(RIGHT) and page.faults == []


def test_one_answer_runs_at_a_time(page, base):
    first = opened(page, base)
    write(page, first, ENDLESS)
    page.keyboard.press("Control+Enter")
    second = panel(page, exercise="start.advantage", number="exercise 0.1")
    write(page, second, solution("00_before_you_start", "start.advantage"))
    page.keyboard.press("Control+Enter")
    second.section.get_by_text("✓ solved").wait_for()
    assert verdict(first) == ["Stopped."] and first.button("Check").is_visible()


def test_to_close_a_panel_stops_it_and_keeps_its_text(page, base):
    parts = opened(page, base)
    write(page, parts, ENDLESS)
    page.keyboard.press("Control+Enter")
    parts.button("Close").click()
    assert not parts.editor.is_visible() and focused(page).startswith("Try it here")
    parts.open.click()
    assert written(parts)[0].startswith("def critic_update(*numbers)")
    assert check(page, parts, RIGHT) == told(RIGHT)


@pytest.mark.parametrize("fault", ["forbidden", "full", "spoilt", "strange"])
def test_storage_that_fails_breaks_nothing(page, base, fault):
    refuse = f"() {{ throw new DOMException('no', '{'QuotaExceeded' if fault == 'full' else 'Security'}Error'); }}"
    page.add_init_script({
        "forbidden": f"Object.defineProperty(window, 'localStorage', {{get{refuse}}})",
        "full": f"Storage.prototype.setItem = function {refuse}",
        "spoilt": f"localStorage.setItem('coursekit:{ID}', '{{')",
        "strange": f"localStorage.setItem('coursekit:{ID}', '{{\"answer\": 7}}')"}[fault])
    visit(page, base, PAGE)
    page.faults.clear()  # the theme's own scripts complain as they load
    parts = panel(page)
    assert check(page, parts, RIGHT) == told(RIGHT) and parts.mark.inner_text() == "✓ solved"
    assert page.faults == []
    visit(page, base, "book/index.html")
    page.faults.clear()
    assert page.get_by_text(f"0 of {len(EXERCISES)} solved").is_visible() == (fault != "forbidden")


def test_an_editor_that_does_not_load_says_so(page, served):
    page.route("**/editor.js", lambda route: route.abort())
    visit(page, served, PAGE)
    parts = panel(page, click=False)
    parts.open.click()
    parts.section.get_by_text("The editor did not load. Reload the page").wait_for()


def test_without_scripts_there_is_no_button_and_no_progress(page, served):
    def forbid(route):
        answer = route.fetch()
        route.fulfill(response=answer, headers=answer.headers | {"Content-Security-Policy": "script-src 'none'"})

    page.route("**/*.html", forbid)
    page.goto(f"{served}/{PAGE}")
    assert page.locator(".ck-offer").count() == 0
    page.goto(f"{served}/book/index.html")
    assert not page.locator("#progress").is_visible()
