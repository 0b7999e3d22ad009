"""The tables of a class: what Canvas and Moodle import, by the rules of their importers; what is set by hand stays.

No sandbox: the records are made here.
"""

import csv
import io
import os
import re
import time
import zipfile
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from coursekit.autograder.book import chapter, chapters
from coursekit.autograder.course import Course, other_maxima, overlooked, read_course
from coursekit.autograder.gradebook import (
    Corrections,
    Own,
    add_to_gradebook,
    carry_over,
    read_corrections,
    rows_of,
    write_grades,
)
from coursekit.autograder.grades_csv import canvas_text, grades_text, moodle_text, moodle_zip
from coursekit.autograder.learners import Handed, Learner, file_names
from coursekit.autograder.likeness import alike, equal_answers, fingerprint
from coursekit.autograder.marks import Marker
from coursekit.autograder.report import class_page, learner_page
from coursekit.autograder.roster import Student, read_roster
from coursekit.autograder.submission import FAULT, Record
from coursekit.autograder.verdict import Verdict
from coursekit.exercises import EXERCISES

GAE = (chapter(chapters()["02_gae"]),)
IDS = [exercise.id for exercise in GAE[0].exercises]
POSSIBLE = sum(EXERCISES[i].points for i in IDS)


def record(learner, name, right=(), share=0.5, **facts):
    verdicts = {i: Verdict(i, "correct" if i in right else "wrong", 1, 2, EXERCISES[i].points * (i in right),
                           EXERCISES[i].points, None, (f"✓ {i}: 2 of 2 cases, 7 points",)) for i in IDS}
    whole = dict(learner=learner, name=name, status="graded", possible=POSSIBLE, isolation="", exercises=verdicts,
                 points=sum(v.points for v in verdicts.values()), shares=dict.fromkeys(IDS, share), files=1)
    return Record(**whole | facts)


CLASS = [record("77", "Ada Lovelace", IDS), record("bob@x", "Bob; Müller", IDS[:1]),
         record("9", "_=1+1", IDS[:2]), record("10", "Cy", status=FAULT, points=None)]


def marks_of(records=CLASS, course=None, corrections=None, people=()):
    marker = Marker(course or Course("Homework 2"), GAE, corrections or Corrections(), list(people))
    return [marker.mark(r) for r in records]


def table(text):
    return list(csv.reader(io.StringIO(text)))


# Canvas: lib/gradebook_importer.rb of instructure/canvas-lms


def canvas_import(text, assignments, students):
    """{student's id: {assignment's id or the title of a new one: grade}}, and points possible, as Canvas reads."""
    head, *rows = table(text)
    assert len(head) > 3 and "Student" in head[0] and "ID" in head[1]  # row_has_student_headers?
    info = 3
    if re.search(r"SIS\s+User\s+ID", head[2]) and re.search(r"SIS\s+Login\s+ID", head[3]):  # update_column_count
        info += 2
    assert "Section" in head[info - 1]  # header?: the last column of student information
    non_assignment = "Current Score|Current Points|Current Grade|Final Score|Final Points|Final Grade|Override"
    columns = [(at, name) for at, name in enumerate(head) if at >= info and not re.search(non_assignment, name)]
    found, possible, which = {}, {}, {}
    for at, name in columns:  # parse_assignments: "Title (id)" by its id, else a title, else a new assignment
        match = re.fullmatch(r"(.*)\s\(([^()]+)\)", name)
        by_id = int(match[2]) if match and match[2].isdigit() and int(match[2]) in assignments else None
        which[at] = by_id or next((i for i, title in assignments.items() if title == name), name)
    for row in rows:
        if "Points Possible" in row[0]:  # check_for_non_student_row
            possible = {which[at]: row[at] for at, _ in columns}
            continue
        number = int(row[1]) if row[1].isdigit() else 0  # process_student: to_i, then SIS ids, then the name
        student = next((s for s in students if s["id"] == number), None) or next(
            (s for s in students if s.get("sis") and s["sis"] in (row[2], row[3])), None) or next(
            (s for s in students if s["name"] == row[0]), None)
        found[student["id"] if student else None] = {which[at]: row[at].strip() for at, _ in columns}
    return found, possible


STUDENTS = [{"id": 77, "name": "Ada Lovelace"}, {"id": 3, "name": "B. M.", "sis": "bob@x"}, {"id": 9, "name": "E"},
            {"id": 10, "name": "Cy"}]


@pytest.mark.parametrize("course, which", [(Course("Homework 2"), 4712), (Course("Homework 2", canvas=4712), 4712),
                                           (Course("Homework 3"), "Homework 3")])
def test_canvas_finds_each_student_and_the_homework_s_own_column(course, which):
    found, possible = canvas_import(canvas_text(CLASS, marks_of(course=course), course),
                                    {4711: "Homework 1", 4712: "Homework 2"}, STUDENTS)
    assert found == {77: {which: "12"}, 3: {which: "1"}, 9: {which: "4"}} and possible == {which: "12"}


def test_a_learner_whom_the_grader_failed_keeps_what_canvas_has():
    """A blank grade where there is one would delete it: no_change_to_value? is false."""
    assert not any(row[0] == "Cy" for row in table(canvas_text(CLASS, marks_of(), Course("x"))))


@pytest.mark.parametrize("title", ["My Final Score", "Override Grade", "Current Points of all"])
def test_a_title_that_canvas_drops_is_refused(title, tmp_path):
    (tmp_path / "course.toml").write_text(f'title = "{title}"\n')
    with pytest.raises(ValueError, match="Canvas drops"):
        read_course([tmp_path], ["02_gae"], False)


# Moodle: mod/assign/feedback/offline/importgradeslib.php and importgradesform.php of moodle/moodle


def moodle_import(text, largest, graded=()):
    """{id: (grade, comment)} that "Upload grading worksheet" takes over. graded: {id: when it was graded there}."""
    head, *rows = table(text)
    at = {name: head.index(name) for name in ("Identifier", "Grade", "Last modified (grade)")}  # init(): all three
    comments, found = head.index("Feedback comments"), {}
    assert comments > 0  # next(): !empty($details['index'])
    for row in rows:
        number = row[at["Identifier"]][len("Participant "):]  # next(): the rest after get_string('hiddenuser')
        modified = datetime.fromisoformat(row[at["Last modified (grade)"]]).timestamp()  # strtotime()
        grade = row[at["Grade"]]
        stale = number in graded and graded[number] > modified + 60
        if grade and 0 <= float(grade) <= largest and not stale:
            found[number] = (float(grade), row[comments])
    return found


def test_moodle_reads_the_worksheet_and_keeps_what_was_graded_there_later():
    text = moodle_text(CLASS, marks_of())
    assert moodle_import(text, POSSIBLE)["77"] == (12, "12 of 12 points")
    assert "10" not in moodle_import(text, POSSIBLE)
    later, before = time.time() + 3600, time.time() - 3600
    assert moodle_import(text, POSSIBLE, {"77": before}) == moodle_import(text, POSSIBLE)
    assert "77" not in moodle_import(text, POSSIBLE, {"77": later})


def moodle_match(path, participants):
    """(participant, plugin, name of the file) of a member of a zip: is_valid_filename_for_import() of
    mod/assign/feedback/file/importziplib.php, and in Moodle 3.0 the same by the name of the file alone."""
    name = path.rpartition("/")[2]
    if name.startswith((".", "~")):
        return None
    parts = ["", "import", *path.split("/")]
    while parts:
        info = parts.pop(0).split("_", 4)
        if len(info) >= 4 and info[1].isdigit() and int(info[1]) in participants:
            return int(info[1]), f"{info[2]}_{info[3]}", "/".join([info[4] if len(info) > 4 else "", *parts])
    return None


def test_moodle_matches_each_page_of_feedback(tmp_path):
    files = file_names([r.learner for r in CLASS])
    (tmp_path / "feedback").mkdir()
    for r in CLASS:
        (tmp_path / "feedback" / f"{files[r.learner]}.html").write_text(r.name)
    with zipfile.ZipFile(io.BytesIO(moodle_zip(CLASS, tmp_path, "Homework 2: GAE"))) as archive:
        found = {moodle_match(name, {77, 9, 10}): archive.read(name).decode() for name in archive.namelist()}
    page = "Homework-2-GAE.html"
    assert found == {(i, "assignfeedback_file", page): name for i, name in ((77, "Ada Lovelace"), (9, "_=1+1"),
                                                                            (10, "Cy"))}


# A spreadsheet


def test_excel_reads_umlauts_and_no_formulas(tmp_path):
    write_grades(tmp_path, grades_text(CLASS, marks_of()))
    data = (tmp_path / "grades.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf") and "Müller" in data.decode()
    assert [row[2] for row in table(grades_text([record("x", "=1+1")], marks_of(CLASS[:1])))] == [IDS[0], "1"]
    assert "'=1+1" in grades_text([record("x", "=1+1")], marks_of(CLASS[:1]))


def edit(folder, change, separator=",", encoding="utf-8-sig"):
    """What a spreadsheet makes of grades.csv."""
    rows = rows_of(folder / "grades.csv")
    for row in rows:
        change(row, rows[0])
    text = io.StringIO()
    csv.writer(text, delimiter=separator, lineterminator="\r\n").writerows(rows)
    (folder / "grades.csv").write_bytes(text.getvalue().encode(encoding))


def put(learner, column, value):
    def change(row, head):
        if row[0] == learner:
            row[head.index(column)] = value
    return change


@pytest.mark.parametrize("separator, encoding", [(",", "utf-8-sig"), (";", "utf-8"), ("\t", "utf-8"),
                                                 (";", "cp1252")])
def test_points_and_comments_by_hand_survive_every_later_run(separator, encoding, tmp_path):
    write_grades(tmp_path, grades_text(CLASS, marks_of()))
    edit(tmp_path, put("bob@x", IDS[1], "2,5"), separator, encoding)
    edit(tmp_path, put("9", "total", "11"), separator, encoding)
    edit(tmp_path, put("77", "comment", "=well done"), separator, encoding)
    said = carry_over(tmp_path, corrections := read_corrections(tmp_path, IDS), IDS)
    assert f"by hand: bob@x, {IDS[1]}: 0 -> 2,5" in said and "by hand: 9, total: 4 -> 11" in said
    for _ in range(2):  # the next run, and one after it
        marks = marks_of(corrections=corrections)
        assert [m.total for m in marks] == [12, 3.5, 11, None] and marks[0].comment == "=well done"
        write_grades(tmp_path, grades_text(CLASS, marks))
        assert carry_over(tmp_path, corrections := read_corrections(tmp_path, IDS), IDS) == []


def test_an_id_that_a_table_shows_otherwise_keeps_its_points(tmp_path):
    odd = [record("e\x1bve;=1", "Eve")]
    write_grades(tmp_path, grades_text(odd, marks_of(odd)))
    edit(tmp_path, lambda row, head: put(row[0], "total", "5")(row, head) if row is not head else None)
    carry_over(tmp_path, corrections := Corrections(), IDS)
    assert marks_of(odd, corrections=corrections)[0].total == 5
    assert marks_of(odd, corrections=read_corrections(tmp_path, IDS))[0].total == 5


def test_saving_without_a_change_changes_nothing(tmp_path):
    write_grades(tmp_path, grades_text(CLASS, marks_of()))
    edit(tmp_path, lambda row, head: None, ";")
    assert carry_over(tmp_path, Corrections(), IDS) == [] and not (tmp_path / "corrections.csv").exists()


def test_an_emptied_cell_is_graded_again(tmp_path):
    write_grades(tmp_path, grades_text(CLASS, marks_of()))
    edit(tmp_path, put("9", IDS[1], "0"))
    carry_over(tmp_path, corrections := Corrections(), IDS)
    write_grades(tmp_path, grades_text(CLASS, marks_of(corrections=corrections)))
    edit(tmp_path, put("9", IDS[1], ""))
    carry_over(tmp_path, corrections, IDS)
    assert marks_of(corrections=read_corrections(tmp_path, IDS))[2].total == 4


@pytest.mark.parametrize("change, message", [
    (lambda row, head: row.append("talk" if row is head else "1"), "its column 'talk'"),
    (put("77", "learner", "78"), "row 2 is for '78', who is none of this class: write the learner's id"),
    (put("9", IDS[1], "09. Jun"), f"row 4, 9, {IDS[1]}: points must be a number from 0, got '09. Jun'; write one"),
    (put("77", "total", "many"), "points must be a number from 0, got 'many'"),
    (put("9", "learner", "77"), "a learner stands in it twice")])
def test_an_edit_that_would_be_lost_stops_the_run(change, message, tmp_path):
    write_grades(tmp_path, grades_text(CLASS, marks_of()))
    edit(tmp_path, lambda row, head: change(row, head))
    with pytest.raises(ValueError, match=message):
        carry_over(tmp_path, Corrections(), IDS)


def test_a_table_that_something_else_wrote_is_not_replaced(tmp_path):
    (tmp_path / "grades.csv").write_text("my,own\n")
    with pytest.raises(ValueError, match="was written by something else"):
        carry_over(tmp_path, Corrections(), IDS)


def test_points_by_hand_above_the_maximum_count_and_are_named():
    marker = Marker(Course("x"), GAE, Corrections({"77": Own({IDS[0]: 5, "total": 12.0, IDS[1]: 0})}), [])
    assert marker.notes() == [f"by hand: 77, {IDS[0]}: 5 is more than the maximum, 1"]
    assert marker.mark(record("77", "Ada", IDS)).points[IDS[0]] == 5


def test_several_homeworks_share_a_gradebook(tmp_path):
    path = tmp_path / "all.csv"
    add_to_gradebook(path, "Homework 1", 10, {"77": ("Ada", 7), "9": ("=E", None)}, {})
    add_to_gradebook(path, "Homework 2", 12, {"77": ("Ada", 12.0), "5": ("Cy", 3)}, {})
    assert rows_of(path) == [["learner", "name", "Homework 1 (of 10)", "Homework 2 (of 12)", "total"],
                             ["77", "Ada", "7", "12", "19"], ["9", "'=E", "", "", "0"], ["5", "Cy", "", "3", "3"]]
    path.write_text(path.read_text("utf-8-sig").replace("77,Ada,7", "77,Ada,8"))
    add_to_gradebook(path, "Homework 2", 12, {"77": ("Ada", 11)}, {"77": "12"})
    assert rows_of(path)[1] == ["77", "Ada", "8", "11", "19"]
    kept = add_to_gradebook(path, "Homework 1", 10, {"77": ("Ada", 6)}, {"77": "7"})
    assert rows_of(path)[1][2] == "8" and kept == ["all.csv: 77 keeps 8, set by hand there (graded: 6)"]


def test_a_gradebook_keeps_columns_of_one_s_own_and_says_that_totals_are_computed(tmp_path):
    path = tmp_path / "all.csv"
    path.write_text("learner,name,seminar,Homework 1 (of 10),total,remark\n77,Ada,5,7,9,good\n9,Eve,,3,3\n")
    said = add_to_gradebook(path, "Homework 2", 12, {"77": ("Ada", 12.0)}, {})
    assert rows_of(path) == [
        ["learner", "name", "seminar", "Homework 1 (of 10)", "Homework 2 (of 12)", "total", "remark"],
        ["77", "Ada", "5", "7", "12", "19", "good"], ["9", "Eve", "", "3", "", "3", ""]]
    assert said == ["all.csv: the total of 77 was 9, and its homeworks are 7 together: it is always computed of "
                    "them"]
    assert add_to_gradebook(path, "Homework 2", 12, {"77": ("Ada", 12.0)}, {"77": "12"}) == []


def test_who_is_graded_no_more_leaves_the_gradebook_unless_set_there_by_hand(tmp_path):
    path, totals = tmp_path / "all.csv", {"77": ("Ada", 7), "7": ("typo", 2), "8": ("Bo", 3), "e\x1bv": ("E", 1)}
    add_to_gradebook(path, "Homework 1", 10, totals, {})
    path.write_text(path.read_text("utf-8-sig").replace("8,Bo,3", "8,Bo,4"))
    written = {"77": "7", "7": "2", "8": "3", "e\ufffdv": "1"}
    add_to_gradebook(path, "Homework 1", 10, {"77": ("Ada", 7), "e\x1bv": ("E", 1)}, written)
    assert [row[0] for row in rows_of(path)] == ["learner", "77", "8", "e\ufffdv"] and rows_of(path)[2][2] == "4"


# course.toml


def test_a_course_toml_where_none_is_looked_for_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "submissions").mkdir()
    assert overlooked([Path("submissions")]) == []
    (tmp_path / "course.toml").write_text("")
    assert overlooked([Path("submissions")]) == [
        "course.toml in the current folder was not read: move it into submissions"]
    assert overlooked([Path("submissions"), Path(".")]) == []


CANVAS = "Student,ID,Section,Homework 2 (4711),Homework 1 (4700)\nPoints Possible,,,12,9\nAda,77,,,\n"
MOODLE = "Identifier,Full name,Maximum Grade\nParticipant 77,Ada,\"12,00\"\n"


@pytest.mark.parametrize("text, which, possible, count", [
    (CANVAS, Course("Homework 2"), 14, 1), (CANVAS, Course("x", canvas=4711), 14, 1), (CANVAS, Course("x"), 14, 0),
    (CANVAS, Course("Homework 2"), 12, 0), (MOODLE, Course("x"), 14, 1), (MOODLE, Course("x"), 12, 0)])
def test_another_maximum_in_the_roster_is_named(text, which, possible, count, tmp_path):
    (tmp_path / "students.csv").write_text(text)
    roster = read_roster(tmp_path / "students.csv")
    said = other_maxima(which, roster.maxima, possible)
    assert [*roster.students] == ["77"] and len(said) == count
    assert all("12 as the maximum of" in line and "14 points are graded" in line for line in said)


def course(tmp_path, text):
    (tmp_path / "course.toml").write_text(text)
    return read_course([tmp_path / "nowhere", tmp_path], ["02_gae"], False)


def test_without_a_file_the_book_s_points_count_and_the_title_names_the_chapter(tmp_path):
    assert read_course([tmp_path], ["02_gae"], False) == Course("coursekit 02_gae")


def test_points_by_exercise_and_partial_credit(tmp_path):
    found = course(tmp_path, f'partial = true\n[points]\n"{IDS[0]}" = 10\n"{IDS[1]}" = 0\n')
    whole, half = marks_of([record("1", "a", IDS), record("2", "b", share=0.25)], found)
    assert whole.total == whole.possible == POSSIBLE + 9 - EXERCISES[IDS[1]].points
    assert half.points[IDS[0]] == 2.5 and half.total == whole.possible / 4
    assert marks_of([record("2", "b", share=0.25)])[0].total == 0  # off, unless asked for
    page = learner_page(record("2", "b"), half, found)
    assert "A wrong answer earns the share of the cases that it passes." in page and "(2.5/10)" in page
    assert "7 points" not in page and "2 of 2 cases" in page
    assert "the share of the cases" not in learner_page(record("2", "b"), half, Course("x"))


@pytest.mark.parametrize("text, message", [
    ("x = 1", "nothing is called x; there are: title"), ("title = 3", "title can't be 3"), ("=", "is not TOML"),
    ('[points]\n"gae.none" = 1', "no exercise is called 'gae.none'"), ("partial = 1", "partial can't be 1"),
    ('[points]\n"gae.weights" = -1', "must be a number from 0"), ("canvas = true", "canvas can't be True"),
    ("[late]\npercent_per_day = 5", "late needs a deadline"), ("[late]\ndeadline = 5", "deadline can't be 5"),
    ('[late]\ndeadline = "2026-11-29 23:59"', "write deadline = 2026-11-29T23:59:00+01:00, without quotes"),
    ("[late]\ndeadline = 2026-11-29", "2026-11-29T23:59:00+01:00, without quotes and with the time"),
    ("[points]\ngae.recursion = 5", 'points: quote the exercise, "gae.recursion" = 5')])
def test_what_course_toml_can_t_mean_is_named(text, message, tmp_path):
    with pytest.raises(ValueError, match=re.escape(message)) as refused:
        course(tmp_path, text)
    assert "course.toml" in str(refused.value)


LATE = "[late]\ndeadline = 2026-11-20T12:00:00Z\ngrace_minutes = 10\npercent_per_day = 25\nmost_days = 2\n"
HOUR = 3600
NOON = datetime.fromisoformat("2026-11-20T12:00:00Z").timestamp()


def handed(name, at, **columns):
    file = Handed(f"{name}.ipynb", Path("x"), at)
    return Learner(name, name, [file], student=Student(name, name, **columns) if columns else None)


@pytest.mark.parametrize("after, lost", [(-HOUR, 0), (300, 0), (HOUR, 25), (23 * HOUR, 25), (25 * HOUR, 50),
                                         (49 * HOUR, 100)])
def test_each_day_late_costs_its_share(after, lost, tmp_path):
    people = [handed("1", NOON + after), handed("2", NOON - 9 * HOUR)]
    (mark,) = marks_of([record("1", "a", IDS, time=NOON + after)], course(tmp_path, LATE), people=people)
    assert mark.total == POSSIBLE * (100 - lost) / 100
    assert (mark.late is None) == (after < 0) and (not lost or f"minus {lost}%" in mark.late)


def test_a_deadline_that_costs_nothing_says_so(tmp_path):
    text = LATE.replace("percent_per_day = 25\nmost_days = 2\n", "")
    (mark,) = marks_of([record("1", "a", IDS, time=NOON + 26 * HOUR)], course(tmp_path, text),
                       people=[handed("1", NOON + 26 * HOUR)])
    assert mark.late == "1.1 days after the deadline, no points lost" and mark.total == POSSIBLE


def test_who_hands_in_again_with_points_by_hand_is_named():
    by_hand = Corrections({"77": Own({"total": 3})})
    marker = Marker(Course("x"), GAE, by_hand, [])
    new = record("77", "Ada", IDS, content="b")
    (said,) = marker.hidden(new, "a")
    assert said.startswith("77 has handed in again and keeps the points by hand (total): total 3, and 12 as graded")
    assert not marker.hidden(new, None) and not marker.hidden(new, "b")
    assert not marker.hidden(replace(new, content=""), "a") and not marker.hidden(replace(new, learner="9"), "a")


def test_students_csv_gives_a_deadline_or_a_time_of_one_s_own(tmp_path):
    people = [handed("1", NOON + 3 * HOUR, deadline="2026-11-21 12:00+00:00"),
              handed("2", NOON - HOUR, submitted="2026-11-20T13:00:00Z"), handed("3", NOON + HOUR)]
    records = [record(p.id, p.id, IDS, time=p.handed[0].time) for p in people]
    assert [m.total for m in marks_of(records, course(tmp_path, LATE), people=people)] == [12, 9, 9]
    with pytest.raises(ValueError, match="students.csv: deadline of '1' must be a date such as"):
        marks_of(records, people=[handed("1", NOON, deadline="tomorrow")])


def test_times_of_copying_make_nobody_late(tmp_path):
    people = [handed("1", NOON + HOUR), handed("2", NOON + HOUR + 60)]
    marker = Marker(course(tmp_path, LATE), GAE, Corrections(), people)
    assert marker.mark(record("1", "a", IDS, time=NOON + HOUR)).total == POSSIBLE
    assert "times are those of copying" in marker.notes()[0]


@pytest.mark.parametrize("at", [NOON + 99 * HOUR, 1e19])
def test_one_hand_in_alone_loses_nothing_by_the_time_of_its_file(at, tmp_path):
    marker = Marker(course(tmp_path, LATE), GAE, Corrections(), [handed("1", at)])
    assert marker.mark(record("1", "a", IDS, time=at)).total == POSSIBLE
    assert "1 of 1 learners are late by the times of their files" in marker.notes()[0]


@pytest.mark.parametrize("late, total", [(10, 12), (9, 12), (8, 0)])
def test_where_nearly_all_are_late_by_their_files_nobody_is(late, total, tmp_path):
    """The times may be those of packing or copying, which took longer than two minutes."""
    people = [handed(f"{k}", NOON + (9 * 24 * HOUR if k < late else -HOUR) + 150 * k) for k in range(10)]
    marker = Marker(course(tmp_path, LATE), GAE, Corrections(), people)
    assert marker.mark(record("0", "a", IDS, time=NOON + 9 * 24 * HOUR)).total == total
    said = [f"{late} of 10 learners are late by the times of their files" in line for line in marker.notes()]
    assert said == ([True] if total else [])


@pytest.mark.parametrize("form", ["Canvas", "Moodle"])
def test_files_of_a_download_make_nobody_late_and_students_csv_does(form, tmp_path):
    people = [handed("1", NOON + HOUR, submitted="2026-11-20T11:00Z"), handed("2", NOON + 5 * HOUR),
              handed("3", NOON + 9 * HOUR, submitted="2026-11-20T13:00Z")]
    for person in people:
        person.form = form
    people[1].notes.append("handed in late, says Canvas")
    marker = Marker(course(tmp_path, LATE), GAE, Corrections(), people)
    assert [marker.mark(record(p.id, "a", IDS)).total for p in people] == [12, 12, 9] and not marker.distrust
    stamps, marked = marker.notes()
    assert f"{form} stamps files" in stamps and "does not say when 1 handed in (column" in stamps
    assert marked.startswith("marked LATE by Canvas, and no points taken") and marked.endswith(": 2")


@pytest.mark.parametrize("text", ["Friday, 20 November 2026, 3:05 PM", "Friday, November 20, 2026, 03:05 PM",
                                  "Friday, 20 November 2026, 15:05"])
def test_moodle_s_worksheet_says_when_something_was_handed_in(text, tmp_path):
    path = tmp_path / "students.csv"
    path.write_text(f'Identifier,Last modified (submission)\nParticipant 1,"{text}"\nParticipant 2,-\n')
    people = [handed("1", NOON - HOUR), handed("2", NOON - HOUR)]
    for person in people:
        person.form, person.student = "Moodle", read_roster(path).students[person.id]
    found = course(tmp_path, LATE.replace("12:00:00Z", "13:00:00+01:00"))
    marks = marks_of([record(p.id, "a", IDS) for p in people], found, people=people)
    assert [m.late for m in marks] == ["2.1 h after the deadline, minus 25%", None]
    path.write_text('Identifier,Submitted\nParticipant 1,"' + text + '"\n')
    people[0].student = read_roster(path).students["1"]
    assert marks_of([record("1", "a", IDS)], found, people=people)[0].total == 9


def test_a_worksheet_in_another_language_costs_nobody_and_is_named(tmp_path):
    people = [handed("1", NOON, modified="Freitag, 20. November 2026, 15:05"), handed("2", NOON, modified="-")]
    marker = Marker(course(tmp_path, LATE), GAE, Corrections(), people)
    assert any("1 times in 'Last modified (submission)' are not in Moodle's English (the first: that of 1)" in line
               for line in marker.notes())


@pytest.fixture(params=["UTC", "Europe/Berlin"])
def machine(request, monkeypatch):
    """The zone of the machine that grades."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def test_a_time_without_a_zone_is_in_that_of_the_deadline_in_course_toml(machine, tmp_path):
    people = [handed("1", NOON, deadline="2026-11-20 12:30", submitted="2026-11-20T13:00"), handed("2", 0.0)]
    marker = Marker(course(tmp_path, LATE.replace("Z", "+02:00")), GAE, Corrections(), people)
    assert marker.mark(record("1", "a", IDS)).late == "30 min after the deadline, minus 25%" and not marker.notes()
    with_zone = handed("1", NOON, deadline="2026-11-20T10:40Z", submitted="2026-11-20T13:00")
    marker = Marker(course(tmp_path, LATE.replace("Z", "+02:00")), GAE, Corrections(), [with_zone])
    assert marker.mark(record("1", "a", IDS)).late == "20 min after the deadline, minus 25%"


@pytest.mark.parametrize("text, columns", [(LATE.replace("Z", ""), {}), ("", dict(deadline="2026-11-20 12:30"))])
def test_a_time_in_the_machine_s_zone_is_named(text, columns, machine, tmp_path):
    marker = Marker(course(tmp_path, text), GAE, Corrections(), [handed("1", NOON - 9 * HOUR, **columns)])
    (said,) = marker.notes()
    assert "without a zone were read in this machine's, " + {"UTC": "UTC"}.get(machine, "CET") in said


# Equal answers


LONG = '''def f(rewards, values, gamma):
    """One."""
    total = 0.0
    advantages = []
    for t in reversed(range(len(rewards))):  # backwards
        total = rewards[t] + gamma * total
        advantages.append(total - values[t])
    return advantages[::-1]
'''
SAME = '''def f(r, v, g: float = 1.0) -> list:
    acc = 0.0
    out = []

    for k in reversed(range(len(r))):
        acc = (r[k] + g * acc)
        out.append(acc - v[k])
    return out[::-1]
'''.replace(": float = 1.0", ": float")


def test_names_comments_and_layout_make_no_other_code():
    assert fingerprint(LONG, "f") == fingerprint(SAME, "f") is not None
    assert fingerprint(LONG, "f") != fingerprint(LONG.replace("+ gamma", "- gamma"), "f")
    assert fingerprint("def f(x):\n    return x.sum() / len(x)", "f") is None  # short: many write just that
    assert fingerprint("def f(:", "f") is None and fingerprint("(" * 5000, "f") is None


def test_equal_answers_are_shown_to_the_instructor_alone():
    code = dict.fromkeys(IDS[:3], "same")
    records = [record("77", "Ada", IDS, prints=code), record("9", "Bob", IDS[:2], prints=code),
               record("8", "Cy", IDS, prints={i: f"own {i}" for i in IDS})]
    equal = equal_answers(records, GAE)
    assert [(e.exercise, e.learners, e.book) for e in equal] == [(i, ["77", "9"], False) for i in sorted(IDS[:2])]
    assert alike(equal, records) == [("77", "9", 2, 2)]
    marks = marks_of(records)
    page = class_page(records, marks, GAE)
    assert "Equal answers" in page and "77 and 9: 2 of 2" in page
    assert "qual" not in learner_page(records[0], marks[0], Course("x"))
    assert "Equal answers" not in class_page(records[2:], marks[2:], GAE)


def test_pairs_with_equal_answers_that_are_not_listed_are_counted():
    code = dict.fromkeys(IDS, "same")
    records = [record(f"{k}", "x", IDS, prints=code) for k in range(11)]  # 55 pairs
    assert "and 5 more pairs" in class_page(records, marks_of(records), GAE)
    assert "more pairs" not in class_page(records[1:], marks_of(records[1:]), GAE)


def test_the_book_s_own_answer_is_called_so():
    i, source = max(GAE[0].answers, key=lambda answer: len(answer[1]))
    own = fingerprint(source, EXERCISES[i].function)
    records = [record(str(k), "x", IDS, prints={i: own}) for k in range(2)]
    (equal,) = equal_answers(records, GAE)
    assert equal.book and alike([equal], records) == []


def test_every_learner_of_an_earlier_run_keeps_a_row(tmp_path):
    import json

    from coursekit.autograder.classroom import earlier
    (tmp_path / "learners").mkdir()
    for r in CLASS[:2]:
        path = tmp_path / "learners" / f"{file_names([r.learner])[r.learner]}.json"
        path.write_text(json.dumps(r.payload() | {"mark": {}}))
    (found,) = earlier(tmp_path, [Learner("77", "Ada")], GAE)
    assert found.learner == "bob@x" and found.notes == ["from an earlier run"] and found.files == 0
    assert os.path.exists(path)
    other = replace(chapter(chapters()["01_td_vs_mc"]))
    with pytest.raises(ValueError, match="holds the grades of another homework, 02_gae"):
        earlier(tmp_path, [], (other,))
