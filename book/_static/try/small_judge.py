"""Judges what a worker told of an answer, by the rules of `check`: diagnosis.py and shown.py are the same files.

What is known of the exercise comes as data, written by book/_ext/tryit.py.
"""

import json

from coursekit.autograder import diagnosis, shown


class Known:
    """What diagnosis.py asks of an exercise."""

    def __init__(self, data):
        self.id, self.points, self.tolerance = data["id"], data["points"], data["tolerance"]
        self.labels, self.calls, self.mistakes = data["labels"], data["calls"], [tuple(m) for m in data["mistakes"]]
        self.expected = [value(v) for v in data["expected"]]
        self.inputs = [pairs([(name, value(v)) for name, v in case]) for case in data["inputs"]]
        self.facts, self.places = pairs(data["facts"]), pairs(data["places"])
        self.outcomes, self.both, self.signatures = data["outcomes"], data["pairs"], data["signatures"]

    def outcome(self, mistake, k):
        return value(self.outcomes[mistake][k])

    def pairs(self, got, cases):
        found = list(range(len(self.both)))
        for k in cases:
            mine, row = shown.signature(got[k]), self.signatures[k]
            found = [i for i in found if shown.same_signature(mine, row[i], self.tolerance)]
        return [self.both[i] for i in found]


def pairs(rows):
    """A dictionary that keeps its order, as far as it is asked: MicroPython's does not."""
    from collections import OrderedDict
    return OrderedDict(rows)


def value(told):
    """A value out of JSON, where NaN and the infinities are words."""
    kind, shape, data = told
    if kind in ("t", "l"):
        return kind, None, [value(v) for v in data]
    if kind in shown.NUMBERS:
        return kind, tuple(shape), [float(x) for x in data]
    return kind, None, data


last = []  # the exercise judged last, as JSON and as Known: often the next one is the same


def judge(known, outcomes):
    """JSON of the verdict. known: JSON of what tryit.py wrote of the exercise; outcomes: JSON of a list."""
    if not last or last[0] != known:
        last[:] = known, Known(json.loads(known))
    told = [dict(o, value=value(o["value"])) if "value" in o else o for o in json.loads(outcomes)]
    return json.dumps(diagnosis.judge(last[1], told))
