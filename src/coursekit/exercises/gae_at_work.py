"""Exercises of chapter 2b: which rows of a vector environment are steps, and what followed an episode's last."""

import numpy as np

from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot
from coursekit.exercises.slots import FLAGS

NOTEBOOK = "02b_gae_at_work"


def _played(rng, steps, dead, last):
    """Flags as a NEXT_STEP environment gives them: a dead row ends nothing. last: what happens on the last rows."""
    kinds = rng.integers(0, 5, (len(dead), steps))  # 0: dies, 1: is cut, 2: both
    kinds[:, -2], kinds[:, -1] = 3, last
    terminated, truncated = np.isin(kinds, (0, 2)), np.isin(kinds, (1, 2))
    for t in range(steps):
        terminated[dead, t] = truncated[dead, t] = False
        dead = terminated[:, t] | truncated[:, t]
    return terminated, truncated


_BEFORE, _AFTER = "with a copy whose first row is dead", "with an end on the last row"


def _valid_cases(seed):
    rng = np.random.default_rng(seed)

    def row(*ends):
        return np.isin(np.arange(5), ends)

    given = [("three copies", [row(), row(2), row(0, 2)], [row(3), row(4), row(2)], [True, True, False],
              (_BEFORE, _AFTER)),
             ("a time limit on the last row", [row(1)], [row(4)], [False], (_AFTER,)),
             ("both at once", [row(2)], [row(2)], [False], ()), ("no end at all", [row()], [row()], [False], ()),
             ("an end on the last row of the rollout before", [row()], [row()], [True], (_BEFORE,)),
             ("a fall on the last row", [row(0, 4)], [row()], [False], (_AFTER,)),
             ("both at once on the last row", [row(4), row()], [row(2, 4), row()], [False, True],
              (_BEFORE, _AFTER)),
             ("a single row", [[True], [False], [False]], [[False], [False], [True]], [False, True, False],
              (_BEFORE, _AFTER))]
    for last in ((0, 1, 3), (3, 0, 2), *(((0, 2, 3), (1, 3, 0)) * 2 if seed else ())):
        dead = rng.permutation([True, False, False])
        given.append(("drawn", *_played(rng, 5, dead, rng.permutation(last)), dead, (_BEFORE, _AFTER)))
    return [Case(label, dict(zip(("terminated", "truncated", "dead"), map(np.array, inputs))), facts)
            for label, *inputs, facts in given]


def _shift(ended, first):
    return np.concatenate([np.reshape(first, (-1, 1)), ended[:, :-1]], 1)


def _flat(ended, first):
    """Each copy's first row after the last one of the copy above."""
    return np.append(first[0], ended.reshape(-1)[:-1]).reshape(ended.shape)


_ROW, _HANDED = "On which row is it decided whether row t is dead?", "On which row does the next rollout depend?"
_EITHER, _COPY = "After which ends does the environment reset?", "Whose row stands before the first row of a copy?"

def _ends(name, which):
    """A mistake about the flags that both answers have, or the mask alone."""
    return (Choice(name, _EITHER, lambda g: [which(g)] * 2),
            Choice(name, _EITHER, lambda g: [which(g), g.terminated | g.truncated]))


def _rows(g, ended, first, before, steps, handed, order):
    of_mask, of_last = ended(g)
    return order(steps(before(of_mask, first(g))), handed(g, of_last))


VALID = Exercise(
    id="gae_at_work.valid", notebook=NOTEBOOK, title="Which rows are steps?",
    function="valid_rows", points=2, difficulty="medium", minutes=10,
    task="""A NEXT_STEP environment was played for T ≥ 1 rows in N copies: `terminated` and `truncated` are bools,
`(N, T)`. Time runs along axis 1: a row of the rollout is one index on that axis. The row after an end, of either
kind, only resets: it is dead, and in a dead row both flags are False. `dead`, `(N,)` bools, says in which copies
the *first* row is dead, because an episode ended on the last row of the previous rollout.
Return the tuple `(valid, dead_next)`: `valid`, `(N, T)`, True where a row is a step; and `dead_next`, `(N,)`, the
`dead` of the next rollout.""",
    hints=("Whether row t is dead was decided on row t − 1, in the same copy.",
           "Put `dead` in front of `terminated | truncated` as one more column, and drop the last column."),
    cases=_valid_cases,
    reference=lambda te, tr, dead: (
        np.array([[not (dead[n] if t == 0 else te[n, t - 1] or tr[n, t - 1]) for t in range(te.shape[1])]
                  for n in range(len(te))]), te[:, -1] | tr[:, -1]),
    compose=_rows,
    slots=(
        Slot("ended", lambda g: [g.terminated | g.truncated] * 2, (
            *_ends("a mask that knows deaths only", lambda g: g.terminated),
            *_ends("a mask that knows time limits only", lambda g: g.truncated),
            *_ends("a mask that knows only ends of both kinds at once", lambda g: g.terminated & g.truncated),
            *_ends("a mask that forgets ends of both kinds at once", lambda g: g.terminated ^ g.truncated))),
        Slot("first", lambda g: g.dead, (
            Choice("a mask that forgets the rollout before", "Can the first row of a rollout be dead?",
                   lambda g: np.zeros_like(g.dead)),
            Choice("a mask whose first rows are all dead", "When is the first row of a rollout dead?",
                   lambda g: np.ones_like(g.dead)),
            Choice("a mask that takes this rollout's last row for the one before its first",
                   "Which rollout was played before the first row?",
                   lambda g: g.terminated[:, -1] | g.truncated[:, -1]),
            Choice("a mask that reads `dead` the other way round", "What does `dead` say where it is True?",
                   lambda g: ~g.dead),
            Choice("the `dead` of the first copy for all of them", _COPY,
                   lambda g: np.full_like(g.dead, g.dead[0])))),
        Slot("before", _shift, (
            Choice("a mask over the last step of each episode", "Was that step played?",
                   lambda ended, first: ended),
            Choice("a mask over the last step of each episode, and over the first row where `dead` says so",
                   "Was that step played?",
                   lambda ended, first: ended | (first[:, None] & (np.arange(ended.shape[1]) == 0))),
            Choice("a mask over the last step of each episode, and over the first row where `dead` says so",
                   "Was that step played?",
                   lambda ended, first: np.concatenate([first[:, None], ended[:, 1:]], 1)),
            Choice("a mask that knows only what `dead` says", "Which rows of this rollout follow an end?",
                   lambda ended, first: _shift(ended & False, first)),
            Choice("a whole copy taken for dead where only its first row is",
                   "Which rows does an index select that names the copy alone?",
                   lambda ended, first: _shift(ended, first) | first[:, None]),
            Choice("a whole copy taken for dead where only its first row is",
                   "Which rows does an index select that names the copy alone?",
                   lambda ended, first: ended | first[:, None]),
            Choice("a mask with one column too many", "How many rows were played?",
                   lambda ended, first: np.concatenate([first[:, None], ended], 1)),
            Choice("a mask of the row before an end", _ROW,
                   lambda ended, first: np.concatenate([ended[:, 1:], ended[:, :1] & False], 1)),
            Choice("a mask of the row before an end", _ROW,
                   lambda ended, first: np.concatenate([ended[:, 1:], first[:, None]], 1)),
            Choice("a mask of two rows after each end", "How many rows does a reset take?",
                   lambda ended, first: _shift(ended, first) | _shift(_shift(ended, first), first & False)),
            Choice("a mask over the end and the row after it", "Was the last step of an episode played?",
                   lambda ended, first: _shift(ended, first) | ended),
            Choice("a mask of all rows after the first end", "When does the next episode begin?",
                   lambda ended, first: np.logical_or.accumulate(_shift(ended, first), axis=1)),
            Choice("a mask that runs on from one copy into the next", _COPY, _flat),
            Choice("a mask that runs on from one copy into the next", _COPY,
                   lambda ended, first: np.roll(ended, 1)),
            Choice("a mask shifted from copy to copy in the place of row to row", "Which axis is time?",
                   lambda ended, first: np.roll(ended, 1, 0)),
            Choice("a mask shifted from copy to copy in the place of row to row", "Which axis is time?",
                   lambda ended, first: np.concatenate([first[:, None], np.roll(ended, 1, 0)[:, 1:]], 1)))),
        Slot("steps", lambda before: ~before, (
            Choice("a mask turned round", "Is True for the rows that count, or for the others?",
                   lambda before: before),)),
        Slot("handed", lambda g, ended: ended[:, -1], (
            Choice("a `dead_next` that knows deaths only", _EITHER, lambda g, ended: g.terminated[:, -1]),
            Choice("a `dead_next` that knows time limits only", _EITHER, lambda g, ended: g.truncated[:, -1]),
            Choice("a `dead` that is returned unchanged", _HANDED, lambda g, ended: g.dead),
            Choice("a `dead_next` turned round", "What does `dead` say where it is True?",
                   lambda g, ended: ~ended[:, -1]),
            Choice("the last row of `valid` in the place of `dead_next`", _HANDED,
                   lambda g, ended: ~_shift(ended, g.dead)[:, -1]),
            Choice("a `dead_next` that says whether the last row itself is dead", _HANDED,
                   lambda g, ended: _shift(ended, g.dead)[:, -1]),
            Choice("a `dead_next` where an episode ended on any row", _HANDED, lambda g, ended: ended.any(1)),
            Choice("the first row's end in the place of the last row's", _HANDED, lambda g, ended: ended[:, 0]),
            Choice("the flags of the last copy in the place of the last row", "Which axis is time?",
                   lambda g, ended: ended[-1]),
            Choice("a `dead_next` with all rows", "How many entries has `dead`?", lambda g, ended: ended))),
        Slot("order", lambda valid, handed: (valid, handed), (
            Choice("an exchange of the two answers", "Which of the two comes first?",
                   lambda valid, handed: (handed, valid)),)),
    ),
    misconceptions=(
        Misconception("`valid` alone", "What is wanted beside it?",
                      lambda te, tr, dead: ~_shift(te | tr, dead)),
        Misconception("`dead_next` alone", "What is wanted beside it?", lambda te, tr, dead: te[:, -1] | tr[:, -1]),
    ))


def _same_step_cases(seed):
    rng = np.random.default_rng(seed)
    limit, fall, both = "with a time limit before the last row", "with a fall before the last row", "limit fall"
    table = [("a limit, a fall, and an open end", 5, {1: "limit", 2: "fall"}, (limit, fall)),
             ("a time limit on the last row", 4, {1: "limit", 3: "limit"}, (limit,)),
             ("a fall on the last row", 4, {0: "fall", 3: "fall"}, (fall,)),
             ("an episode that goes on", 3, {}, ()),
             ("a fall, then both at once", 4, {0: "fall", 2: both}, (fall,)),
             ("both at once on the last row", 3, {0: "limit", 2: both}, (limit,)),
             ("two limits and a fall", 5, {0: "limit", 2: "fall", 3: "limit"}, (limit, fall)),
             ("a single row", 1, {}, ()), ("a single row, cut by a limit", 1, {0: "limit"}, ()),
             ("values below 0", 4, {0: "fall", 2: "limit"}, (limit, fall))]
    cases = []
    for label, steps, at, facts in table:
        sign = -1 if label == "values below 0" else 1
        numbers = sign * rng.choice(np.arange(5, 60), 2 * steps + 1, replace=False) / 10
        kinds = [at.get(t, "") for t in range(steps)]
        final = np.where([bool(kind) for kind in kinds], numbers[steps + 1:], np.nan)
        cases.append(Case(label, dict(
            values=numbers[:steps], last_value=float(numbers[steps]), final_values=final,
            terminated=np.array(["fall" in kind for kind in kinds]),
            truncated=np.array(["limit" in kind for kind in kinds])), facts))
    return cases


def _followed(g, flags, inside, limit, death, choose, form):
    """next_values from their parts. inside: the values of the next rows; limit, death: what stands at an end."""
    g = flags(g)
    return form(choose(g, inside(g), limit(g), death(g)))


def _by_cases(v, last, final, te, tr):
    """The same, row by row."""
    return np.array([0.0 if te[t] else final[t] if tr[t] else last if t + 1 == len(v) else v[t + 1]
                     for t in range(len(v))])


def _beyond(g):
    if not (g.terminated | g.truncated)[-1]:
        raise IndexError
    return np.append(g.values[1:], 0.0)


_WHOSE, _UNSEEN = "Whose state does the row after an end show?", "After a time limit, is there a future?"
_STOPS, _DEAD = "The rollout stops; does the episode?", "What is the future worth after a death?"
_LAST = "If the last row ends an episode, to which one does `last_value` belong?"

SAME_STEP = Exercise(
    id="gae_at_work.same_step", notebook=NOTEBOOK, title="What followed, where the row shows a new episode",
    function="same_step_next_values", points=3, difficulty="medium", minutes=10,
    task="""A SAME_STEP environment was played for T ≥ 1 rows. `values`, `(T,)`, are the critic's values of the
states acted on; `last_value`, a float, that of the state after the last row. Where an episode ended at step t, in
either way, the next row already belongs to a new one, and `final_values[t]`, a number, is the value of the
observation that really came last, `info["final_obs"]`; everywhere else it is NaN. Return `next_values`, `(T,)`: the
critic's value of the state that really followed each step, and 0 where the step is `terminated` (which wins where
both flags are set).""",
    hints=("Inside an episode: the value of the next row. After the last row: `last_value`.",
           "One `np.where` for each flag: which of the two must come last? A product would keep the NaN."),
    cases=_same_step_cases, reference=_by_cases, compose=_followed,
    slots=(
        FLAGS,
        Slot("inside", lambda g: np.append(g.values[1:], g.last_value), (
            Choice("a rollout whose end is a death", _STOPS, lambda g: np.append(g.values[1:], 0.0)),
            Choice("the last row's own value after the last row", _STOPS,
                   lambda g: np.append(g.values[1:], g.values[-1])),
            Choice("the first row's value after the last row", "What does the end of an array wrap around to?",
                   lambda g: np.roll(g.values, -1)),
            Choice("an index beyond the last row", "What follows the last row?", _beyond),
            Choice("the value of the state itself in the place of the next one's", "Which state followed the step?",
                   lambda g: g.values),
            Choice("the row before in the place of the next one", "Which state followed the step?",
                   lambda g: np.append(g.last_value, g.values[:-1])),
            Choice("`last_value` at every step", "Which state did `last_value` come from?",
                   lambda g: np.full(len(g.values), g.last_value)))),
        Slot("limit", lambda g: g.final_values, (
            Choice("a bootstrap from the next episode's first state", _WHOSE,
                   lambda g: np.append(g.values[1:], g.last_value)),
            Choice("a time limit taken for a death", _UNSEEN, lambda g: 0.0),
            Choice("a bootstrap from the state before the step", "Which state followed the step?",
                   lambda g: g.values),
            Choice("a last row cut by a limit, with `last_value` after it", _LAST,
                   lambda g: np.append(g.final_values[:-1], g.last_value)),
            Choice("`last_value` after every time limit", _LAST,
                   lambda g: np.full(len(g.values), g.last_value)),
            Choice("the final value of the row before", "To which step does `final_values[t]` belong?",
                   lambda g: np.append(np.nan, g.final_values[:-1])),
            Choice("the final value of the next row", "To which step does `final_values[t]` belong?",
                   lambda g: np.append(g.final_values[1:], np.nan)))),
        Slot("death", lambda g: 0.0, (
            Choice("a death that is worth its final value", _DEAD, lambda g: g.final_values),
            Choice("a death that is followed by the next row", _DEAD,
                   lambda g: np.append(g.values[1:], g.last_value)),
            Choice("NaN after a death", _DEAD, lambda g: np.nan),
            Choice("a death worth the value of the state before it", _DEAD, lambda g: g.values),
            Choice("a last row that looks past its own death", _LAST,
                   lambda g: np.append(np.zeros(len(g.values) - 1), g.last_value)))),
        Slot("choose", lambda g, inside, limit, death: np.where(
                g.terminated, death, np.where(g.truncated, limit, inside)), (
            Choice("a time limit that wins over a death", "Which flag wins where both are set?",
                   lambda g, inside, limit, death: np.where(
                       g.truncated, limit, np.where(g.terminated, death, inside))),
            Choice("a death that is overlooked", _DEAD,
                   lambda g, inside, limit, death: np.where(g.truncated, limit, inside)),
            Choice("a death that is overlooked unless the limit strikes as well",
                   "May an episode end by itself before its limit?",
                   lambda g, inside, limit, death: np.where(
                       g.truncated & g.terminated, death, np.where(g.truncated, limit, inside))),
            Choice("a last row that looks past its own end", _LAST,
                   lambda g, inside, limit, death: np.append(np.where(
                       g.terminated, death, np.where(g.truncated, limit, inside))[:-1], inside[-1])),
            Choice("an answer that has the NaN of `final_values` in the middle of an episode",
                   "Where is `final_values` NaN, and what is 0 times NaN?",
                   lambda g, inside, limit, death: np.where(g.truncated | g.terminated, np.where(
                       g.terminated, death, limit), np.nan)))),
        Slot("form", lambda x: x, (
            Choice("an answer without the steps whose future is 0", "How many entries are wanted?",
                   lambda x: x[x != 0]),
            Choice("an answer that lacks the last row", "What follows the last row?", lambda x: x[:-1]))),
    ),
    misconceptions=(
        Misconception("a bootstrap from the next episode's first state", _WHOSE,
                      lambda v, last, f, te, tr: np.where(te, 0.0, np.append(v[1:], last))),
    ))

EXERCISES = (VALID, SAME_STEP)
