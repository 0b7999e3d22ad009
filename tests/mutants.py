"""Wrong answers made of right ones: a solution with one thing changed, by its syntax tree."""

import ast
import copy
import warnings
from collections import Counter

import numpy as np

from coursekit.autograder import shown
from coursekit.autograder.verdict import inputs_of, plain

COMPARISONS = {ast.Lt: (ast.LtE, ast.Gt), ast.LtE: (ast.Lt, ast.GtE), ast.Gt: (ast.GtE, ast.Lt),
               ast.GtE: (ast.Gt, ast.LtE), ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,)}
OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.BitOr: ast.BitAnd,
             ast.BitAnd: ast.BitOr, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult}
NAMES = {"minimum": "maximum", "maximum": "minimum", "argmin": "argmax", "argmax": "argmin", "min": "max",
         "max": "min",
         "mean": "sum", "sum": "mean", "exp": "expm1", "abs": "array"}


def changes(node):
    """What may stand in the place of a node of a syntax tree."""
    if isinstance(node, ast.Compare):
        for other in COMPARISONS.get(type(node.ops[0]), ()):
            yield ast.Compare(node.left, [other(), *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    elif isinstance(node, ast.UnaryOp):
        yield node.operand
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.And() if isinstance(node.op, ast.Or) else ast.Or(), node.values)
        yield from node.values
    elif isinstance(node, ast.Constant) and type(node.value) in (int, float):
        for value in (node.value + 1, node.value - 1, node.value / 2 if type(node.value) is float else None):
            if value is not None and value != node.value:
                yield ast.Constant(value)
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)
    elif isinstance(node, ast.If):
        yield ast.If(ast.Constant(True), node.body, node.orelse)
        yield ast.If(ast.Constant(False), node.body, node.orelse)
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield ast.Attribute(node.value, NAMES[node.attr], node.ctx)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "where" and len(node.args) == 3:
            yield from node.args[1:]
        if node.keywords:
            yield ast.Call(node.func, node.args, [])
    elif isinstance(node, ast.Slice) and node.step:
        yield ast.Slice(node.lower, node.upper, None)


def of_source(source):
    """{what was changed: source} for every change of one node in the functions of a source."""
    tree, found = ast.parse(source), {}
    nodes = [n for f in tree.body if isinstance(f, ast.FunctionDef) for s in f.body for n in ast.walk(s)]
    for node in nodes:
        for new in changes(node):
            memory = {id(node): new}  # the copy holds the new node in the place of the old one
            text = ast.unparse(ast.fix_missing_locations(copy.deepcopy(tree, memory)))
            line = next((b for a, b in zip(ast.unparse(tree).split("\n"), text.split("\n")) if a != b), "").strip()
            if text != ast.unparse(tree):
                found[f"{ast.unparse(node)[:60]} -> {ast.unparse(new)[:60]} in {line[:90]}"] = text
    return found


def with_arguments_ignored(exercise, function):
    """{what is ignored: function} for every argument: it is what it is in most cases, or an array of zeros."""
    cases = exercise.cases(0)
    for position, name in enumerate(exercise.arguments):
        values = [case.inputs[name] for case in cases]
        if isinstance(values[0], np.ndarray):
            kinds = {"zeros": np.zeros_like, "ones": np.ones_like}
        else:
            usual = Counter(values).most_common(1)[0][0]
            kinds = {repr(usual): lambda x, usual=usual: usual}
        for what, make in kinds.items():
            yield f"{name} = {what}", lambda *inputs, position=position, make=make: function(
                *inputs[:position], make(inputs[position]), *inputs[position + 1:])


DRAWN = {}  # {(id, seed): list of (case, right answer)}


def drawn(exercise, seed):
    """The cases of a seed, each with what the reference gives: made once for all answers."""
    if (exercise.id, seed) not in DRAWN:
        DRAWN[exercise.id, seed] = [(case, plain(exercise.reference(*inputs_of(case))))
                                    for case in exercise.cases(seed)]
    return DRAWN[exercise.id, seed]


def passes(exercise, function, seed):
    """Whether an answer is right on all cases of a seed; stops at the first that is wrong."""
    for case, right in drawn(exercise, seed):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                value = function(*inputs_of(case))
        except Exception:
            return False
        if not shown.agree(plain(value), right, exercise.tolerance):
            return False
    return True
