"""What the page's Python lacks, told from what is wrong.

The build ships the names and the parameters of the real modules (small_names.py, by book/_ext/tryit.py). What they
have and the page has not is a lack: then no verdict is given. What they have not either is the reader's mistake.
"""

HARMLESS = ("kind", "stable", "casting", "subok")  # they choose a way, not a result
SYNTAX = ("can't assign", "can't delete", "outside function", "outside loop", "reused", "redefined", "no binding",
          "must be last", "follows default", "after keyword", "indent", "can't declare", "argument repeated")
KINDS = {"OrderedDict": "dict", "closure": "function", "bound_method": "method"}
tables = {}  # what small_names.py holds
state = {"lack": None}


class Lack(BaseException):
    """The page cannot go on, and the answer may be right. No `except Exception` of an answer takes it."""


def lack(what):
    """Raise Lack: `what` is a clause such as "`np.einsum` is not in the page's numpy"."""
    state["lack"] = state["lack"] or what
    raise Lack(what)


def place(module):
    return "numpy" if module.split(".")[0] in ("numpy", "ndarray") else "Python"


def short(name):
    return "np." + name[6:] if name[:6] == "numpy." else name


class Module:
    """A module as an answer sees it: what the page has of it, and the names that it has in truth."""

    def __init__(self, name, source):
        self.__name__, self._source = name, source

    def __getattr__(self, name):
        whole, known = self.__name__ + "." + name, tables["MODULES"][self.__name__].split(" ")
        found = getattr(self._source, name, None) if name in known else None
        if whole in tables["MODULES"]:
            found = Module(whole, found)
        if found is not None or name == "newaxis":
            setattr(self, name, door(whole, found))
            return getattr(self, name)
        if name in known or name in ("__version__", "__doc__", "__file__"):
            lack("`" + short(whole) + "` is not in the page's " + place(whole))
        raise AttributeError("module '" + self.__name__ + "' has no attribute '" + name + "'")


def door(name, function, told=None):
    """The function behind the parameters that it has in truth: their order, their names."""
    told = told or tables["PARAMETERS"].get(name)
    if told is None or not callable(function):
        return function
    ready = []

    def call(*args, **named):
        if not ready:
            ready.append(Parameters(name, told))
        parameters = ready[0]
        if not named and parameters.fewest <= len(args) <= parameters.plain:
            return function(*args)
        given = parameters.bound(args, named)
        if not hasattr(function, "nin"):
            return function(**given)
        numbers = [given.pop(x) for x in ("x0", "x1") if x in given]
        if given.get("where", True) is not True and given.get("out") is None:
            lack("`where=` of `" + short(name) + "` without `out=` is not in the page's numpy")
        return function(*numbers, **given)
    return Wrapped(call, function, name) if hasattr(function, "reduce") else call


class Wrapped:
    """A ufunc: it is called through its door, and has methods."""

    def __init__(self, call, function, name):
        self._call, self._function, self._name = call, function, name

    def __call__(self, *args, **named):
        return self._call(*args, **named)

    def __getattr__(self, name):
        if name in ("reduce", "accumulate", "outer", "at"):
            told = tables["PARAMETERS"]["ufunc." + name]
            return door(self._name + "." + name, getattr(self._function, name), told)
        if name in ("nin", "identity"):
            return getattr(self._function, name)
        if name in tables["TYPES"]["ufunc"].split(" "):
            lack("`" + short(self._name) + "." + name + "` is not in the page's numpy")
        raise AttributeError("'numpy.ufunc' object has no attribute '" + name + "'")


class Parameters:
    """From the text that the build wrote: `x / axis= out!None * where!True`.

    `=`: may be left out. `!`: the page does not have it, and it may be given only with this value. What stands
    before `/` has no name; what stands after `*` is given by name only.
    """

    def __init__(self, name, told):
        self.name, self.all, self.positional, self.unnamed = name, [], 0, 0
        self.missing, words, named_only = [], told.split(" "), False
        for word in words:
            if word == "/":
                self.unnamed = len(self.all)
            elif word == "*":
                named_only = True
            elif word:
                stop = word.find("!")
                self.all.append((word.split("!")[0].rstrip("="), stop < 0, word[stop + 1:]))
                if word[-1:] != "=" and stop < 0:
                    self.missing.append(self.all[-1][0])
                self.positional += not named_only
        self.fewest, self.plain = len(self.missing), 0
        while self.plain < self.positional and self.all[self.plain][1]:
            self.plain += 1

    def bound(self, args, named):
        """{name: value} for a function of the page."""
        title, given, unnamed = self.name.split(".")[-1], {}, self.unnamed
        if len(args) > self.positional:
            raise TypeError(title + "() takes at most " + str(self.positional) + " positional arguments but "
                            + str(len(args)) + " were given")
        for value, parameter in zip(args, self.all):
            self.put(given, parameter, value)
        names = [parameter[0] for parameter in self.all]
        for key, value in named.items():
            if key not in names[unnamed:]:
                raise TypeError(title + "() got an unexpected keyword argument '" + key + "'")
            k = names.index(key, unnamed)
            if k < len(args):
                raise TypeError(title + "() got multiple values for argument '" + key + "'")
            self.put(given, self.all[k], value)
        for key in self.missing:
            if key not in given:
                raise TypeError(title + "() missing 1 required positional argument: '" + key + "'")
        return given

    def put(self, given, parameter, value):
        key, taken, default = parameter
        if taken:
            given[key] = value
        elif key not in HARMLESS and not (value is None or type(value) in (bool, str) and repr(value) == default):
            lack("`" + key + "=` of `" + short(self.name) + "` is not in the page's " + place(self.name))


def of_error(error, text, raised, names):
    """What is lacking, as a clause, where MicroPython's own error says so; None for a mistake. text: its words;
    raised: whether the answer itself raised it; names: of the chapter, which an earlier cell makes."""
    kind = type(error).__name__
    if isinstance(error, Lack):
        return str(error)
    if isinstance(error, MemoryError):
        return "it takes more memory than the page has"
    if kind == "NotNumbersError":
        return text + " is not in the page's numpy"
    if raised:
        return None
    if "recursion" in text or "pystack" in text:
        return "a recursion this deep is not possible on the page"
    if text == "unicode name escapes":
        return "a character by its name, as in `\\N{DASH}`, is not in the page's Python"
    if isinstance(error, NotImplementedError):
        return "this step of a slice is not in the page's Python" if "slice" in text or not text else None
    if kind == "NameError" and text[:6] == "name '":
        name = text.split("'")[1]
        if name in names:
            return "`" + name + "`, which an earlier cell of the chapter makes, is not on the page"
        return "`" + name + "` is not in the page's Python" if name in tables["BUILTINS"].split(" ") else None
    if kind == "AttributeError" and text.split("'")[-2] in ("_asdict", "_replace", "_make", "_fields"):
        return "`" + text.split("'")[-2] + "` of a named tuple is not in the page's Python"
    if kind == "ValueError" and text == "dict update sequence has wrong length":
        return "a dictionary out of this kind of value is not in the page's Python"
    if kind == "AttributeError" and " object has no attribute '" in text:
        owner, name = text.split("'")[1], text.split("'")[3]
        owner = KINDS.get(owner, owner)
        known = name in tables["TYPES"].get(owner, "").split(" ") or name[:2] == "__"
        where = place("numpy" if owner in ("ndarray", "ufunc") or owner[:6] == "numpy." else "")
        return "`." + name + "` of `" + owner + "` is not in the page's " + where if known else None
    if kind == "TypeError" and ("take keyword" in text or "extra keyword" in text or text.endswith("'base'")):
        return "a keyword argument of a built-in function is not in the page's Python"
    if kind == "OverflowError" and "machine word" in text:
        return "a whole number this large is not possible there on the page"
    return None


def of_syntax(text):
    """The same for a source that the editor's parser reads and MicroPython does not."""
    if any([word in text for word in SYNTAX]) and "await" not in text:
        return None
    return "a piece of its syntax is not in the page's Python"
