"""Files of comparisons, in the forms in which people have them, and which comparisons belong together."""

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import zlib
from itertools import chain
from pathlib import Path

import numpy as np

from coursekit.distribution import install

PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
OTHERS = {b"PK\x03\x04": "a zip archive; unpack it", b"ARROW1": "an Arrow file; write it as parquet or JSONL"}
PARTS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".gz", ".bz2", ".xz")  # what is read from a folder
ROLES = {"user": "Human", "human": "Human", "prompter": "Human",
         "assistant": "Assistant", "gpt": "Assistant", "bot": "Assistant", "model": "Assistant"}
# no space divides these words: Thai, Lao, Burmese, Khmer, Japanese, Chinese; and each emoji is one
ALONE = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
WORD = rf"[^\W{ALONE}]+|[{ALONE}\u2600-\u27bf\U0001f300-\U0001faff]"
SKETCH = 8  # words of a text that are compared at a time
MIXERS = np.array([1, 2654435761, 2246822519], np.uint32)[:, None]  # odd: each orders the hashes of words anew


def load_pairs(path):
    """Stream comparisons: yields (prompt, chosen, rejected) texts, the same for the same content in each form.

        chosen and rejected                    texts, with the prompt beside them or at the beginning of both: TRL
                                               (standard), HH-RLHF ("\\n\\nHuman: … \\n\\nAssistant: …")
        the same, as messages                  {"role", "content"}, content a text or parts, alone or in lists or
                                               below "messages", with or without the prompt's, also as JSON in a
                                               text: TRL (conversational), UltraFeedback
        chosen, rejected, conversations        {"from", "value"}: ShareGPT
        prompt or context; response_1 and _2   preference_strength or overall_preference, below 0 if the first is
                                               better: HelpSteer2, HelpSteer3 (response1, response2)
        history, human_ref_A and _B            labels, 1 if A is better: SHP

    A file holds JSON records, one a line or in one array (read whole), CSV with a header, or parquet (the extra
    `parquet`); plain, gz, bz2 or xz, whatever its name. A folder is read part by part, in the order of the names.
    A prompt of one message of a user is that text, a longer one a dialogue as in HH-RLHF. A tie comes as two equal
    texts.

    Raises: ValueError naming file and line of a record that is none of these; also where there is no record.
    """
    path = Path(path)
    files = sorted(p for p in path.iterdir() if p.suffix.lower() in PARTS and p.name[0] not in "._") if (
        path.is_dir()) else [path]
    empty = True
    for file in files:
        for where, record in _records(file):
            empty = False
            yield _read_pair(record, where)
    if empty:
        raise ValueError(f"{path} is empty: it must hold comparisons, such as one JSON record a line")


def _records(path):
    """(where, record) of a file."""
    with open(path, "rb") as raw:
        begin = raw.peek(8)[:8]
        if begin.startswith(b"PAR1"):
            yield from _parquet(path)
            return
        for magic, name in OTHERS.items():
            if begin.startswith(magic):
                raise ValueError(f"{path} is {name}")
        opener = next((opener for magic, opener in PACKED.items() if begin.startswith(magic)), None)
        try:
            with opener(raw) if opener else raw as unpacked:
                with io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="") as file:
                    yield from _text_records(path, file)
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} is not UTF-8 text ({error.reason}); convert it") from None
        except (EOFError, zlib.error, lzma.LZMAError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None


def _parquet(path):
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(f"{path} is a parquet file, which needs pyarrow; install it with: "
                         f"{install('parquet')}") from None
    batches = ParquetFile(path).iter_batches(1000)
    for number, record in enumerate(chain.from_iterable(batch.to_pylist() for batch in batches), 1):
        yield f"{path}, row {number}", record


def _text_records(path, file):
    lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    number, first = next(lines, (1, ""))
    begin = first.lstrip()[:1]
    if begin == "[":
        found = _json(first + file.read(), f"{path}, line {number}")
        yield from ((f"{path}, record {n}", record) for n, record in enumerate(found, 1))
    elif begin in "{":
        for n, line in chain([(number, first)] if first else [], lines):
            yield f"{path}, line {n}", _json(line, f"{path}, line {n}")
    elif "chosen" in first or "response" in first or "human_ref" in first:
        csv.field_size_limit(2**31 - 1)
        rows = csv.DictReader(chain([first], file))
        try:
            for row in rows:
                yield f"{path}, line {number + rows.line_num - 1}", row
        except csv.Error as error:
            raise ValueError(f"{path}, line {number + rows.line_num}: not CSV ({error})") from None
    else:
        raise ValueError(f"{path}, line {number}: neither JSON nor the header of a CSV file, got {first[:40]!r}")


def _json(text, where):
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is the former
        why = getattr(error, "msg", "a number too long" if isinstance(error, ValueError) else "nested too deeply")
        raise ValueError(f"{where}: not JSON ({why}); write one record a line, or one array") from None


def _unpacked(value, where, key):
    """Messages that a text holds as JSON, or that stand below "messages"; any other text, JSON or not, as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        if re.match(r"\s*\[?\{'(role|content|from|value)'", value):
            raise ValueError(f'{where}: "{key}" holds messages as Python prints them; write them as JSON')
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        messages = found if isinstance(found, list) and found else [found]
        if all(isinstance(message, dict) and message.keys() & {"role", "from", "messages"} for message in messages):
            value = found
    return value["messages"] if isinstance(value, dict) and "messages" in value else value


def _read_pair(record, where):
    prompt, *sides = _sides(record, where)
    prompt = _messages(prompt, where, "prompt", "Human")
    if prompt[-1:] == [("Assistant", "")]:  # where HH-RLHF ends a prompt
        del prompt[-1]
    names, size = ("chosen", "rejected"), len(prompt)
    sides = [_messages(side, where, name, "Assistant") or [("Assistant", "")] for side, name in zip(sides, names)]
    sides = [side if size and any(side[i:i + size] == prompt for i in range(len(side) - size)) else prompt + side
             for side in sides]
    shared = 0
    while shared < min(map(len, sides)) - 1 and sides[0][shared] == sides[1][shared]:
        shared += 1
    while shared and not sides[0][shared][0] == sides[1][shared][0] == "Assistant":
        shared -= 1  # a reply begins with its author's turn
    prompt, after = sides[0][:shared], "\n\nAssistant:" if shared > 1 else ""
    return _dialogue(prompt, opened=False) + after, *(_dialogue(side[shared:], opened=True) for side in sides)


def _sides(record, where):
    """(prompt, preferred, other) as they are found in a record."""
    named = record if isinstance(record, dict) else {}
    prompts = "prompt", "context", "history", "conversations"
    prompt = next((named[name] for name in prompts if named.get(name)), "")
    if {"chosen", "rejected"} <= named.keys():
        return prompt, named["chosen"], named["rejected"]
    for first, second, label in (("response_1", "response_2", "preference_strength"),
                                 ("response1", "response2", "overall_preference"),
                                 ("human_ref_A", "human_ref_B", "labels")):
        if {first, second, label} <= named.keys():
            try:
                better = int(named[label])
            except (TypeError, ValueError):
                raise ValueError(f'{where}: "{label}" must be a whole number, got {named[label]!r}') from None
            better = 1 - 2 * better if label == "labels" else better
            first, second = (named[first], named[second]) if better < 0 else (named[second], named[first])
            return prompt, first, second if better else first
    raise ValueError(f'{where}: a record needs "chosen" and "rejected", or the names of another form that '
                     f"load_pairs lists; found {', '.join(map(repr, named)) or type(record).__name__}")


def _messages(value, where, key, role):
    """(role, text) of each message. role: of a text that is no dialogue, or of a message that names none."""
    value = _unpacked(value, where, key)
    if isinstance(value, str):
        turns = re.split(r"(?:^|\n\n)(Human|Assistant):", value)
        if len(turns) > 1 and not turns[0].strip():
            return [(name, text.strip()) for name, text in zip(turns[1::2], turns[2::2])]
        return [(role, value.strip())] if value.strip() else []
    messages = []
    for message in value if isinstance(value, list) else [value]:
        message = message if isinstance(message, dict) else {}
        content = message.get("content", message.get("value"))
        if isinstance(content, list) and all(isinstance(part, dict) and "text" in part for part in content):
            content = "".join(str(part["text"]) for part in content)
        if not isinstance(content, str):
            raise ValueError(f'{where}: "{key}" must be text or a list of messages with "content", each a text')
        name = str(message.get("role") or message.get("from") or role)
        messages.append((ROLES.get(name.lower(), name.capitalize()), content.strip()))
    return messages


def _dialogue(messages, *, opened):
    """One message as its text alone, more as in HH-RLHF. opened: whether the first has its "Assistant:" already."""
    if len(messages) == 1:
        opened = True
    texts = [f"\n\n{role}: {text}" for role, text in messages]
    return "".join([messages[0][1], *texts[1:]] if opened and messages else texts)


class Groups:
    """Which comparisons of a stream belong together, so that none is judged by a model that has seen its like.

    Together are those of one prompt, and those that share a text, or nearly so: a text of more than SKETCH words is
    compared by the SKETCH lowest hashes of its word pairs, in three orders. Shorter texts ("Yes.") join pairs of
    one prompt alone. Where all prompts are the same they say nothing, and join nothing.
    """

    def __init__(self):
        self.repeated = 0  # comparisons that came before
        self._parents, self._prompts, self._first, self._seen = [], [], {}, set()

    def add(self, prompt, chosen, rejected):
        """Take the next comparison."""
        number = len(self._parents)
        self._parents.append(number)
        self._prompts.append(hash(prompt) if prompt else None)
        for key in (key for text in (chosen, rejected) for key in _sketches(prompt, text)):
            self._join(number, self._first.setdefault(key, number))
        pair = hash((prompt, chosen, rejected))
        self.repeated += pair in self._seen
        self._seen.add(pair)

    def numbers(self):
        """(N,) ints: the group of each comparison, 0, 1, … in the order in which they began."""
        if len(set(self._prompts)) > 1:
            for number, prompt in enumerate(self._prompts):
                if prompt is not None:
                    self._join(number, self._first.setdefault(("prompt", prompt), number))
        return np.unique([self._root(number) for number in range(len(self._parents))], return_inverse=True)[1]

    def _root(self, number):
        while (parent := self._parents[number]) != number:
            self._parents[number] = number = self._parents[parent]
        return number

    def _join(self, *numbers):
        first, second = sorted(map(self._root, numbers))
        self._parents[second] = first


def _sketches(prompt, text):
    words = re.findall(WORD, text.lower())
    if len(words) <= SKETCH:
        return [hash((prompt, *words))]
    hashes = np.fromiter((zlib.crc32(word.encode("utf-8", "replace")) for word in words), np.uint32, len(words))
    pairs = np.unique(31 * hashes[:-1] + hashes[1:]) * MIXERS  # (3, word pairs), wrapping around
    lowest = np.sort(pairs, axis=1)[:, :SKETCH]
    return [hash((order, row.tobytes())) for order, row in enumerate(lowest)]


def folds_of(groups, folds):
    """(N,) ints: a fold for each comparison, groups undivided, the largest first, each into the emptiest fold."""
    sizes = np.bincount(groups)
    fold, filled = np.empty(len(sizes), int), np.zeros(folds, int)
    for group in np.argsort(-sizes, kind="stable"):
        fold[group] = filled.argmin()
        filled[fold[group]] += sizes[group]
    return fold[groups]
