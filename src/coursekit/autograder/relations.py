"""What turns the right answer into this one: its sign, a shift, a factor … The second layer of diagnosis.

No exercise has to say anything for it. Plain Python, and no numpy: the same file runs in the page's MicroPython.
"""

import math

from coursekit.autograder.shown import NUMBERS, UNTRIED, agree, entries, finite, number

TELLING = 3  # different numbers that a relation must explain before it is believed


def relation(known, gots, wants, cases):
    """(name, question) of what turns every right answer into the learner's, or None. cases: their numbers."""
    if wants[0][0] in ("t", "l"):
        return of_tuples(known, gots, wants, cases)
    if any([v[0] not in NUMBERS for v in wants + gots]):
        return None
    return (of_inputs(known, gots, wants, cases) or of_numbers(gots, wants, known.tolerance)
            or of_terms(gots, wants, known.tolerance) or scaled(known, gots, wants, cases))


def of_tuples(known, gots, wants, cases):
    """For a tuple: entries exchanged or left out, or a relation of the one entry that is wrong."""
    rows, count = [entries(g) for g in gots], len(wants[0][2])
    for i in range(count):
        if all([agree(g, w[2][i], known.tolerance) for g, w in zip(gots, wants)]):
            return f"entry {i + 1} of the {count} that are wanted, without the rest", "What is wanted beside it?"
    if any([not row or len(row) != len(rows[0] or ()) or len(row) > count for row in rows]):
        return None
    few = len(rows[0])
    if few < count:
        if all([agree(p, w, known.tolerance) for row, want in zip(rows, wants) for p, w in zip(row, want[2])]):
            return f"the first {few} of the {count} that are wanted", "What is wanted beside them?"
        return None
    mine = [[row[i] for row in rows] for i in range(count)]
    right = [[w[2][i] for w in wants] for i in range(count)]

    def fits(i, j):
        return all([agree(g, w, known.tolerance) for g, w in zip(mine[i], right[j])])

    wrong = [i for i in range(count) if not fits(i, i)]
    if len(wrong) == 2 and fits(wrong[0], wrong[1]) and fits(wrong[1], wrong[0]):
        return "the right entries in another order", "Which of them comes first?"
    found = relation(known, mine[wrong[0]], right[wrong[0]], cases) if len(wrong) == 1 else None
    return found and (f"{found[0]} in entry {wrong[0] + 1} of {count}, the others right", found[1])


def of_inputs(known, gots, wants, cases):
    """The answer is an argument as it came, or the right answer with an argument added or taken away."""
    found = []
    for name in known.inputs[cases[0]]:
        given = [known.inputs[k][name] for k in cases]
        if any([v[0] not in ("f", "i") for v in given]) or all([agree(v, given[0], 0.0) for v in given[1:]]):
            continue
        if all([agree(g, v, known.tolerance) for g, v in zip(gots, given)]):
            found.append((f"`{name}` as it came", "What should happen to it?"))
        for sign, word in ((1, "added"), (-1, "taken away")):
            if all([agree(g, added(w, v, sign), known.tolerance) for g, w, v in zip(gots, wants, given)]):
                found.append((f"the right answer with `{name}` {word}", f"Is `{name}` a part of what is wanted?"))
    return found[0] if len(found) == 1 else None


def added(one, other, sign):
    if not one[2] or len(other[2]) not in (1, len(one[2])):
        return UNTRIED
    more = other[2] * (len(one[2]) // len(other[2]))
    return one[0], one[1], [x + sign * y for x, y in zip(one[2], more)]


def of_terms(gots, wants, tolerance):
    """One number is wanted, and the answer holds the terms of its sum or mean."""
    if any([w[1] for w in wants]) or not all([g[1] and len(g[2]) > 1 for g in gots]):
        return None
    for name, f in (("sum", sum), ("mean", mean)):
        if all([agree(("f", (), [f(g[2])]), w, tolerance) for g, w in zip(gots, wants)]):
            return f"the terms whose {name} is the right answer", "How many numbers are wanted?"
    return None


def of_numbers(gots, wants, tolerance):
    for name, question, change in RELATIONS:
        changed = [changed_by(change, w) for w in wants]
        if all([c is not None and agree(g, c, tolerance) for g, c in zip(gots, changed)]) and tells(changed, wants):
            return name, question
    return None


def changed_by(change, value):
    """A value after a change; None where it has none there. What is no number stays what it is."""
    if value[0] not in NUMBERS:
        return value
    try:
        return change(value)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError, IndexError):
        return None


def tells(changed, wants):
    """Whether a change moves enough numbers: it may leave nearly everything open, or nearly everything as it is."""
    moved = 0
    for c, w in zip(changed, wants):
        same = [a == b for a, b in zip(c[2], w[2])] if c[1] == w[1] else []
        moved += len([x for x in c[2] if x is not None]) - sum(same)
    return moved >= TELLING


def mean(numbers):
    return sum(numbers) / len(numbers)


def on_numbers(f):
    """A change of every number by itself."""
    return lambda value: (value[0], value[1], [f(x) for x in value[2]])


def on_rows(f):
    """A change of every row, along the last axis; its length may change."""
    def change(value):
        kind, shape, data = value
        if not shape or not data:
            return value
        rows = [f(data[i:i + shape[-1]]) for i in range(0, len(data), shape[-1])]
        return kind, shape[:-1] + (len(rows[0]),), [x for row in rows for x in row]
    return change


def to_one(f):
    """All numbers made into one."""
    return lambda value: ("f", (), [f(value[2])]) if value[1] and value[2] else None


def cumulated(row):
    total = [row[0]]
    for x in row[1:]:
        total.append(total[-1] + x)
    return total


def transposed(value):
    kind, (rows, columns), data = value
    return kind, (columns, rows), [data[j * columns + i] for i in range(columns) for j in range(rows)]


def standardised(ddof):
    def change(row):
        off = [x - mean(row) for x in row]
        scale = math.sqrt(sum([x * x for x in off]) / max(1, len(row) - ddof))
        return [x / scale if scale else 0.0 for x in off]
    return change


# (name, question, change); None in what a change gives may be anything.
NEGATED = ("the right answer with its sign turned",
           "Is a difference taken the wrong way round, or is there a minus too many or too few?",
           on_numbers(lambda x: -x))
REVERSED = ("the right answer in reverse order", "In which order did you walk, and in which did you store?",
            on_rows(lambda row: row[::-1]))
RELATIONS = (
    NEGATED, REVERSED,
    ("the right answer without its sign", "May it be negative?", on_numbers(abs)),
    ("1 − the right answer", "Which of the two cases did you measure?", on_numbers(lambda x: 1 - x)),
    ("the reciprocal of the right answer", "Which of the two stands below the line?", on_numbers(lambda x: 1 / x)),
    ("the right answer squared", "In which units should it be?", on_numbers(lambda x: x * x)),
    ("the root of the right answer", "In which units should it be?", on_numbers(math.sqrt)),
    ("the exponential of the right answer", "Is a logarithm wanted, or what it is the logarithm of?",
     on_numbers(math.exp)),
    ("the logarithm of the right answer", "Is a logarithm wanted, or what it is the logarithm of?",
     on_numbers(math.log)),
    ("the right answer cut to whole numbers", "Is there a cast to int, or an array of ints?", on_numbers(int)),
    ("the right answer one place late", "Which entry belongs to the first place?",
     on_rows(lambda row: [None] + row[:-1])),
    ("the right answer one place early", "Which entry belongs to the first place?",
     on_rows(lambda row: row[1:] + [None])),
    ("the right answer without its first entry", "How many entries are wanted?", on_rows(lambda row: row[1:])),
    ("the right answer without its last entry", "How many entries are wanted?", on_rows(lambda row: row[:-1])),
    ("the right answer with one entry too many at its end", "How many entries are wanted?",
     on_rows(lambda row: row + [None])),
    ("the right answer with one entry too many at its beginning", "How many entries are wanted?",
     on_rows(lambda row: [None] + row)),
    ("the right answer summed up from the front", "Is a total wanted at each place, or a part?",
     on_rows(cumulated)),
    ("the right answer summed up from the back", "Is a total wanted at each place, or a part?",
     on_rows(lambda row: cumulated(row[::-1])[::-1])),
    ("the right answer scaled to sum to 1", "Should it be scaled?",
     on_rows(lambda row: [x / sum(row) for x in row])),
    ("the right answer standardised", "Are mean 0 and deviation 1 wanted?", on_rows(standardised(0))),
    ("the right answer standardised", "Are mean 0 and deviation 1 wanted?", on_rows(standardised(1))),
    ("the right answer transposed", "Which axis comes first?", transposed),
    ("the sum of the right answer's entries", "How many numbers are wanted?", to_one(sum)),
    ("the mean of the right answer's entries", "How many numbers are wanted?", to_one(mean)),
)
ON_TOP = (("all of it with its sign turned",) + NEGATED[1:],  # of a mistake that is known
          ("all of it in reverse order",) + REVERSED[1:])


def scaled(known, gots, wants, cases):
    """The answer is a multiple of the right one, or off by a number: the same one in every case, or one that the
    case's arguments explain."""
    if any([g[1] != w[1] for g, w in zip(gots, wants)]) or len(
            set([f"{x:.5g}" for w in wants for x in w[2]])) < TELLING:
        return None
    for rest, word, sources in ((ratio, "times", factors), (gap, "off by", offsets)):
        found = [rest(g, w, known.tolerance) for g, w in zip(gots, wants)]
        values = [f for f in found if f != ()]  # (): a case in which every factor fits
        if not values or any([f is None for f in found]):
            continue
        if all([abs(f - values[0]) <= 1e-4 * abs(values[0]) for f in values]):
            return f"the right answer {word} {number(values[0])}", "Where does this number come from?"
        fits = [name for name, source in sources(known, cases)
                if all([f == () or s is not None and abs(f - s) <= 1e-4 * abs(s) for f, s in zip(found, source)])]
        if len(fits) == 1:
            return f"the right answer {word} {fits[0]}", "Is it taken once, and in the right place?"
    return None


def ratio(got, want, tolerance):
    """The number that got is a multiple of want by; () where any is, None where none is."""
    pairs = [(a, b) for a, b in zip(got[2], want[2]) if finite(b) and abs(b) > 1e-9]
    if not pairs:
        return () if agree(got, want, tolerance) else None
    by = pairs[0][0] / pairs[0][1]
    fits = finite(by) and by and agree(got, (want[0], want[1], [by * x for x in want[2]]), tolerance)
    return by if fits else None


def gap(got, want, tolerance):
    by = got[2][0] - want[2][0]
    return by if finite(by) and agree(got, (want[0], want[1], [x + by for x in want[2]]), tolerance) else None


def offsets(known, cases):
    """What may have been added, as (words, a number for each case)."""
    for name in known.inputs[cases[0]]:
        values = [known.inputs[k][name] for k in cases]
        if all([v[0] in ("f", "i") and not v[1] for v in values]):
            yield f"`{name}`", [v[2][0] for v in values]
            yield f"−`{name}`", [-v[2][0] for v in values]


def factors(known, cases):
    """What may have been multiplied: numbers that are given, sizes, what is made of sizes, and their
    reciprocals."""
    plain: dict = {}
    sizes: dict = {}
    for name in known.inputs[cases[0]]:
        values = [known.inputs[k][name] for k in cases]
        if all([v[0] in ("f", "i") and not v[1] for v in values]):
            plain[f"`{name}`"] = [v[2][0] for v in values]
            plain[f"(1 − `{name}`)"] = [1 - v[2][0] for v in values]
        elif all([v[0] in NUMBERS and len(v[1]) == len(values[0][1]) > 0 for v in values]):
            for axis in range(len(values[0][1])):
                words = f"the length of `{name}`" + (f" along axis {axis}" if len(values[0][1]) > 1 else "")
                length = [v[1][axis] for v in values]
                if length not in list(sizes.values()):
                    sizes[words] = length
            if all([v[0] == "b" for v in values]):
                sizes[f"the number of `{name}` that are True"] = [sum(v[2]) for v in values]
    for words, source in list(plain.items()) + list(sizes.items()):
        yield words, source
        yield f"1/{words}", [1 / x if x else None for x in source]
    for words, source in sizes.items():
        for form, f in (("n − 1", lambda n: n - 1), ("√n", math.sqrt), ("n/(n − 1)", lambda n: n / (n - 1)),
                        ("√(n/(n − 1))", lambda n: math.sqrt(n / (n - 1)))):
            made = [f(n) if n > 1 else None for n in source]
            yield f"{form}, where n is {words}", made
            yield f"1/({form}), where n is {words}", [1 / x if x else None for x in made]
