"""Files of comparisons: each form gives the same pairs, a bad record is a line, what hangs together is found."""

import bz2
import csv
import gzip
import io
import json
import lzma
import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from coursekit.preference_data import Groups, folds_of, load_pairs

TALKS = [  # (turns before, chosen, rejected): one turn, three turns, a text with quotes, a comma and a line break
    (["hi"], "hello there", "help yourself"),
    (["who are you?", "a bot", "and how old?"], "two", "that is none of your business"),
    (['say "a, b"\nnow'], "a, b\nnow", "no, \"never\"")]
HUMAN, BOT = ("user", "assistant")


def hh(turns):
    return "".join(f"\n\n{('Human', 'Assistant')[i % 2]}: {turn}" for i, turn in enumerate(turns))


def messages(turns, first=0, names=(HUMAN, BOT), keys=("role", "content"), content=str):
    return [dict(zip(keys, (names[(first + i) % 2], content(turn)))) for i, turn in enumerate(turns)]


def ours(turns):
    return turns[0] if len(turns) == 1 else hh(turns) + "\n\nAssistant:"


def share(turns, first=0):
    return messages(turns, first, ("human", "gpt"), ("from", "value"))


EXPECTED = [(ours(before), chosen, rejected) for before, chosen, rejected in TALKS]
FORMS = {
    "texts": lambda p, c, r: {"prompt": ours(p), "chosen": c, "rejected": r},
    "HH-RLHF": lambda p, c, r: {"chosen": hh([*p, c]), "rejected": hh([*p, r])},
    "HH-RLHF, prompt": lambda p, c, r: {"prompt": hh(p) + "\n\nAssistant:", "chosen": c, "rejected": " " + r},
    "TRL": lambda p, c, r: {"prompt": messages(p), "chosen": messages([c], 1), "rejected": messages([r], 1)},
    "TRL, prompt in both": lambda p, c, r: {"chosen": messages([*p, c]), "rejected": messages([*p, r])},
    "prompt: null": lambda p, c, r: {"prompt": None, "chosen": messages([*p, c]), "rejected": messages([*p, r])},
    "UltraFeedback": lambda p, c, r: {"prompt": p[-1], "chosen": messages([*p, c]), "rejected": messages([*p, r])},
    "UltraFeedback, system": lambda p, c, r: {"prompt": messages(p), "chosen": messages([*p, c]),
                                              "rejected": messages([*p, r]), "score_chosen": 8.5},
    "parts": lambda p, c, r: {side: messages([*p, t], content=lambda text: [{"type": "text", "text": text}])
                              for side, t in (("chosen", c), ("rejected", r))},
    "one message": lambda p, c, r: {"prompt": messages(p), "chosen": messages([c], 1)[0],
                                    "rejected": messages([r], 1)[0]},
    "JSON in a text": lambda p, c, r: {"chosen": json.dumps(messages([*p, c])),
                                       "rejected": json.dumps(messages([*p, r]))},
    "JSON in a text, messages": lambda p, c, r: {"chosen": json.dumps({"messages": messages([*p, c]), "tools": []}),
                                                 "rejected": json.dumps({"messages": messages([*p, r])})},
    "messages": lambda p, c, r: {"chosen": {"messages": messages([*p, c])},
                                 "rejected": {"messages": messages([*p, r])}},
    "ShareGPT": lambda p, c, r: {"conversations": share(p), "chosen": share([c], 1)[0],
                                 "rejected": share([r], 1)[0]},
    "Orca": lambda p, c, r: {"system": "", "question": ours(p), "chosen": c, "rejected": r},
    "query": lambda p, c, r: {"query": ours(p), "chosen": c, "rejected": r},
    "Alpaca": lambda p, c, r: {"instruction": ours(p), "input": "", "chosen": c, "rejected": r},
    "SHP": lambda p, c, r: {"history": ours(p), "human_ref_A": c, "human_ref_B": r, "labels": 1, "score_A": 5},
    "SHP, B": lambda p, c, r: {"history": ours(p), "human_ref_A": r, "human_ref_B": c, "labels": 0},
    "HelpSteer2": lambda p, c, r: {"prompt": ours(p), "response_1": c, "response_2": r, "preference_strength": -2},
    "HelpSteer3": lambda p, c, r: {"context": messages(p), "response1": r, "response2": c, "overall_preference": 3}}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_content_gives_the_same_pairs_in_each_form(form, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(FORMS[form](*talk)) for talk in TALKS), encoding="utf-8")
    assert list(load_pairs(path)) == EXPECTED


def test_the_input_of_an_instruction_is_part_of_the_prompt(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps({"instruction": "add", "input": "2 and 2", "chosen": "4", "rejected": "5"}))
    assert list(load_pairs(path)) == [("add\n2 and 2", "4", "5")]


@pytest.mark.parametrize("record", [
    {"system": "be brief", "question": "hi", "chosen": "good", "rejected": "bad"},
    {"system": "be brief", "conversations": share(["hi"]), "chosen": share(["good"], 1)[0],
     "rejected": share(["bad"], 1)[0]},
    {"system": "be brief", "chosen": messages(["hi", "good"]), "rejected": messages(["hi", "bad"])},
    {"prompt": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hi"}],
     "chosen": "good", "rejected": "bad"}])
def test_a_system_prompt_is_part_of_the_prompt_in_a_column_or_as_a_message(record, tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text(json.dumps(record))
    assert list(load_pairs(path)) == [("\n\nSystem: be brief\n\nHuman: hi\n\nAssistant:", "good", "bad")]


RECORDS = [FORMS["TRL"](*talk) for talk in TALKS]
LINES = "\n".join(map(json.dumps, RECORDS))


def table(records):
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, records[0])
    rows.writeheader()
    rows.writerows({k: v if isinstance(v, str) else json.dumps(v) for k, v in r.items()} for r in records)
    return text.getvalue()


CONTAINERS = {
    "lines": LINES, "lines of Windows, empty ones, a BOM": "\ufeff\r\n" + LINES.replace("\n", "\r\n\r\n") + "\r\n",
    "an array": json.dumps(RECORDS), "an array over lines": json.dumps(RECORDS, indent=2),
    "CSV of messages": table(RECORDS), "CSV": table([FORMS["HelpSteer2"](*talk) for talk in TALKS]),
    "CSV with a BOM": "\ufeff" + table([FORMS["SHP"](*talk) for talk in TALKS])}


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
@pytest.mark.parametrize("container", CONTAINERS)
def test_what_holds_them_does_not_matter(container, pack, tmp_path):
    """Nor does the name of the file."""
    path = tmp_path / "pairs.GZ"
    path.write_bytes(pack(CONTAINERS[container].encode()))
    assert list(load_pairs(path)) == EXPECTED


def test_a_folder_of_parts_is_read_in_order(tmp_path):
    for number, record in enumerate(RECORDS):
        part = tmp_path / f"train-0000{number}.{('jsonl', 'json', 'jsonl.gz')[number]}"
        part.write_bytes((gzip.compress if number == 2 else bytes)(json.dumps(record).encode()))
    (tmp_path / "README.md").write_text("# what this is")
    (tmp_path / "._train-00000.jsonl").write_bytes(b"\x00\x05")  # as a Mac leaves them
    assert list(load_pairs(tmp_path)) == EXPECTED


def test_parquet_is_read_and_without_pyarrow_is_one_line(tmp_path, monkeypatch):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.Table.from_pylist(RECORDS), tmp_path / "pairs.parquet")
    assert list(load_pairs(tmp_path / "pairs.parquet")) == EXPECTED
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ValueError, match=r"parquet file, which needs pyarrow; install it with: pip .*\[parquet\]"):
        list(load_pairs(tmp_path / "pairs.parquet"))


@pytest.mark.parametrize("container", [json.dumps, lambda record: table([record])])
@pytest.mark.parametrize("reply", ['{"answer": 3}', "[1, 2]", "[]", '[{"value": 3}]', "{curly}", "[" * 100_000])
def test_a_reply_that_is_json_itself_stays_a_text(reply, container, tmp_path):
    (tmp_path / "x").write_text(container({"prompt": "p", "chosen": reply, "rejected": "no"}))
    assert list(load_pairs(tmp_path / "x")) == [("p", reply, "no")]


def test_a_tie_carries_no_preference(tmp_path):
    (tmp_path / "x").write_text('{"prompt": "p", "response1": "a", "response2": "b", "overall_preference": 0}')
    (_, chosen, rejected), = load_pairs(tmp_path / "x")
    assert chosen == rejected


def test_dialogues_that_differ_early_are_split_before_the_reply_that_differs(tmp_path):
    both = [hh(["hi", "who is it?", other, "oh"]) for other in ("me", "nobody")]
    (tmp_path / "x").write_text(json.dumps(dict(zip(("chosen", "rejected"), both))))
    assert list(load_pairs(tmp_path / "x")) == [
        ("hi", "who is it?\n\nHuman: me\n\nAssistant: oh", "who is it?\n\nHuman: nobody\n\nAssistant: oh")]


@pytest.mark.parametrize("content, message", [
    ('{"chosen": "a", "rejected": "b"}\n{"chosen": ', r"pairs, line 2: not JSON \(Expecting value\)"),
    ('{"chosen": "a"}', r"""line 1: a record needs "chosen" and "rejected".*; found 'chosen'$"""),
    ("[1, 2]", "record 1: a record needs.*; found int"),
    ('{"chosen": 1, "rejected": "b"}', '"chosen" must be text'),
    ('{"chosen": "a", "rejected": null}', '"rejected" must be text'),
    ('{"chosen": [{"role": "x"}], "rejected": "b"}', '"chosen" must be text or a list'), ("", "pairs is empty"),
    (" \n\n", "pairs is empty"), ("[]", "pairs is empty"), ("[" * 100_000, "line 1: not JSON .nested too deeply"),
    ('\n{"chosen": "a", "rejected": "b", "x": ' + "[" * 100_000, "line 2: not JSON .nested too deeply"),
    ('{"chosen": 1' + "0" * 5000 + "}", "line 1: not JSON .a number too long"),
    ("PK\x03\x04 and so on", "pairs is a zip archive; unpack it"),
    ("hello\n", "line 1: neither JSON nor the header"),
    ('{"prompt": "p", "response_1": "a", "response_2": "b", "preference_strength": "?"}', "must be a whole number"),
    ('{"chosen": [{"role": "user", "content": [{"type": "image"}]}], "rejected": "b"}', "each a text"),
    ("chosen,rejected\n\"[{'role': 'user', 'content': 'hi'}]\",b\n",
     'line 2: "chosen" holds messages as Python prints them; write them as JSON'),
    ("chosen,rejected\na\n", 'line 2: "rejected" must be text'),
    ("chosen,rejected\nb, with a comma,c\n", "line 2: more fields than the header has"),
    ('{"history": "p", "human_ref_A": "a", "human_ref_B": "b", "labels": 2}', 'line 1: "labels" must be .* got 2'),
    ("\ud800", "is not UTF-8 text"),
])
def test_a_bad_record_names_its_file_and_line_and_what_was_found(content, message, tmp_path):
    path = tmp_path / "pairs"
    path.write_text(content, encoding="utf-8", errors="surrogatepass")
    with pytest.raises(ValueError, match=message) as error:
        list(load_pairs(path))
    assert "\n" not in str(error.value)


def test_a_damaged_archive_is_called_that(tmp_path):
    for pack in (gzip.compress, bz2.compress, lzma.compress):
        (tmp_path / "x").write_bytes(pack((json.dumps(RECORDS[0]) * 99).encode())[:-9])
        with pytest.raises(ValueError, match="x is damaged"):
            list(load_pairs(tmp_path / "x"))


def test_an_archive_with_something_after_it_is_called_damaged(tmp_path):
    (tmp_path / "x").write_bytes(gzip.compress(LINES.encode()) + b"rubbish")
    with pytest.raises(ValueError, match="x is damaged: Not a gzipped file"):
        list(load_pairs(tmp_path / "x"))


def test_half_an_emoji_becomes_a_question_mark(tmp_path):
    """A text that was cut within a pair of surrogates: no tokenizer takes it, and it stopped a training."""
    path = tmp_path / "pairs.jsonl"
    path.write_text(r'{"prompt": "p", "chosen": "fine \ud83d", "rejected": "b"}')
    assert list(load_pairs(path)) == [("p", "fine ?", "b")]


def test_a_big_file_is_streamed(tmp_path):
    path = tmp_path / "pairs.jsonl"
    path.write_text((json.dumps(RECORDS[0]) + "\n") * 1000 + "not read")
    assert next(iter(load_pairs(path))) == EXPECTED[0]


# ---- groups

def groups_of(pairs):
    together = Groups()
    for pair in pairs:
        together.add(*pair)
    return together.numbers().tolist()


LONG = "the parcel with your new lamp left our house on monday and will be with you on friday at noon".split()


def text(*changed, seed=0):
    """A text of 190 words, the same but for so many of them."""
    digits = np.random.default_rng(seed).integers(9, size=190)
    return " ".join("other" if i in changed else f"{LONG[i % 19]}{digits[i]}" for i in range(190))


def test_what_shares_a_prompt_or_a_text_belongs_together():
    one = ("p", "a", "b")
    assert groups_of([one, ("q", "c", "d"), ("p", "e", "f")]) == [0, 1, 0]
    assert groups_of([("p", text(), "b"), ("q", "c", "d"), ("r", "e", text())]) == [0, 1, 0]  # on either side
    assert groups_of([("p", text(), "b"), ("q", "c", text(40)), ("r", text(seed=1), "f")]) == [0, 0, 1]
    assert groups_of([("p", text(), "x"), ("q", text().upper().replace(" ", " , "), "y")]) == [0, 0]
    assert groups_of([("", "Yes.", "no"), ("", "yes", "maybe"), ("", "perhaps", "never")]) == [0, 0, 1]


def test_neither_stock_replies_nor_a_prompt_that_all_share_join_anything():
    assert groups_of([("p", "Yes.", "No."), ("q", "Yes.", "No."), ("r", "No.", "Yes.")]) == [0, 1, 2]
    assert groups_of([("p", "a", "b"), ("p", "c", "d")]) == [0, 1]


def test_unlike_texts_of_the_same_words_stay_apart():
    """1,000 texts of 100 words out of 300: by sets of words alone they would hang together."""
    rng = np.random.default_rng(0)
    pairs = [(str(i), *(" ".join(map(str, rng.integers(300, size=100))) for _ in range(2))) for i in range(500)]
    assert len(set(groups_of(pairs))) == 500


def test_groups_are_counted_along_chains_and_repeats_are_told():
    together = Groups()
    for pair in [("p", "a", "b"), ("q", text(), "d"), ("p", text(), "f"), ("p", "a", "b"), ("r", "g", "h")]:
        together.add(*pair)
    assert together.numbers().tolist() == [0, 0, 0, 0, 1] and together.repeated == 1


def test_folds_are_even_and_divide_no_group():
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(40, size=200))
    groups = np.unique(groups, return_inverse=True)[1]
    fold = folds_of(groups, 5)
    assert all(len(set(fold[groups == group])) == 1 for group in groups)
    assert np.ptp(np.bincount(fold, minlength=5)) <= np.bincount(groups).max()
    assert_array_equal(folds_of(np.arange(12), 5), np.arange(12) % 5)  # as before, where nothing hangs together
