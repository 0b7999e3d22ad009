"""The numbers and flags that come out of an array of the page's small numpy: they calculate as numpy's do.

Their operators are set in small_operations.py. A float divided by zero is inf or nan; a comparison is a `bool_`.
"""

from small_print import float_text

tools = {}  # what small_array.py puts here: asarray, ndarray, dtypes and casts


class generic:
    """A number or a flag out of an array, with numpy's arithmetic: see small_operations.py."""

    def __init__(self, value=0):
        value = tools["asarray"](value)
        if value.size != 1:
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        self.value = tools["casts"][self._kind](value.values()[0])

    dtype = property(lambda self: tools["dtypes"][self._kind])
    shape, ndim, size = (), 0, 1
    T = property(lambda self: self)

    def __bool__(self):
        return bool(self.value)

    def __float__(self):
        return float(self.value)

    def __hash__(self):
        return hash(self.value)

    def __repr__(self):
        return "np." + type(self).__name__ + "(" + str(self) + ")"

    def __str__(self):
        return float_text(self.value) if self._kind == "f" else str(self.value)

    def __getattr__(self, name):
        if name[:1] != "_" and hasattr(tools["ndarray"], name):
            return getattr(tools["asarray"](self), name)
        raise AttributeError("'numpy." + type(self).__name__ + "' object has no attribute '" + name + "'")

    def __getitem__(self, key):
        if key is None or key is Ellipsis or key == ():
            return tools["asarray"](self)[key]
        raise IndexError("invalid index to scalar variable.")

    def item(self):
        return self.value

    tolist = item


class number(generic):
    pass


class integer(number):
    pass


class floating(number):
    pass


class int64(integer):
    _kind = "i"

    def __int__(self):
        return self.value


class float64(floating):
    _kind = "f"

    def is_integer(self):
        return self.value == self.value and abs(self.value) < 1e300 and self.value == int(self.value)


class bool_(generic):
    """Unlike Python's True, `~flag` is its opposite."""

    _kind = "b"

    def __int__(self):
        return int(self.value)

    def __repr__(self):
        return "np." + str(self.value) + "_"


SCALARS = {"b": bool_, "i": int64, "f": float64}
