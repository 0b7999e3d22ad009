"""Runs a reader's answer on the cases of an exercise and tells, as JSON, what came of each call.

It judges nothing: small_judge.py does, in another worker. A value is told as [kind, shape, data]: see shown.py.
"""

import builtins
import io
import json
import sys

import small_names

import small_coursekit
import small_lacks
import small_numpy
import small_reader
from coursekit.autograder.rules import MAX_DEPTH, MAX_ITEMS, MAX_TEXT, PAGE
from small_array import asarray, ndarray
from small_lacks import Module, lack
from small_language import BUILTINS, HELPERS, shown, text
from small_shape import slices

FILE = "answer.py"
OWN = ("bisect", "collections", "functools", "heapq", "itertools", "math", "operator", "re",
       "statistics")  # small_<name>.py
NATIVE = ("copy", "string", "time")  # of MicroPython
inf, nan = float("inf"), float("nan")
state = {"printed": 0, "answer": None, "function": "", "lines": [], "earlier": (), "at_hand": {}}
loaded = {"numpy": Module("numpy", small_numpy)}
tables = small_lacks.tables
tables.update(small_names.TABLES)
_import, _print = builtins.__import__, print

for _name in tables["PARAMETERS"]:
    if _name[:8] == "ndarray.":
        setattr(ndarray, _name[8:], small_lacks.door(_name, getattr(ndarray, _name[8:])))


class RecursionError(RuntimeError):
    pass


def find_module(name, space=None, local=None, names=None, level=0):
    """What `import` finds: numpy and what the page has of Python's modules; of others, that they are lacking."""
    first = name.split(".")[0]
    if names and all([name + "." + part in state["at_hand"] for part in names]):
        return AtHand(name)
    if name in ("typing", "__future__", "collections.abc"):
        return Anything()
    if first not in tables["IMPORTED"].split(" "):
        raise ImportError("No module named '" + name + "'")
    if first not in loaded:
        if first not in OWN + NATIVE:
            lack("the module `" + name + "` is not on the page")
        builtins.__import__ = _import  # a module may import others
        try:
            loaded[first] = Module(first, _import(("small_" if first in OWN else "") + first))
        finally:
            builtins.__import__ = find_module
    found = loaded[first]
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    for part in names or ():
        if part != "*" and part not in tables["MODULES"][name].split(" "):
            raise ImportError("cannot import name '" + part + "' from '" + name + "'")
    return found if names else loaded[first]


class AtHand:
    """A module of the library: what the chapter imports of it."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, part):
        return state["at_hand"][self.name + "." + part]


class Anything:
    """What `typing` gives: names that are written and never asked."""

    def __getattr__(self, name):
        if name in ("NamedTuple", "TypedDict"):
            lack("`typing." + name + "` is not in the page's Python")
        return self

    def __getitem__(self, key):
        return self

    def __call__(self, *args, **named):
        return args[-1] if args else self  # cast(type, value)


def lacking(what):
    def function(*args, **named):
        lack(what)
    return function


def refused(message):
    def function(*args, **named):
        raise RuntimeError(message)
    return function


def show_print(*values, sep=" ", end="\n", file=None, flush=False):
    """print: what goes beyond the limit is dropped."""
    line = (" " if sep is None else sep).join([text(v) for v in values]) + ("\n" if end is None else end)
    left = PAGE["printed"] - state["printed"]
    state["printed"] += len(line)
    if left >= 0:
        _print(line[:left] + ("\n… (the rest is left out)\n" if len(line) > left else ""), end="")


def define(source, given):
    """Run an answer; JSON of None, or of what went wrong. source: as the reader wrote it; given: JSON of
    `code`, the source for MicroPython, and whether it is `broken`; the `function`; what the chapter imports, {name:
    where from}; the names that its `earlier` cells make; what it `refuses`, since it is the answer."""
    given = json.loads(given)
    state["lines"], state["function"], state["earlier"] = source.split("\n"), given["function"], given["earlier"]
    space = {"__name__": "__main__", "print": show_print, "RecursionError": RecursionError, "_slices_": slices,
             "input": lacking("`input()` is not on the page"), "open": lacking("`open()` is not on the page")}
    space.update(HELPERS)
    space.update(BUILTINS)
    builtins.__import__ = find_module
    state["at_hand"] = {}
    try:
        for name, whole in given["imports"].items():
            bind(space, name, whole)
        for name in given["refuses"]:
            space[name.split(".")[-1]] = state["at_hand"]["coursekit." + name] = refused(
                "coursekit." + name + " does not answer here, since it is the answer: write it yourself")
        small_reader.tokens(source)
        try:
            code = compile(given["code"], FILE, "exec")
        except SyntaxError as error:
            return json.dumps(syntax_error(error, source, given["broken"]))
        if given["broken"]:
            lack("a piece of its syntax is not in the page's Python")
        exec(code, space)
    except small_reader.SlipError as error:
        return json.dumps({"type": "SyntaxError", "text": error.args[0], "line": error.args[1]})
    except BaseException as error:
        return json.dumps(described(error))
    state["answer"] = space.get(given["function"])
    if small_lacks.state["lack"]:
        return json.dumps({"lack": small_lacks.state["lack"]})
    if not callable(state["answer"]):
        return json.dumps({"missing": True})
    return "null"


def bind(space, name, whole):
    """A name of the chapter's first cell, where the page has it."""
    module, _, part = whole.rpartition(".")
    if hasattr(small_coursekit, part) and module[:9] == "coursekit":
        space[name] = state["at_hand"][whole] = getattr(small_coursekit, part)
    elif whole == "numpy" or module in OWN or whole in OWN + NATIVE:
        space[name] = getattr(find_module(module), part) if module else find_module(whole)


def call(arguments):
    """Call the answer on one case; JSON of {"value"} or of what went wrong."""
    inputs = eval(arguments, {"array": made, "nan": nan, "inf": inf})
    try:
        value = Teller().value(settled(state["answer"](*inputs)))
    except BaseException as error:
        return json.dumps(described(error))
    if small_lacks.state["lack"]:
        return json.dumps({"lack": small_lacks.state["lack"]})
    return '{"value": ' + value + "}"


def made(kind, dims, numbers):
    return ndarray(numbers, dims, kind)


def described(error):
    """{"type", "text", "line" of the reader's source or None, "stub": whether the stub itself raised it, "lack":
    what the page lacks, where that is the reason}."""
    buffer = io.StringIO()
    sys.print_exception(error, buffer)
    line, last = None, ""
    for row in buffer.getvalue().split("\n"):
        if row.startswith('  File "'):
            last = row
            if row.startswith('  File "' + FILE):
                line = int(row.split(", line ")[1].split(",")[0])
    try:
        told = shown(error.args[0]) if type(error) is KeyError and error.args else str(error)
    except BaseException:
        told = "(its text can't be shown)"
    own = last.startswith('  File "' + FILE)
    raised = own and "raise" in state["lines"][line - 1]
    stub = type(error) is NotImplementedError and raised and last.endswith(" in " + state["function"])
    words = " ".join(told.split())
    missing = small_lacks.state["lack"] or small_lacks.of_error(error, words, raised, state["earlier"])
    return {"type": type(error).__name__, "text": words, "line": line, "stub": stub, "lack": missing}


def syntax_error(error, source, broken):
    told = described(error)
    better = small_reader.slip(source) if told["text"] == "invalid syntax" else None
    if better:
        told["text"], told["line"] = better
        told["type"] = "IndentationError" if "indented" in better[0] else "SyntaxError"
    elif not broken:
        told["lack"] = small_lacks.of_syntax(told["text"])
    return told


def settled(value):
    """What a generator gives, as a list."""
    if not hasattr(value, "__next__"):
        return value
    found = []
    for entry in value:
        found.append(entry)
        if len(found) > MAX_ITEMS:
            break
    return found


class Teller:
    """Writes a value as JSON, in the form of shown.py; counts, since a list may hold itself."""

    def __init__(self):
        self.items = 0

    def value(self, value):
        many = isinstance(value, (list, tuple)) and len(value) > MAX_ITEMS
        array = None if many or isinstance(value, tuple) else numbers(value)
        self.items += len(value) if many else 1 if array is None else array.size
        if self.items > MAX_ITEMS:
            raise ValueError("the answer holds more than " + str(MAX_ITEMS) + " numbers")
        if isinstance(value, str):
            return json.dumps(["s", None, str(value)[:MAX_TEXT]])
        if array is not None:
            data = ", ".join([number(v) for v in array.values()])
            return '["' + array.dtype.kind + '", ' + json.dumps(list(array.shape)) + ", [" + data + "]]"
        if isinstance(value, (list, tuple)) and deep(value) < MAX_DEPTH:
            inner = ", ".join([self.value(v) for v in value])
            return '["' + ("l" if isinstance(value, list) else "t") + '", null, [' + inner + "]]"
        told = "None" if value is None else type(value).__name__ + " " + safe_repr(value)
        return json.dumps(["x", None, told[:MAX_TEXT]])


def number(value):
    if value is True or value is False:
        return str(int(value))
    return repr(value) if value == value and abs(value) != inf else '"' + str(value) + '"'


def numbers(value):
    """value as an array, or None where it is none."""
    if value is None or isinstance(value, str):
        return None
    if deep(value) >= MAX_DEPTH:
        return None
    try:
        return asarray(value)
    except BaseException:
        return None


def deep(value):
    """How deep lists lie in each other; MAX_DEPTH for a list that holds itself."""
    found = 0
    while isinstance(value, (list, tuple)) and len(value) and found < MAX_DEPTH:
        value, found = value[0], found + 1
    return found


def safe_repr(value):
    try:
        return repr(value)
    except BaseException as error:
        return "(its repr raises " + {"RuntimeError": "RecursionError"}.get(
            type(error).__name__, type(error).__name__) + ")"
