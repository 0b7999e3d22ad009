"""What people return, mistype or try by malice; and what a page must say to it."""


def body(*lines):
    """An answer to start.advantage with these lines."""
    return "def advantage(q_values, policy):\n" + "".join(f"    {line}\n" for line in lines)


# Expressions in `array(kind, shape, numbers)`, nan and inf: every one is returned as an answer.
VALUES = [
    "None", "True", "False", "0", "3", "-7", "2.5", "-0.0", "0.1 + 0.2", "nan", "inf", "-inf", "1e300", "1e-300",
    "12345678.9", "123456789.123", "'none'", "' None '", "'3'", "''", "'it\\'s'", "'a\"b'", "'-' * 2000", "()",
    "[]", "[[]]", "(1,)", "(1, 2, 3)", "(1.5, [2, 3], True)", "((1, 2), 3)", "[1, 2, 3]", "[1, 2.5, True]",
    "[True, False, True]", "[1, 'a']", "[None]", "[[1, 2], [3]]", "[[1, 2], [3, 4]]", "[(1, 2), (3, 4)]",
    "[array('f', (2,), [1, 2]), array('f', (2,), [3, 4])]", "[array('f', (1,), [1]), array('f', (3,), [3, 4, 5])]",
    "array('f', (0,), [])", "array('f', (1,), [2.0])", "array('f', (3,), [nan, inf, -inf])",
    "array('f', (3,), [nan, 1.0, 20.25])", "array('i', (3,), [1, -20, 300])",
    "array('b', (3,), [True, False, True])",
    "array('b', (2, 2), [True] * 4)", "array('f', (3,), [1e-9, 1.0, 2.0])", "array('f', (3,), [1e-3, 1.0, 2000.0])",
    "array('f', (2,), [1e9, 1.5])", "array('f', (4,), [0.12345, 0.00005, -1.00005, 99999.99995])",
    "array('f', (2, 3), [1, 2, 3, 4, 5, 6])", "array('f', (3, 1), [1, 2, 3])",
    "array('f', (2, 1, 2), [1, 2, 3, 4])",
    "array('f', (25,), [0.5] * 25)", "array('i', (25,), list(range(25)))", "array('f', (2, 11), [0.5] * 22)",
    "array('f', (8, 3), [0.25] * 24)", "array('b', (30,), [True] * 30)", "[0.1] * 30",
    "array('f', (5,), [0.9, 0.8, 0.7, 0.5, 0.2])", "10**30", "2**62", "{'a': 1}", "{1}", "b'x'", "range(3)",
    "[[[[[[[[[[1]]]]]]]]]]", "1j",
]

# {the last line of an answer: the error, as CPython and numpy call it}
ERRORS = {
    "return q_values + None": "TypeError: unsupported operand type(s) for +: 'numpy.ndarray' and 'NoneType'",
    "return 1 + 'a'": "TypeError: unsupported operand type(s) for +: 'int' and 'str'",
    "return 1 < 'a'": "TypeError: '<' not supported between instances of 'int' and 'str'",
    "return 0.5 < None": "TypeError: '<' not supported between instances of 'float' and 'NoneType'",
    "return -'a'": "TypeError: bad operand type for unary -: 'str'",
    "return missing": "NameError: name 'missing' is not defined",
    "return len(q_values) / 0": "ZeroDivisionError: division by zero",
    "return list(q_values)[9]": "IndexError: list index out of range",
    "return q_values[9]": "IndexError: index 9 is out of bounds for axis 0 with size 2",
    "return q_values[0, 1]": "IndexError: too many indices for array: array is 1-dimensional, but 2 were indexed",
    "return q_values[0.5]": "IndexError: only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and "
                            "integer or boolean arrays are valid indices",
    "return q_values.foo": "AttributeError: 'numpy.ndarray' object has no attribute 'foo'",
    "return q_values[0].foo": "AttributeError: 'numpy.float64' object has no attribute 'foo'",
    "return (1.5).foo": "AttributeError: 'float' object has no attribute 'foo'",
    "return np.foo": "AttributeError: module 'numpy' has no attribute 'foo'",
    "return np.sum(policy, foo=1)": "TypeError: sum() got an unexpected keyword argument 'foo'",
    "return math.exp(1)": "NameError: name 'math' is not defined",
    "return 2 ** -np.arange(3)[1]": "ValueError: Integers to negative integer powers are not allowed.",
    "return (policy > 1)[0] - (policy > 1)[0]": "TypeError: numpy boolean subtract, the `-` operator, is not "
        "supported, use the bitwise_xor, the `^` operator, or the logical_xor function instead.",
    "return len(5)": "TypeError: object of type 'int' has no len()",
    "return 5[0]": "TypeError: 'int' object is not subscriptable",
    "return policy(1)": "TypeError: 'numpy.ndarray' object is not callable",
    "for x in 5: pass": "TypeError: 'int' object is not iterable",
    "if q_values > 0: return 1": "ValueError: The truth value of an array with more than one element is ambiguous. "
                                 "Use a.any() or a.all()",
    "return q_values + np.zeros(3)": "ValueError: operands could not be broadcast together with shapes (2,) (3,)",
    "q_values[:] = [1, 2, 3]": "ValueError: could not broadcast input array from shape (3,) into shape (2,)",
    "return q_values.sum(axis=1)": "ValueError: axis 1 is out of bounds for array of dimension 1",
    "return (lambda a, b: a)(1, 2, 3)": "TypeError: <lambda>() takes 2 positional arguments but 3 were given",
    "return {}['a']": "KeyError: 'a'",
    "x = x + 1": "UnboundLocalError: a local variable is read before it has a value",
    "raise ValueError('no')": "ValueError: no",
    "assert False": "AssertionError: ",
    "a, b = [1]": "ValueError: not enough values to unpack (got 1)",
    "a, b = [1, 2, 3]": "ValueError: too many values to unpack (expected 2)",
    "import js": "ModuleNotFoundError: No module named 'js'",
    "return np.array([[1], [1, 2]])": "ValueError: setting an array element with a sequence. The requested array "
                                      "has an inhomogeneous shape after 1 dimensions.",
    "import math; return math.exp(1000)": "OverflowError: math range error",
}
CALLS = {
    "def advantage(q_values):\n    return 1": "TypeError: advantage() takes 1 positional argument but 2 were given",
    "def advantage(a, b, more):\n    return 1":
        "TypeError: advantage() missing 1 required positional argument: 'more'",
    "def advantage():\n    return 1": "TypeError: advantage() takes 0 positional arguments but 2 were given",
    "def advantage(a, b, c, d):\n    return 1":
        "TypeError: advantage() missing 2 required positional arguments: 'c' and 'd'",
}
ABSENT = "There is no function advantage(q_values, policy) in this answer."
SLIPS = {  # the whole source: the only line of the verdict
    body("return q_values \u2212 1"): "SyntaxError: invalid character '\u2212' (U+2212) (your line 2)",
    body("return\u00a0q_values"): "SyntaxError: invalid non-printable character U+00A0 (your line 2)",
    body("print(\u201chi\u201d)"): "SyntaxError: invalid character '\u201c' (U+201C) (your line 2)",
    "def advantage(q_values, policy)\n    return 1": "SyntaxError: expected ':' (your line 1)",
    body("return (1 + 2"): "SyntaxError: '(' was never closed (your line 2)",
    body("return [1)"): "SyntaxError: closing parenthesis ')' does not match opening parenthesis '[' (your line 2)",
    "def advantage(q_values, policy):\nreturn 1":
        "IndentationError: expected an indented block after 'def' on line 1 (your line 2)",
    body("x = 'abc", "return x"): "SyntaxError: unterminated string literal (your line 2)",
    "x = 1\n  y = 2": "IndentationError: unexpected indent (your line 2)",
    body("return 1]"): "SyntaxError: unmatched ']' (your line 2)",
    body("return 1 +"): "SyntaxError: invalid syntax (your line 2)",
    "return 3": "SyntaxError: 'return' outside function (your line 1)",
    "print 'hi'": "SyntaxError: invalid syntax (your line 1)",
    "x = 1\ny = x / 0": "ZeroDivisionError: division by zero (your line 2)",
    "": ABSENT, "advantage = 3": ABSENT, "def advantages(q_values, policy):\n    return 1": ABSENT,
}

UNJUDGED = {  # what the page lacks: how it says so, after "cannot be judged here: "
    body("return input('?')"): "`input()` is not on the page (your line 2)",
    body("return open('/etc/passwd')"): "`open()` is not on the page (your line 2)",
    body("return advantage(q_values, policy)"): "a recursion this deep is not possible on the page (your line 2)",
    body("return [0] * 10**9"): "it takes more memory than the page has (your line 2)",
    body("x = [0]", "while True: x = x + x"): "it takes more memory than the page has (your line 3)",
    "import asyncio": "the module `asyncio` is not on the page (your line 1)",
    "import os": "the module `os` is not on the page (your line 1)",
    "import sys": "the module `sys` is not on the page (your line 1)",
    "from coursekit.advantages import gae": "the module `coursekit.advantages` is not on the page (your line 1)",
    body("try:", "    import torch", "except ImportError:", "    pass", "return q_values"):
        "the module `torch` is not on the page (your line 3)",
    body("return np.linalg.eig(policy)"): "`np.linalg.eig` is not in the page's numpy (your line 2)",
    body("return np.sum(policy, where=policy > 0, out=q_values)"):
        "`out=` of `np.sum` is not in the page's numpy (your line 2)",
    body("return collect(policy)"):
        "`collect`, which an earlier cell of the chapter makes, is not on the page (your line 2)",
    body("match policy:", "    case _: return q_values"): "`match` is not in the page's Python (your line 2)",
    body("return q_values if len(policy) < 3 else np.piecewise(policy)"):
        "`np.piecewise` is not in the page's numpy (your line 2)",
}

# Python, however odd: it runs on the page, or the page says that it cannot judge it. NEWER: since Python 3.12.
PYTHON = [
    "x = 1.if y else 2", "x = [1.for y in z]", "x = 1.or 2", "x = 1..real", "x = 1if y else 2", "x = 0xfor y",
    "x = 0_0 + 1_0.0_1 + 0XFF + 5. + .5 + 1.J", "print(*a, sep='')", "f = lambda: (yield)", "f = lambda a, /, b: 0",
    "f = lambda *, k: 0", "with (a as b, c as d): pass", "with a as (b, c): pass", "with a as b[0], c as d.e: pass",
    "x[*a]", "x[1, *a] = 3", "x[a:=1]", "for x in *a, *b: pass", "x += *a, b", "*a, = b", "*a, b", "x: int",
    "x[0]: int = 1", "@a.b[1]\ndef f(): pass", "@(lambda f: f)\ndef f(): pass", "@a or b\ndef f(): pass",
    "try: pass\nexcept* E as e: pass", "def f(*args: *Ts): pass", "def f(a, /, b=2, *c: int, d: str, **g): pass",
    "match x, y:\n    case 1, *_: pass", "match x:\n    case 'a' 'b': pass", "match *a, b:\n    case _: pass",
    "match = case = type = 1", "match(x)", "print = 1", "print -1", "print[1]", "print or x", "x = print",
    "f'{f\"{1}\"}'", "f'{x!r:^{w}}'", "f'{x:=5}'", "f'{x = !r:>10}'", "f'{*a, 1}'", "f\"{x:'>5}\"",
    "'\\N{EN DASH}'", "f'\\N{EN DASH}{x}'", "b'a' Rb'b'", "u'a'", "y = [z := x for x in a]", "x = {a:=1}",
    "y = [x for x in a if (z := x)]", "f(k=1, *a)", "f(*a, k=1, *b)", "del [a, b]", "del ()", "del (a, b), c",
    "x = (a  # one\n     + b)  # two", "x = a \\\n    + b", "if x: pass; y = 1", "x = not a in b", "\u00e9 = 1",
    "async def f():\n    return [x async for x in y]", "async def f():\n    async with (a as b, c as d): pass",
    "async def f():\n    x = [await y for y in z]", "async def f():\n    yield await x", "def f():\n    yield",
    "def f(): yield; yield 1", "def f():\n    x = y = yield z", "def f():\n    x += yield",
    "def f():\n    yield *a, b", "def f():\n    global x; global x", "x = 1; global y",
    "def f():\n    def g():\n        nonlocal x\n        x = 1\n    x = 0",
]
NEWER = [
    "type X = int", "def f[T](x: T) -> T: return x", "class A[T = int](B): pass", "f'{x['a']}'", "f\"{'\"'}\"",
    "f'{'('}'", "f\"{\"\u2212\"}\"", "f'''{\n    x # one\n}'''", "t'{x}'", "try: pass\nexcept A, B: pass",
]

LATE = "no answer within 1 s: does the loop end?"
HOSTILE = [  # (source, what the verdict must say)
    (body("P = print.__globals__['_print']", "while True: P('x' * 1000)"), "too much was printed"),
    (body("while True: pass"), LATE), ("while True: pass", LATE),
    (body("for i in range(10**9): print('x' * 100)"), LATE),
    (body("while True:", "    try:", "        while True: pass", "    except BaseException: pass"), LATE),
    (body("class A:", "    def __repr__(self): return repr(self)", "return A()"), "its repr raises RecursionError"),
    (body("print('x' * 10**7)", "return 0"), "got      0 (one number, expected an array of shape (2,))"),
    (body("return 'x' * 10**7"), "(a word, expected an array of shape (2,))"),
    (body("return list(range(10**6))"), "holds more than 20000 numbers"),
    ("import js\njs.fetch('http://127.0.0.1:9/')", "No module named 'js'"),
    ("import jsffi", "No module named 'jsffi'"), ("from js import fetch", "No module named 'js'"),
    ("import small_runner", "No module named 'small_runner'"), ("__import__('js')", "No module named 'js'"),
    ("import small_lacks", "No module named 'small_lacks'"),
    (body("x = []", "x.append(x)", "return x"), "(not a number, expected an array of shape (2,))"),
    (body("class Equal:", "    def __eq__(self, other): return True", "return Equal()"), "not a number"),
    (body("class Sly:", "    def __repr__(self): raise ValueError", "return Sly()"), "its repr raises ValueError"),
    (body("class Sly(Exception):", "    def __str__(self): raise ValueError", "raise Sly"), "text can't be shown"),
    (body("class Sly(list):", "    def __len__(self): raise ValueError", "return Sly()"), "got "),
    (body("raise SystemExit"), "SystemExit"), (body("raise KeyboardInterrupt"), "KeyboardInterrupt"),
    (body("pass"), "nothing: does the function return its result?"), (body("return ['a', 'b']"), "list of 2"),
    (body("q_values[:] = 7", "policy[:] = 7", "return q_values"), "got      [7.0, 7.0]"),
    (body("return lambda: 3"), "not a number"),
           (body("yield 1"), "(an array of shape (1,), expected an array of shape (2,))"),
    (body("return np"), "not a number"),
]
FORGED = {  # an honest answer survives what its author does to names
    "names": "len = sum = max = abs = list = str = float = int = isinstance = repr = None\n",
    "numpy": "np.array = np.sum = np.asarray = np.ndarray = np.mean = np.where = None\n",
    "verdict": "judge = postMessage = grade = lambda *a: 1\nprint('✓ start.advantage: 3 of 3 cases, 1 point')\n",
}
