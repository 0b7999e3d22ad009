"""How files become learners: every file is graded, or set aside with a reason; no two learners are mixed."""

import json
import os
import time
import unicodedata
import zipfile
from pathlib import Path

import pytest

from coursekit.autograder import archives, choice
from coursekit.autograder.book import chapter, chapters
from coursekit.autograder.choice import choose
from coursekit.autograder.learners import submissions
from coursekit.autograder.reader import Cell, File, UnreadableError, definitions, not_run, parse
from coursekit.exercises import EXERCISES
from fuzz import make_folder

BOOK = {name: chapter(path) for name, path in chapters().items()}
GAE = (BOOK["02_gae"],)


def notebook(*sources, marks=()):
    """The text of a notebook: code cells, and empty stubs of exercises that are marked as such."""
    found = [{"cell_type": "code", "metadata": {}, "source": source, "outputs": []} for source in sources]
    found += [{"cell_type": "code", "metadata": {"coursekit": {"exercise": i, "role": "stub"}}, "outputs": [],
               "source": stub(i)} for i in marks]
    return json.dumps({"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


def stub(exercise):
    begin = f"def {EXERCISES[exercise].function}("
    return next(source for source in BOOK[EXERCISES[exercise].notebook].book if source.startswith(begin))


UNTOUCHED = notebook(marks=["gae.weights"])
ANSWERED = notebook("def mixture_weights(lam, n):\n    return 1")
OTHER = notebook(marks=["td.error"])


def lay(folder, files):
    """Write files, {name: text, or bytes}; a dict as the value makes a zip. The first is the oldest."""
    for age, (name, value) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(value, dict):
            with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
                for inner, text in value.items():
                    archive.writestr(inner, text)
        else:
            path.write_bytes(value if isinstance(value, bytes) else value.encode())
        os.utime(path, (1e9 + age, 1e9 + age))
    return folder


def read(folder, files, graded=GAE):
    """({id: names of the files that are graded}, {file: why it was set aside}, Submissions); they add up."""
    found = submissions(lay(folder, files))
    used, aside, count = {}, dict(found.aside), len(found.aside)
    for person in found.learners:
        chosen = choose(person, graded)
        used[person.id] = [file.name for file in chosen.files if isinstance(file, File)]
        aside |= chosen.aside
        count += chosen.graded + len(chosen.aside)
    assert count == found.files
    return used, aside, found


def test_smith_and_jones_are_not_one_learner_because_their_files_name_a_day(tmp_path):
    names = ["smith_20241129_1016_gae.ipynb", "jones_20241129_1018_gae.ipynb", "ada.ipynb"]
    used, aside, found = read(tmp_path, dict.fromkeys(names, ANSWERED))
    assert used == {"ada": ["ada.ipynb"]} and found.conflicts
    assert set(aside) == set(names[:2]) and "two names under one id, 20241129: jones and smith" in aside[names[0]]


def test_names_that_differ_in_blanks_alone_are_not_one_learner(tmp_path):
    """Else whoever hands in such a look-alike last decides what counts."""
    names = ["ada.ipynb", "ada .ipynb", " .ipynb"]
    used, aside, found = read(tmp_path, dict.fromkeys(names, ANSWERED))
    assert used == {"_": [" .ipynb"]} and found.conflicts
    assert set(aside) == set(names[:2]) and "two names under one id, ada: 'ada ' and 'ada'" in aside["ada.ipynb"]


@pytest.mark.parametrize("name", ["fay.ipynb.txt", "fay.ipynb.json", "fay.IPYNB", "fay.ipynb", "fay",
                                  "fay/homework", "fay/deep/er/x.IPYNB", "fay/x.txt", "fay (1).ipynb.zip/x.ipynb"])
def test_a_notebook_is_known_by_what_is_in_it(name, tmp_path):
    zipped, _, inner = name.partition(".zip/")
    used, _, _ = read(tmp_path, {f"{zipped}.zip": {inner: ANSWERED}} if inner else {name: ANSWERED})
    assert list(used.values()) == [[name]] and next(iter(used)).startswith("fay")


def test_no_file_is_without_a_reason(tmp_path):
    used, aside, found = read(tmp_path, {
        "ada/02_gae.ipynb": ANSWERED, "ada/report.pdf": "%PDF", "ada/.DS_Store": "x", "ada/plain.json": "{}",
        "ada/01_td_vs_mc.ipynb": OTHER, "ada/broken.ipynb": "{", "ada/data.tar.gz": "x", "notes.docx": "x",
        "__MACOSX/x": "x", "ada/mine.ipynb": notebook("print(1)")})
    assert used == {"ada": ["ada/02_gae.ipynb"]} and found.files == 10
    assert {name.removeprefix("ada/"): reason for name, reason in aside.items()} == {
        "report.pdf": "no notebook", ".DS_Store": "hidden, not read", "plain.json": "no notebook",
        "01_td_vs_mc.ipynb": "for 01_td_vs_mc, which is not graded here",
        "broken.ipynb": aside["ada/broken.ipynb"], "mine.ipynb": "it holds no exercise of this course",
        "data.tar.gz": "an archive that is not read here; ask for the notebook itself, or a zip",
        "notes.docx": "no notebook", "__MACOSX": "hidden, not read"}
    assert aside["ada/broken.ipynb"].startswith("it is not JSON")


def test_the_homework_is_found_behind_twenty_newer_notebooks(tmp_path):
    others = {f"ada/{n}.ipynb": notebook(f"x = {n}") for n in range(30)}
    used, aside, _ = read(tmp_path, {"ada/homework.ipynb": ANSWERED} | others)
    assert used == {"ada": ["ada/homework.ipynb"]} and len(aside) == 30


def test_it_is_found_among_many_newer_files_of_other_kinds_too(tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "SEEN", 5)
    others = {f"ada/{n}.pdf": "%PDF" for n in range(30)}
    assert read(tmp_path, {"ada/homework.ipynb": ANSWERED} | others)[0] == {"ada": ["ada/homework.ipynb"]}
    many = {f"bob/{n}.ipynb": ANSWERED for n in range(9)}
    _, aside, _ = read(tmp_path, many)
    assert sum(reason.startswith("not read after 5 newer files") for reason in aside.values()) == 4


def test_the_answered_copy_counts_before_a_fresher_untouched_one(tmp_path):
    used, aside, _ = read(tmp_path, {"ada/a.ipynb": ANSWERED, "ada/b.ipynb": UNTOUCHED})
    assert used == {"ada": ["ada/a.ipynb"]}
    assert aside == {"ada/b.ipynb": "another copy for 02_gae: ada/a.ipynb was graded"}


@pytest.mark.parametrize("kind", ["markdown", "raw"])
def test_so_does_a_copy_whose_answer_is_in_a_cell_that_does_not_run(kind, tmp_path):
    """Then its learner is told why it earns nothing."""
    found = json.loads(UNTOUCHED)
    source = "def mixture_weights(lam, n):\n    return 1"
    found["cells"].append({"cell_type": kind, "metadata": {}, "source": source})
    used, _, _ = read(tmp_path, {"ada/a.ipynb": json.dumps(found), "ada/b.ipynb": UNTOUCHED})
    assert used == {"ada": ["ada/a.ipynb"]}


@pytest.mark.parametrize("name", ["ada.py", "ada/02_gae.py", "ada/notes.md", "ada.zip/x.py"])
def test_a_notebook_saved_as_a_script_is_named(name, tmp_path):
    script = "# %%\ndef mixture_weights(lam, n):\n    return 1\n# %%\ncheck('gae.weights', mixture_weights)\n"
    zipped, _, inner = name.partition(".zip/")
    files = {f"{zipped}.zip": {inner: script}} if inner else {name: script}
    used, aside, found = read(tmp_path, files | {"bob.py": "x = 1\n", "cy.ipynb": ANSWERED})
    assert len(used) == 2 and aside["bob.py"] == "no notebook"
    reason = "a notebook saved as a script, which is not graded: hand in the .ipynb file"
    assert aside[name] == reason == choose(found.learners[0], GAE).files[0].reason


@pytest.mark.parametrize("name", BOOK)
def test_no_text_or_cell_of_a_chapter_is_taken_for_an_answer(name):
    content = parse(chapters()[name].read_bytes())
    stubs = [cell.source for cell in content.cells if cell.role in ("stub", "solution")]
    for exercise in BOOK[name].exercises:
        assert not_run(exercise.function, content.texts) is None
        others = [cell.source for cell in content.cells if cell.source not in stubs]
        assert not any(definitions(exercise.function, source) for source in others)
        assert not_run(exercise.function, [Cell(f"> def {exercise.function}():", None, None, "raw")])


def test_of_two_answered_copies_the_newest_counts(tmp_path):
    assert read(tmp_path, {"ada/a.ipynb": ANSWERED, "ada/b.ipynb": ANSWERED})[0] == {"ada": ["ada/b.ipynb"]}


def test_every_chapter_in_one_notebook_is_found(tmp_path):
    both = notebook(marks=["gae.weights", "td.error"])
    found = choose(submissions(lay(tmp_path, {"ada.ipynb": both})).learners[0], (BOOK["01_td_vs_mc"], *GAE))
    assert [file.chapters for file in found.files] == [("01_td_vs_mc", "02_gae")]
    assert read(tmp_path, {})[0] == {"ada": ["ada.ipynb"]}


def test_a_check_of_another_chapter_pasted_in_does_not_win_over_that_chapter(tmp_path):
    answer = "def mixture_weights(lam, n):\n    return 1"
    pasted = notebook(answer, marks=["gae.weights", "gae.targets", "td.error"])
    own = notebook("def td_error():\n    return 1", marks=["td.error"])
    found = choose(submissions(lay(tmp_path, {"ada/1.ipynb": own, "ada/2.ipynb": pasted})).learners[0],
                   (BOOK["01_td_vs_mc"], *GAE))
    assert {file.name: file.chapters for file in found.files} == {"ada/1.ipynb": ("01_td_vs_mc",),
                                                                  "ada/2.ipynb": ("02_gae",)}


def test_moodle_s_online_text_is_no_other_learner(tmp_path):
    used, aside, _ = read(tmp_path, {"Ada L_77_assignsubmission_file/x.ipynb": ANSWERED,
                                     "Ada L_77_assignsubmission_onlinetext/onlinetext.html": "<p>hello</p>"})
    assert used == {"77": ["Ada L_77_assignsubmission_file/x.ipynb"]} and list(aside.values()) == ["no notebook"]


def test_a_name_that_can_be_read_as_two_learners_replaces_nobody(tmp_path):
    evil = "Bob_7777_assignsubmission_file_x_9999_assignsubmission_file"
    used, aside, found = read(tmp_path, {"Ada_7777_assignsubmission_file/x.ipynb": ANSWERED,
                                         f"{evil}/x.ipynb": ANSWERED})
    assert used == {"7777": ["Ada_7777_assignsubmission_file/x.ipynb"]} and found.conflicts
    assert "can be read as two" in aside[f"{evil}/x.ipynb"]


@pytest.mark.parametrize("outer", ["all", "all.zip"])
def test_a_whole_class_in_one_folder_or_zip_is_nobody_s(outer, tmp_path):
    inner = {"Ada_1_assignsubmission_file/x.ipynb": ANSWERED, "Bob_2_assignsubmission_file/x.ipynb": ANSWERED}
    files = {outer: inner} if outer.endswith("zip") else {f"all/{name}": text for name, text in inner.items()}
    used, aside, found = read(tmp_path, files | {"cy.ipynb": ANSWERED})
    assert used == {"cy": ["cy.ipynb"]} and found.conflicts and len(aside) == 2
    assert "unpack them" in list(aside.values())[0]


def test_a_browser_s_second_copy_belongs_to_the_first(tmp_path):
    used, aside, found = read(tmp_path, {"ada.ipynb": UNTOUCHED, "ada (1).ipynb": ANSWERED,
                                         "bob (1).ipynb": ANSWERED})
    assert used == {"ada": ["ada (1).ipynb"], "bob (1)": ["bob (1).ipynb"]} and list(aside) == ["ada.ipynb"]
    assert "ada (1) counts as a copy of ada" in found.notes


ROSTERS = {
    "commas": b"name,id\nada,1\nM\xc3\xbcller,2\n",
    "semicolons, BOM": "\ufeffName;ID\r\nada;1\r\nMüller;2\r\n".encode(),
    "tabs, UTF-16": "name\tid\nada\t1\nMüller\t2\n".encode("utf-16"),
    "cp1252": "name;id\nada;1\nMüller;2\n".encode("cp1252"),
    "no header": "ada,1\nMüller,2\n".encode(),
    "Canvas": "Student,SIS User ID,Section\n    Points Possible,,\nada,1,A\nMüller,2,A\n".encode(),
    "Moodle": "Identifier,Full name,Status\nParticipant 1,ada,\nParticipant 2,Müller,\n".encode(),
}


@pytest.mark.parametrize("text", ROSTERS.values(), ids=ROSTERS)
def test_a_roster_is_read_as_spreadsheets_write_it(text, tmp_path):
    used, _, found = read(tmp_path, {"students.csv": text, "ADA.ipynb": ANSWERED,
                                     unicodedata.normalize("NFD", "Müller") + ".ipynb": ANSWERED})
    assert list(used) == ["1", "2"] and all(used.values()) and not found.conflicts
    assert [person.name for person in found.learners] == ["ada", "Müller"]


def test_canvas_s_own_test_student_is_no_learner(tmp_path):
    roster = 'Student,ID,Section\n"Lee, Kim",12,A\n"Student, Test",99,A\n'
    used, _, found = read(tmp_path, {"students.csv": roster, "leekim_12_4100_x.ipynb": ANSWERED})
    assert [*used] == ["12"] and "students.csv: 'Student, Test' is Canvas's own and gets no row" in found.notes


def test_one_column_is_the_names_and_the_ids(tmp_path):
    used, _, _ = read(tmp_path, {"students.csv": "ada\nbob\n", "ada.ipynb": ANSWERED})
    assert used == {"ada": ["ada.ipynb"], "bob": []}


def test_who_is_not_in_the_roster_is_named(tmp_path):
    _, _, found = read(tmp_path, {"students.csv": "name,id\nada,1\n", "ada.ipynb": ANSWERED, "eve.ipynb": ANSWERED})
    assert found.notes == ["not in students.csv: eve"] and found.learners[1].notes == ["not in students.csv"]


def test_one_id_twice_in_the_roster_stops_the_run_by_the_file_s_name(tmp_path):
    with pytest.raises(ValueError, match=r"students.csv: the id '1' stands there twice, the second time in line 3"):
        read(tmp_path, {"students.csv": "name,id\nada,1\nbob,1\n", "ada.ipynb": ANSWERED})


def test_a_name_that_two_learners_share_tells_neither(tmp_path):
    used, aside, found = read(tmp_path, {"students.csv": "name,id\nada,1\nada,2\n", "ada.ipynb": ANSWERED,
                                         "2.ipynb": ANSWERED})
    assert used == {"1": [], "2": ["2.ipynb"]} and found.conflicts
    assert "students.csv has several called 'ada'" in aside["ada.ipynb"]


def test_a_roster_in_an_unknown_encoding_is_named(tmp_path):
    with pytest.raises(ValueError, match="students.csv is text in neither UTF-8 nor cp1252"):
        read(tmp_path, {"students.csv": b"name,id\n\x81\x8d,1\n", "ada.ipynb": ANSWERED})


def test_canvas_s_mark_of_a_late_hand_in_is_kept(tmp_path):
    _, _, found = read(tmp_path, {"lovelaceada_LATE_12_34_x.ipynb": ANSWERED})
    assert found.learners[0].id == "12" and found.learners[0].notes == ["handed in late, says Canvas"]


CANVAS = ["leekim_12_4100_x.ipynb", "poeann_LATE_13_4210_x.ipynb", "royeve_14_4333_x.ipynb"]


@pytest.mark.parametrize("name, learner", [
    ("under_scorepat_17_4150_02_gae.ipynb", "17"), ("under_scorepat_LATE_17_4150_02_gae.ipynb", "17"),
    ("under_scorepat_12_17_4150_gae.ipynb", "17"), ("pat_12_17_4150_gae.ipynb", "17"),
    ("oddnumber_17_4150_13_4200_x.ipynb", "17")])
@pytest.mark.parametrize("roster", ["", "Student,ID\n\"Lee, Kim\",12\n\"Poe, Ann\",13\nEve Roy,14\nPat,17\n"])
def test_a_name_with_underscores_is_found_in_a_download_of_canvas(name, learner, roster, tmp_path):
    """Canvas keeps them. A file that a learner calls "13_4200_x" belongs to nobody else."""
    files = dict.fromkeys([*CANVAS, name], ANSWERED) | ({"students.csv": roster} if roster else {})
    used, _, found = read(tmp_path, files)
    assert used == {"12": CANVAS[:1], "13": CANVAS[1:2], "14": CANVAS[2:], learner: [name]} and not found.conflicts


def test_a_name_with_underscores_alone_in_a_folder_is_found_by_the_roster(tmp_path):
    roster = 'Student,ID\n"Under_score, Pat_12",4011\nBob,12\n'
    name = "under_scorepat_12_4011_67011_02_gae.ipynb"
    used, _, found = read(tmp_path, {"students.csv": roster, name: ANSWERED})
    assert used == {"4011": [name], "12": []} and "1 names are Canvas's" in found.notes[0]


def test_underscores_and_numbers_make_no_canvas_of_other_folders(tmp_path):
    names = ["ada_hw_2_300_gae.ipynb", "bob_hw_2_300_gae.ipynb"]
    used, _, found = read(tmp_path, dict.fromkeys(names, ANSWERED))
    assert list(used.values()) == [[name] for name in names] and not found.conflicts and not found.notes


def test_of_two_attempts_canvas_s_larger_number_counts_whenever_they_were_packed(tmp_path):
    new, old = "leekim_12_4200_x-1.ipynb", "leekim_12_4100_x.ipynb"  # the last is packed last
    used, aside, _ = read(tmp_path, {new: ANSWERED, old: ANSWERED})
    assert used == {"12": [new]} and list(aside) == [old]


def test_modules_beside_a_notebook_come_with_it_and_no_others(tmp_path):
    text = notebook("import os, helpers\ndef mixture_weights(lam, n):\n    return helpers.f(n)")
    files = {"ada/x.ipynb": text, "ada/helpers.py": "import deeper\n", "ada/deeper.py": "y = 1\n",
             "ada/sub/helpers.py": "z = 1\n", "ada/unused.py": "u = 1\n"}
    _, aside, found = read(tmp_path, files)
    chosen = choose(found.learners[0], GAE)
    assert dict(chosen.files[0].modules) == {"helpers": "import deeper\n", "deeper": "y = 1\n"}
    assert chosen.graded == 3 and set(aside) == {"ada/sub/helpers.py", "ada/unused.py"}


def test_a_module_that_canvas_renamed_comes_with_its_learner_s_notebook(tmp_path):
    """Canvas puts learner, number and, after the first hand-in, a count into the name of every loose file."""
    text = notebook("from helpers import f\ndef mixture_weights(lam, n):\n    return f(n)")
    files = {"leekim_12_902_helpers-1.py": "f = float\n", "leekim_12_901_helpers.py": "old = 1\n",
             "leekim_12_900_x.ipynb": text, "poeann_13_903_x.ipynb": text, "poeann_13_904_other.py": "o = 1\n"}
    used, aside, found = read(tmp_path, files)
    kim, ann = (choose(person, GAE) for person in found.learners)
    assert dict(kim.files[0].modules) == {"helpers": "f = float\n"} and kim.graded == 2 and not ann.files[0].modules
    assert set(aside) == {"leekim_12_901_helpers.py", "poeann_13_904_other.py"}


def test_a_repository_of_github_classroom_belongs_to_the_login_at_its_end(tmp_path):
    roster = "login,name\nada,Ada\nmary-ann,Mary\nann,Ann\n"
    files = {"students.csv": roster, "hw-2-ada/x.ipynb": ANSWERED, "hw-2-mary-ann/x.ipynb": ANSWERED}
    used, aside, found = read(tmp_path, files)
    assert used == {"ada": ["hw-2-ada/x.ipynb"], "mary-ann": ["hw-2-mary-ann/x.ipynb"], "ann": []}
    assert "every folder begins with 'hw-2-'" in " ".join(found.notes)


def test_a_name_with_a_hyphen_is_nobody_else_s(tmp_path):
    roster = "login\nann\nbob\n"
    used, _, found = read(tmp_path, {"students.csv": roster, "mary-ann/x.ipynb": ANSWERED, "bob/x.ipynb": ANSWERED})
    assert used == {"ann": [], "bob": ["bob/x.ipynb"], "mary-ann": ["mary-ann/x.ipynb"]}
    assert "not in students.csv: mary-ann" in found.notes


def test_a_folder_too_deep_or_unreadable_costs_nobody_else(tmp_path):
    deep = tmp_path / "eve"
    for _ in range(300):
        deep = deep / "d"
    deep.mkdir(parents=True)
    used, aside, _ = read(tmp_path, {"ada.ipynb": ANSWERED, "eve/x.ipynb": ANSWERED})
    assert used == {"ada": ["ada.ipynb"], "eve": ["eve/x.ipynb"]}
    assert [r for r in aside.values()] == ["more than 20 folders deep, not read"]


def zip_of(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


BAD_ZIPS = {
    "no zip": lambda path: path.write_bytes(b"PK\3\4 not"),
    "empty": lambda path: zip_of(path),
    "many members": lambda path: zip_of(path, **{f"m{n}": "" for n in range(archives.MEMBERS + 1)}),
    "a bomb": lambda path: zip_of(path, **{f"m{n}.ipynb": b"\0" * (19 << 20) for n in range(11)}),
    "a huge directory": lambda path: path.write_bytes(b"PK\5\6" + b"\0" * 8 + b"\xff\xff\xff\xfe" + b"\0" * 6),
}


@pytest.mark.parametrize("make", BAD_ZIPS.values(), ids=BAD_ZIPS)
def test_a_bad_zip_is_set_aside_and_not_unpacked(make, tmp_path):
    make(tmp_path / "eve.zip")
    begin = time.monotonic()
    used, aside, _ = read(tmp_path, {"ada.ipynb": ANSWERED})
    assert used == {"ada": ["ada.ipynb"], "eve": []} and list(aside) == ["eve.zip"] and aside["eve.zip"]
    assert time.monotonic() - begin < 5


def test_a_huge_list_of_members_is_refused_before_it_is_read(tmp_path, monkeypatch):
    zip_of(tmp_path / "eve.zip", **{f"m{n}": "" for n in range(13_000)})
    monkeypatch.setattr(archives.zipfile, "ZipFile", None)
    with pytest.raises(UnreadableError, match="a zip of more than 1000 files"):
        archives.members(tmp_path / "eve.zip")


def test_members_of_a_zip_that_lie_outside_are_links_or_are_locked_are_only_names(tmp_path):
    with zipfile.ZipFile(tmp_path / "eve.zip", "w") as archive:
        link = zipfile.ZipInfo("link.ipynb")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("../../outside.ipynb", ANSWERED)
        archive.writestr("inner.zip", "x")
    used, aside, _ = read(tmp_path, {})
    assert used == {"eve": ["eve.zip/outside.ipynb"]}
    assert aside == {"eve.zip/link.ipynb": "it is a link",
                     "eve.zip/inner.zip": "an archive in an archive, not read"}
    assert not (tmp_path.parent / "outside.ipynb").exists()


def test_fuzzed_folders_lose_no_file(tmp_path):
    """A thousand of them: python experiments/fuzz_grader.py --folders 1000."""
    learners = 0
    for seed in range(60):
        folder = tmp_path / str(seed)
        expected = make_folder(folder, seed, [ANSWERED, UNTOUCHED, OTHER])
        learners += accounted(folder, expected)
    assert learners > 100


def accounted(folder: Path, expected: int) -> int:
    """How many learners a folder has, after a look that every file in it is graded or set aside, once."""
    try:
        found = submissions(folder)
    except ValueError as error:
        assert len(str(error).splitlines()) == 1
        return 0
    names = [name for name, _ in found.aside]
    for person in found.learners:
        chosen = choose(person, GAE)
        helpers = sum(len(file.modules) for file in chosen.files if isinstance(file, File))
        graded = [file.name for file in chosen.files if isinstance(file, File)]
        assert chosen.graded == len(graded) + helpers
        names += graded + [name for name, _ in chosen.aside] + [""] * helpers
    assert len(names) == found.files == expected
    return len(found.learners)
