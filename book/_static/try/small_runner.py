"""Runs a reader's answer on the cases of an exercise and tells, as JSON, what came of each call.

It judges nothing: small_judge.py does, in another worker. A value is told as [kind, shape, data]: see shown.py.
"""

import builtins
import io
import json
import sys

import small_collections
import small_coursekit
import small_math
import small_numpy
import small_reader
from coursekit.autograder.rules import MAX_DEPTH, MAX_ITEMS, MAX_TEXT, PAGE
from small_array import asarray, ndarray
from small_operations import rounded
from small_print import float_text

FILE = "answer.py"
MODULES = ("copy", "functools", "heapq", "itertools", "json", "operator", "random", "re", "string",
           "time")
inf, nan = float("inf"), float("nan")
state = {"printed": 0, "answer": None, "function": "", "lines": []}
_import, _print, _zip, _round = builtins.__import__, print, zip, round


class RecursionError(RuntimeError):
    pass


def find_module(name, *rest):
    """What `import` finds: numpy and math of the page, and a few harmless modules."""
    if name == "numpy":
        return small_numpy
    if name == "math":
        return small_math
    if name in ("typing", "__future__", "collections.abc"):
        return Anything()
    if name == "collections":
        return small_collections
    if name in MODULES:
        builtins.__import__ = _import  # a module of MicroPython's imports others
        try:
            return _import(name, *rest)
        finally:
            builtins.__import__ = find_module
    if name.startswith("numpy."):
        getattr(small_numpy, name[6:])
    raise ImportError(name.split(".")[0] + " is not in the page; numpy and math are. Solve it in the notebook")


class Anything:
    """What `typing` gives: names that are written and never asked."""

    def __getattr__(self, name):
        return self

    def __getitem__(self, key):
        return self

    def __call__(self, *args, **named):
        return self


def refused(message):
    def function(*args, **named):
        raise RuntimeError(message)
    return function


def printed(value):
    """str(value), with floats as CPython writes them, in lists as well."""
    if type(value) is float:
        return float_text(value)
    if type(value) is list and any([type(v) is float for v in value]):
        return "[" + ", ".join([float_text(v) if type(v) is float else repr(v) for v in value]) + "]"
    if type(value) is tuple and any([type(v) is float for v in value]):
        return "(" + ", ".join([float_text(v) if type(v) is float else repr(v) for v in value]) + (
            ",)" if len(value) == 1 else ")")
    return str(value)


def show_print(*values, sep=" ", end="\n", **options):
    """print: what goes beyond the limit is dropped."""
    text = (" " if sep is None else sep).join([printed(v) for v in values]) + ("\n" if end is None else end)
    left = PAGE["printed"] - state["printed"]
    state["printed"] += len(text)
    if left >= 0:
        _print(text[:left] + ("\n… (the rest is left out)\n" if len(text) > left else ""), end="")


def strict_zip(*rows, strict=False):
    if strict:
        rows = [list(r) for r in rows]
        if len(set([len(r) for r in rows])) > 1:
            raise ValueError("zip() arguments have different lengths")
    return _zip(*rows)


def round_any(x, digits=None):
    if isinstance(x, ndarray):
        return rounded(x, digits or 0)
    return _round(x) if digits is None else _round(x, digits)


def define(source, function, names, refuses):
    """Run the source; JSON of None, or of what went wrong. names: of the library, that the chapter imports;
    refuses: those of them that are the answer."""
    builtins.__import__ = find_module
    state["lines"] = source.split("\n")
    space = {"__name__": "__main__", "np": small_numpy, "math": small_math, "print": show_print, "zip": strict_zip,
             "round": round_any, "RecursionError": RecursionError, "_left_side_": small_reader.left_side,
             "_flipped_": small_reader.flipped, "_text_": lambda *v: printed(v[0] if len(v) == 1 else v),
             "input": refused("input() is not in the page; solve it in the notebook"),
             "open": refused("open() is not in the page; solve it in the notebook")}
    for name in names:
        space[name] = getattr(small_coursekit, name)
    for name in refuses:
        space[name.split(".")[-1]] = refused("coursekit." + name + " does not answer here, since it is the answer: "
                                             "write it yourself")
    try:
        try:
            code = compile(small_reader.prepared(source), FILE, "exec")
        except (SyntaxError, small_reader.SlipError) as error:
            return json.dumps(syntax_error(error, source))
        exec(code, space)
    except BaseException as error:
        return json.dumps(described(error))
    state["answer"], state["function"] = space.get(function), function
    if not callable(state["answer"]):
        return json.dumps({"missing": True})
    return "null"


def call(arguments):
    """Call the answer on one case; JSON of {"value"} or of what went wrong."""
    inputs = eval(arguments, {"array": made, "nan": nan, "inf": inf})
    try:
        value = settled(state["answer"](*inputs))
    except BaseException as error:
        return json.dumps(described(error))
    try:
        return '{"value": ' + Teller().value(value) + "}"
    except BaseException as error:
        return json.dumps(described(error))


def made(kind, dims, numbers):
    return ndarray(numbers, dims, kind)


def described(error):
    """{"type", "text", "line" of the reader's source or None, "stub": whether the stub itself raised it}."""
    buffer = io.StringIO()
    sys.print_exception(error, buffer)
    line, last = None, ""
    for text in buffer.getvalue().split("\n"):
        if text.startswith('  File "'):
            last = text
            if text.startswith('  File "' + FILE):
                line = int(text.split(", line ")[1].split(",")[0])
    try:
        text = repr(error.args[0]) if type(error) is KeyError and error.args else str(error)
    except BaseException:
        text = "(its text can't be shown)"
    own = last.startswith('  File "' + FILE) and last.endswith(" in " + state["function"])
    stub = type(error) is NotImplementedError and own and "raise" in state["lines"][line - 1]
    return {"type": type(error).__name__, "text": " ".join(text.split()), "line": line, "stub": stub}


def syntax_error(error, source):
    if isinstance(error, small_reader.SlipError):
        return {"type": "SyntaxError", "text": error.args[0], "line": error.args[1]}
    told = described(error)
    better = small_reader.slip(source) if told["text"] == "invalid syntax" else None
    if better:
        told["text"], told["line"] = better
        told["type"] = "IndentationError" if "indented" in better[0] else "SyntaxError"
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
