"""Notebooks gone wrong at random: bytes changed, cut, doubled; values of the JSON exchanged for others."""

import copy
import json
import random

ODD = [None, True, False, 0, -1, 10**30, 1.5, "", "x", "\ud800", [], {}, [[]], {"a": 1}, [None], ["x", 3], {"": []}]


def mutants(data, count, seed):
    """Yield count mutations of the bytes of a notebook."""
    rng, whole = random.Random(seed), json.loads(data)
    whole["cells"] = whole["cells"][-12:]
    small = json.dumps(whole).encode()
    for k in range(count):
        yield _bytes(rng, small) if k % 3 == 0 else _values(rng, whole)


def _bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif kind == 1:
            del data[at:min(to, at + rng.choice([1, 10, 1000]))]
        elif kind == 2:
            data[at:at] = data[at:min(to, at + 100)]
        else:
            data[at:at] = bytes(rng.randrange(256) for _ in range(3))
    return bytes(data)


def _values(rng, notebook):
    notebook = copy.deepcopy(notebook)
    for _ in range(rng.randint(1, 4)):
        place, key = _somewhere(rng, notebook)
        kind = rng.randrange(4)
        if kind == 0 and isinstance(place, dict):
            del place[key]
        elif kind == 1 and isinstance(place, list):
            place.append(copy.deepcopy(rng.choice(place)))
        else:
            place[key] = copy.deepcopy(rng.choice(ODD))
    return json.dumps(notebook).encode()


def _somewhere(rng, node):
    """A container of the tree and one of its keys."""
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = rng.choice(list(keys)) if keys else None
        if key is None:
            node["cells" if isinstance(node, dict) else 0] = 0 if isinstance(node, dict) else node.append(0)
            return node, next(iter(node)) if isinstance(node, dict) else 0
        if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.25:
            return node, key
        node = node[key]
