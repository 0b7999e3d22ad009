"""The verdict on an answer, and what a wrong answer shows, in three layers.

1. Mistakes: does the answer give, on every case, what a known mistake gives, or two of them together?
2. Relations: is it the right answer turned round, shifted, scaled …? See relations.py.
3. What the failing cases, or the wrong entries, have in common.

A name that is not the true mistake is worse than none: what is named fits on all cases, on numbers that tell
something, and alone. Plain Python, and no numpy: the same file runs in the page's MicroPython. `known` is what is
known of an exercise: see Known in verdict.py and in the page's small_judge.py.
"""

from coursekit.autograder.relations import ON_TOP, TELLING, changed_by, relation
from coursekit.autograder.rules import SIGNS
from coursekit.autograder.shown import NUMBERS, UNTRIED, agree, cut, differing, entries, failure, stacked, text


def judge(known, outcomes):
    """The verdict on one answer, as a dictionary.

    Args: known: the exercise. outcomes: for each case a dictionary with "value", or with "error" in words and the
    flags "stub" (not attempted) and "late".
    """
    got, count, name = [valued(o, w) for o, w in zip(outcomes, known.expected)], len(outcomes), None
    right = [agree(g, w, known.tolerance) for g, w in zip(got, known.expected)]
    passed = sum(right)
    if all([o.get("stub") for o in outcomes]):
        status = "not attempted"
        lines = [f"{SIGNS[status]} {known.id}: {status}"]
    elif passed == count:
        points = f"{known.points} point" + ("" if known.points == 1 else "s")
        status = "correct"
        lines = [f"{SIGNS[status]} {known.id}: {passed} of {passed} cases, {points}"]
    else:
        status, first = "wrong", right.index(False)
        name, line = explain(known, got, right)
        lines = [f"{SIGNS[status]} {known.id}: {passed} of {count} cases; first failing: {known.labels[first]}"]
        lines += failure(known.calls[first], got[first], outcomes[first].get("error"), known.expected[first],
                         known.tolerance)
        lines += [line] if line else []
    return {"status": status, "passed": passed, "cases": count, "misconception": name, "lines": lines}


def valued(outcome, want):
    """The value of an outcome, or the type of its error as a value."""
    if outcome.get("error") is None:
        return outcome["value"] if want[0] in ("t", "l") else stacked(outcome["value"])
    return UNTRIED if outcome.get("late") else ("e", None, outcome["error"].split(":")[0])


def explain(known, got, right):
    """(name or None, one line or None) for a wrong answer. The name is that of a mistake or of a relation."""
    tried = [k for k, g in enumerate(got) if g[0] != "?"]
    whole = [k for k in tried if got[k][0] != "e"]
    if all([got[k][0] in ("e", "x") for k in tried]) or constant([got[k] for k in whole]):
        return None, shared(known, got, right)
    evidence = telling(known, got, whole)
    for cases, where in ((tried, ""), (whole, "Where it raises no error, ")):
        if all([right[k] for k in cases]) or where and (cases == tried or evidence < TELLING):
            continue
        name, line = named(known, got, sorted(cases, key=lambda k: (right[k], k)), evidence)
        if name:
            return name, where + line[0].lower() + line[1:] if where else line
    return None, shared(known, got, right)


def constant(values):
    """Whether an answer is the same whatever it is asked: that fits too many mistakes."""
    return len(values) > 2 and all([agree(v, values[0], 1e-12) for v in values[1:]])


def telling(known, got, cases):
    """How many numbers or words, 0 and 1 apart, stand where the answer is wrong; four flags count for one."""
    found, flags = set(), 0
    for k in cases:
        want, parts = known.expected[k], entries(got[k])
        fits = want[0] in ("t", "l") and parts and len(parts) == len(want[2])
        for one, other in zip(parts, want[2]) if fits else ((got[k], want),):
            wrong = differing(one, other, known.tolerance)
            if wrong is not None:
                found.update([f"{x:.4g}" for x, w in zip(one[2], wrong) if w and x not in (0.0, 1.0)])
                flags += sum(wrong) if other[0] == "b" else 0
            elif one[0] != other[0] or one[2] != other[2]:
                found.update([f"{x:.4g}" for x in one[2]] if one[0] in NUMBERS else [str(one[2])])
    return len(found) + flags // 4


def named(known, got, cases, evidence):
    """(name, line) of the only explanation that fits on these cases, the simplest first; or (None, None)."""
    fits = [mistake for i, mistake in enumerate(known.mistakes)
            if all(agree(got[k], known.outcome(i, k), known.tolerance) for k in cases)]
    if fits:
        return this_is(fits[0]) if len({name for name, _ in fits}) == 1 else (None, None)
    if evidence < TELLING:
        return None, None
    found = relation(known, [got[k] for k in cases], [known.expected[k] for k in cases], cases)
    if found:
        return this_is(found)
    pairs = [(known.mistakes[i], known.mistakes[j]) for i, j in known.pairs(got, cases)]
    return two_mistakes(pairs or on_top(known, got, cases))


def this_is(mistake):
    return mistake[0], f"This is {mistake[0]}. {mistake[1]}"


def on_top(known, got, cases):
    """Every known mistake that, with its sign turned or in reverse order, gives this answer."""
    found = []
    for i, mistake in enumerate(known.mistakes):
        for name, question, change in ON_TOP:
            fits = True
            for k in cases:
                changed = changed_by(change, known.outcome(i, k)) if fits else None
                fits = changed is not None and agree(got[k], changed, known.tolerance)
            if fits:
                found.append((mistake, (name, question)))
    return found


def two_mistakes(pairs):
    """Both, if one pair fits; the one that all pairs share, if several do."""
    different = {}
    for one, two in pairs:
        if one[0] != two[0]:
            different[" ".join(sorted([one[0], two[0]]))] = one, two
    found = list(different.values())
    if len(found) == 1:
        one, two = found[0]
        name = f"two mistakes: {one[0]}; and {two[0]}"
        return name, f"These are {name}. {one[1]} {two[1]}"
    common = [m for m in (found[0] if found else ()) if all([m[0] in (a[0], b[0]) for a, b in found])]
    return this_is((common[0][0] + ", and something else", common[0][1])) if len(common) == 1 else (None, None)


# Layer 3: what the failing cases, or the wrong entries, have in common.


def shared(known, got, right):
    """A line that is true of a wrong answer that no name fits, or None."""
    tried = [k for k, g in enumerate(got) if g[0] != "?"]
    failing = [k for k in tried if not right[k]]
    if not tried:
        return None
    if len(tried) < len(got):
        return f"It does not end there; before, it is right in {len(tried) - len(failing)} of {len(tried)} cases."
    if constant(got) and got[0][0] != "e":
        plausible = got[0][0] == known.expected[0][0] == "s" or got[0][0] in NUMBERS
        return f"It gives {cut(text(got[0]))} in every case, whatever the arguments are." if plausible else None
    raised = [k for k in failing if got[k][0] == "e"]
    if raised:
        same = len({got[k][2] for k in raised}) == 1
        line = f"It raises {got[raised[0]][2] if same else 'an error'} {among(known, raised, len(got))}"
        left, fit = len(got) - len(raised), len(got) - len(failing)
        if left == 1:
            return f"{line}; the other is {'right' if fit else 'wrong'}."
        count = f"of the other {left}, {fit} {'is' if fit == 1 else 'are'} right"
        return f"{line}; {count}." if left else f"{line}."
    return (misshapen(known, got) or placed(known, got, failing) or direction(known, got, failing)
            or f"It is wrong {among(known, failing, len(got))}.")


def among(known, failing, count):
    """In which cases: "in 2 of 9 cases: those …"."""
    if len(failing) == count:
        return "in every case"
    chosen, facts = set(failing), [(fact, set(cases)) for fact, cases in known.facts.items()]
    having = [fact for fact, cases in facts if cases == chosen]
    where = f"in {len(failing)} of {count} cases"
    if having:
        return f"{where}, {'those' if len(failing) > 1 else 'the one'} {having[0]}"
    wider = sorted([(len(cases), fact) for fact, cases in facts if not chosen - cases and len(cases) <= count // 2])
    return f"{where}, all of them {wider[0][1]}" if wider and len(failing) > 1 else where


def misshapen(known, got):
    """Where the shape is wrong in every case: by how much."""
    both = list(zip(got, known.expected))
    if any([g[0] not in NUMBERS or w[0] not in NUMBERS or g[1] == w[1] for g, w in both]):
        return None
    more = {len(g[2]) - len(w[2]) if len(g[1]) == len(w[1]) == 1 else 0 for g, w in both}
    by = more.pop() if len(more) == 1 else 0
    if not by:
        return "Its shape is wrong in every case."
    entry = "entry" if abs(by) == 1 else "entries"
    return f"It has {abs(by)} {entry} too {'many' if by > 0 else 'few'} in every case."


def placed(known, got, failing):
    """Where the wrong entries stand, if a short description fits all of them and no right one, or half as many."""
    wrong = []
    for g, w in zip(got, known.expected):
        differs = differing(g, w, known.tolerance)
        if differs is None:
            return None
        wrong += differs
    if sum(wrong) < 2 or len(wrong) - sum(wrong) < 2:
        return None
    inside = []
    for name, rows in known.places.items():
        places = [p for row in rows for p in row]
        if len(places) == len(wrong) and all([p or not w for p, w in zip(places, wrong)]):
            inside.append((sum(places), name))
    inside.sort()
    if inside and inside[0][0] == sum(wrong):
        return f"It is wrong {inside[0][1]}, and right everywhere else."
    if inside and len(failing) > 1 and inside[0][0] <= len(wrong) // 2:
        return f"It is wrong only {inside[0][1]}, in {sum(wrong)} of {inside[0][0]} such entries."
    return None


def direction(known, got, failing):
    """Whether all that is wrong is too large, or too small, or no number."""
    pairs = []
    for k in failing:
        wrong = differing(got[k], known.expected[k], known.tolerance)
        if wrong is None or got[k][0] == "b":
            return None
        pairs += [(a, b) for a, b, w in zip(got[k][2], known.expected[k][2], wrong) if w]
    for words, fits in (("too large", lambda a, b: a > b), ("too small", lambda a, b: a < b),
                        ("NaN", lambda a, b: a != a)):
        if len(pairs) > 2 and all([fits(a, b) for a, b in pairs]):
            return f"It is wrong {among(known, failing, len(got))}; whatever is wrong is {words}."
    return None
