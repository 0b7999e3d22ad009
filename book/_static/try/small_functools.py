"""Python's functools."""

MISSING = object()


def reduce(function, sequence, initial=MISSING):
    for x in sequence:
        initial = x if initial is MISSING else function(initial, x)
    if initial is MISSING:
        raise TypeError("reduce() of empty iterable with no initial value")
    return initial


def partial(func, *args, **keywords):
    def call(*more, **named):
        return func(*args, *more, **dict(list(keywords.items()) + list(named.items())))
    return call


def lru_cache(maxsize=128, typed=False):
    return cache(maxsize) if callable(maxsize) else cache


def cache(user_function):
    kept = {}

    def call(*args, **named):
        key = args, tuple(sorted(named.items()))
        if key not in kept:
            kept[key] = user_function(*args, **named)
        return kept[key]
    return call


def wraps(wrapped):
    return lambda function: function


def cmp_to_key(mycmp):
    class Key:
        def __init__(self, value):
            self.value = value

        def __lt__(self, other):
            return mycmp(self.value, other.value) < 0

        def __gt__(self, other):
            return mycmp(self.value, other.value) > 0

        def __eq__(self, other):
            return mycmp(self.value, other.value) == 0
    return Key
