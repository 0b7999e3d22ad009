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

from coursekit.arrays import fraction
from coursekit.distribution import install

PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ": lzma.open}
OTHERS = {b"PK\x03\x04": "a zip archive; unpack it",
          b"ARROW1": "an Arrow file; write it as parquet or JSONL"}
# what is read from a folder
PARTS = (".jsonl", ".ndjson", ".json", ".csv", ".parquet", ".gz", ".bz2", ".xz")
PROMPTS = ("prompt", "context", "history", "conversations", "question", "query",
           "instruction", "input")
ROLES = {"user": "Human", "human": "Human", "prompter": "Human",
         "assistant": "Assistant", "gpt": "Assistant", "bot": "Assistant",
         "model": "Assistant"}
# forms that name two texts and a label, which says which of them is better
LABELLED = (("response_1", "response_2", "preference_strength"),
            ("response1", "response2", "overall_preference"),
            ("human_ref_A", "human_ref_B", "labels"))
# no space divides these words: Thai, Lao, Burmese, Khmer, Japanese, Chinese;
# and each emoji is one
ALONE = ("\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
         "\uf900-\ufaff\U00020000-\U0003ffff")
WORD = rf"[^\W{ALONE}]+|[{ALONE}\u2600-\u27bf\U0001f300-\U0001faff]"
SKETCH = 8  # words of a text that are compared at a time
# odd numbers: each orders the hashes of words anew
MIXERS = np.array([1, 2654435761, 2246822519], np.uint32)[:, None]


def load_pairs(path):
    """Stream comparisons: yields (prompt, chosen, rejected) texts, the same for the same content in each form.

        chosen and rejected                    texts, with the prompt beside them or at the beginning of both: TRL
                                               (standard), HH-RLHF ("\\n\\nHuman: … \\n\\nAssistant: …")
        the same, as messages                  {"role", "content"}, content a text or parts, alone or in lists or
                                               below "messages", with or without the prompt's, also as JSON in a
                                               text: TRL (conversational), UltraFeedback
        chosen, rejected, conversations        {"from", "value"}: ShareGPT
        question, query, or instruction        in place of the prompt, with or without
        and input                              system: Intel's Orca pairs, LLaMA-Factory
        prompt or context; response_1 and _2   preference_strength or overall_preference, below 0 if the first is
                                               better: HelpSteer2, HelpSteer3 (response1, response2)
        history, human_ref_A and _B            labels, 1 if A is better: SHP

    A file holds JSON records, one a line or in one array (read whole), CSV with a
    header, or parquet (the extra `parquet`); plain, gz, bz2 or xz, whatever its name. A
    folder is read part by part, in the order of the names. A prompt of one message of a
    user is that text, a longer one a dialogue as in HH-RLHF. A tie comes as two equal
    texts.

    Raises:
        ValueError: a record is none of these (the message names file and line), or
            there is no record.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        files = sorted(part for part in path.iterdir()
                       if part.suffix.lower() in PARTS and part.name[0] not in "._")
    empty = True
    for file in files:
        for where, record in _records(file):
            empty = False
            yield _read_pair(record, where)
    if empty:
        raise ValueError(
            f"{path} is empty: it must hold comparisons, such as one JSON record a line")


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
        openers = [opener for magic, opener in PACKED.items() if begin.startswith(magic)]
        text = dict(encoding="utf-8-sig", newline="")
        try:
            with openers[0](raw) if openers else raw as unpacked:
                with io.TextIOWrapper(unpacked, **text) as file:
                    yield from _text_records(path, file)
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path} is not UTF-8 text ({error.reason}); convert it") from None
        except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged: {error}") from None


def _parquet(path):
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise ValueError(
            f"{path} is a parquet file, which needs pyarrow; install it with: "
            f"{install('parquet')}") from None
    batches = ParquetFile(path).iter_batches(1000)
    records = chain.from_iterable(batch.to_pylist() for batch in batches)
    for number, record in enumerate(records, 1):
        yield f"{path}, row {number}", record


def _text_records(path, file):
    lines = ((number, line) for number, line in enumerate(file, 1) if line.strip())
    number, first = next(lines, (1, ""))
    begin = first.lstrip()[:1]
    if begin == "[":
        found = _json(first + file.read(), f"{path}, line {number}")
        yield from ((f"{path}, record {n}", record) for n, record in enumerate(found, 1))
    elif begin in "{":
        begun = [(number, first)] if first else []
        for n, line in chain(begun, lines):
            where = f"{path}, line {n}"
            yield where, _json(line, where)
    elif "chosen" in first or "response" in first or "human_ref" in first:
        csv.field_size_limit(2**31 - 1)
        rows = csv.DictReader(chain([first], file))
        try:
            for row in rows:
                if None in row:
                    raise ValueError(
                        f"{path}, line {number + rows.line_num - 1}: more fields than "
                        "the header has; put a text with a comma in quotes")
                yield f"{path}, line {number + rows.line_num - 1}", row
        except csv.Error as error:
            raise ValueError(
                f"{path}, line {number + rows.line_num}: not CSV ({error})") from None
    else:
        raise ValueError(
            f"{path}, line {number}: neither JSON nor the header of a CSV file, "
            f"got {first[:40]!r}")


def _json(text, where):
    try:
        return json.loads(text)
    except RecursionError:
        why = "nested too deeply"
    except ValueError as error:
        why = getattr(error, "msg", "a number too long")  # such as one of 5,000 digits
    raise ValueError(f"{where}: not JSON ({why}); write one record a line, or one array")


def _unpacked(value, where, key):
    """Messages that a text holds as JSON, or that stand below "messages"; any other text, JSON or not, as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        if re.match(r"\s*\[?\{'(role|content|from|value)'", value):
            raise ValueError(
                f'{where}: "{key}" holds messages as Python prints them; '
                "write them as JSON")
        try:
            found = json.loads(value)
        except (ValueError, RecursionError):
            return value
        messages = found if isinstance(found, list) and found else [found]
        if all(map(_is_message, messages)):
            value = found
    if isinstance(value, dict) and "messages" in value:
        return value["messages"]
    return value


def _is_message(found):
    names = {"role", "from", "messages"}
    return isinstance(found, dict) and not names.isdisjoint(found)


def _read_pair(record, where):
    prompt, chosen, rejected = _sides(record, where)
    prompt = _messages(prompt, where, "prompt", "Human")
    if prompt[-1:] == [("Assistant", "")]:  # where HH-RLHF ends a prompt
        del prompt[-1]
    chosen = _with_prompt(prompt, _messages(chosen, where, "chosen", "Assistant"))
    rejected = _with_prompt(prompt, _messages(rejected, where, "rejected", "Assistant"))
    shared = 0
    shorter = min(len(chosen), len(rejected))
    while shared < shorter - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    while shared and not chosen[shared][0] == rejected[shared][0] == "Assistant":
        shared -= 1  # a reply begins with its author's turn
    prompt = chosen[:shared]
    system = _messages(record.get("system") or "", where, "system", "System")
    if prompt[:1] != system:
        prompt = system + prompt
    after = "\n\nAssistant:" if len(prompt) > 1 else ""
    return (_dialogue(prompt, opened=False) + after,
            _dialogue(chosen[shared:], opened=True),
            _dialogue(rejected[shared:], opened=True))


def _with_prompt(prompt, side):
    """The messages of prompt and reply, where `side` may hold the prompt's already."""
    side = side or [("Assistant", "")]
    size = len(prompt)
    starts = range(len(side) - size) if size else ()
    if any(side[i:i + size] == prompt for i in starts):
        return side
    return prompt + side


def _sides(record, where):
    """(prompt, preferred, other) as they are found in a record."""
    named = record if isinstance(record, dict) else {}
    prompt = next((named[name] for name in PROMPTS if named.get(name)), "")
    if named.get("instruction") == prompt and isinstance(named.get("input"), str):
        prompt = f"{prompt}\n{named['input']}"
    if {"chosen", "rejected"} <= named.keys():
        return prompt, named["chosen"], named["rejected"]
    for first, second, label in LABELLED:
        if not {first, second, label} <= named.keys():
            continue
        try:
            better = int(named[label])
        except (TypeError, ValueError):
            raise ValueError(
                f'{where}: "{label}" must be a whole number, '
                f"got {named[label]!r}") from None
        if label == "labels":
            better = 1 - 2 * fraction(**{f'{where}: "labels"': better})
        first, second = named[first], named[second]
        if better < 0:
            return prompt, first, second
        if better > 0:
            return prompt, second, first
        return prompt, second, second  # a tie
    found = ", ".join(map(repr, named)) or type(record).__name__
    raise ValueError(
        f'{where}: a record needs "chosen" and "rejected", or the names of another form '
        f"that load_pairs lists; found {found}")


def _messages(value, where, key, role):
    """(role, text) of each message.

    role: of a text that is no dialogue, or of a message that names none.
    """
    value = _unpacked(value, where, key)
    if isinstance(value, str):
        begin, *turns = re.split(r"(?:^|\n\n)(Human|Assistant):", value)
        if turns and not begin.strip():
            return [(name, text.strip()) for name, text in zip(turns[::2], turns[1::2])]
        return [(role, value.strip())] if value.strip() else []
    messages = []
    for message in value if isinstance(value, list) else [value]:
        message = message if isinstance(message, dict) else {}
        content = message.get("content", message.get("value"))
        if isinstance(content, list):
            parts = [part for part in content if isinstance(part, dict) and "text" in part]
            if len(parts) == len(content):
                content = "".join(str(part["text"]) for part in parts)
        if not isinstance(content, str):
            raise ValueError(
                f'{where}: "{key}" must be text or a list of messages with "content", '
                "each a text")
        name = str(message.get("role") or message.get("from") or role)
        messages.append((ROLES.get(name.lower(), name.capitalize()), content.strip()))
    return messages


def _dialogue(messages, *, opened):
    """One message as its text alone, more as in HH-RLHF.

    opened: whether the first has its "Assistant:" already.
    """
    if len(messages) == 1:
        opened = True
    texts = [f"\n\n{role}: {text}" for role, text in messages]
    if opened and messages:
        texts[0] = messages[0][1]
    return "".join(texts).encode("utf-8", "replace").decode()  # half an emoji is no text


class Groups:
    """Which comparisons of a stream belong together, so that none is judged by a model that has seen its like.

    Together are those of one prompt, and those that share a text, or nearly so: a text
    of more than SKETCH words is compared by the SKETCH lowest hashes of its word pairs,
    in three orders. Shorter texts ("Yes.") join pairs of one prompt alone. Where all
    prompts are the same they say nothing, and join nothing.
    """

    def __init__(self):
        self.repeated = 0  # comparisons that came before
        self._parents = []  # of each comparison: another of its group, or itself
        self._prompts = []  # hash of each prompt, None where there is none
        self._first = {}  # key of a text or a prompt: the first comparison that has it
        self._seen = set()  # hashes of the comparisons

    def add(self, prompt, chosen, rejected):
        """Take the next comparison."""
        number = len(self._parents)
        self._parents.append(number)
        self._prompts.append(hash(prompt) if prompt else None)
        for key in [*_sketches(prompt, chosen), *_sketches(prompt, rejected)]:
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
        roots = [self._root(number) for number in range(len(self._parents))]
        _, numbers = np.unique(roots, return_inverse=True)
        return numbers

    def _root(self, number):
        while (parent := self._parents[number]) != number:
            nearer = self._parents[parent]
            self._parents[number] = nearer
            number = nearer
        return number

    def _join(self, *numbers):
        first, second = sorted(map(self._root, numbers))
        self._parents[second] = first


def _sketches(prompt, text):
    words = re.findall(WORD, text.lower())
    if len(words) <= SKETCH:
        return [hash((prompt, *words))]
    hashes = [zlib.crc32(word.encode("utf-8", "replace")) for word in words]
    hashes = np.array(hashes, np.uint32)
    # (3, word pairs), wrapping around
    pairs = np.unique(31 * hashes[:-1] + hashes[1:]) * MIXERS
    lowest = np.sort(pairs, axis=1)[:, :SKETCH]
    return [hash((order, row.tobytes())) for order, row in enumerate(lowest)]


def folds_of(groups, folds):
    """(N,) ints: a fold for each comparison, groups undivided, the largest first, each into the emptiest fold."""
    sizes = np.bincount(groups)
    fold = np.empty(len(sizes), int)
    filled = np.zeros(folds, int)
    for group in np.argsort(-sizes, kind="stable"):
        fold[group] = filled.argmin()
        filled[fold[group]] += sizes[group]
    return fold[groups]
