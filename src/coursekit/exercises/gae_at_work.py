"""Exercises of chapter 2b: which rows of a vector environment are steps, and what followed an episode's last."""

import numpy as np

from coursekit.exercises.base import Case, Exercise, Misconception

NOTEBOOK = "02b_gae_at_work"


def _flags(rng, copies, steps, dead, last=None):
    """Endings as NEXT_STEP tells them: a dead row ends nothing. last: what happens on the last rows."""
    terminated, truncated = np.zeros((2, copies, steps), bool)
    for t in range(steps):
        kind = rng.integers(0, 5, copies)  # 0: dies, 1: is cut, 2: both
        for flags, kinds in ((terminated, (0, 2)), (truncated, (1, 2))):
            flags[:, t] = np.isin(kind, kinds) & ~dead
        if t == steps - 1 and last is not None:
            terminated[:, t], truncated[:, t] = last == "death", last == "limit"
            terminated[:, t] &= ~dead
            truncated[:, t] &= ~dead
        dead = terminated[:, t] | truncated[:, t]
    return terminated, truncated


def _valid_cases(seed):
    rng, cases = np.random.default_rng(seed), []
    falls = np.array([[0, 0, 1, 0, 0, 0]], bool)
    none = np.zeros((1, 6), bool)
    fresh, dead = np.zeros(1, bool), np.ones(1, bool)
    for label, *inputs in (("a fall at step 2", falls, none, fresh), ("a time limit at step 2", none, falls, fresh),
                           ("both at once", falls, falls, fresh), ("no end at all", none, none, fresh),
                           ("an end on the last row before", none, none, dead),
                           ("an end on this last row", np.roll(falls, 3, 1), none, fresh)):
        cases.append(Case(label, dict(zip(("terminated", "truncated", "dead"), inputs))))
    falls = np.zeros((3, 4), bool)
    falls[1, 3] = True
    cases.append(Case("three copies, one ends on the last row", dict(
        terminated=falls, truncated=np.zeros((3, 4), bool), dead=np.zeros(3, bool))))
    for last in ("death", "limit", None):
        dead = np.array([True, False, False])
        terminated, truncated = _flags(rng, 3, 7, dead, last)
        cases.append(Case("three copies", dict(terminated=terminated, truncated=truncated, dead=dead)))
    return cases


def _valid(te, tr, dead, *, ended=None, first=None, last=None):
    ended = te | tr if ended is None else ended
    before = np.concatenate([(dead if first is None else first)[:, None], ended[:, :-1]], 1)
    return ~before, ended[:, -1] if last is None else last


def _flat(te, tr, dead):
    ended = te | tr
    before = np.append(dead[0], ended.reshape(-1)[:-1])
    return ~before.reshape(ended.shape), ended[:, -1]


VALID = Exercise(
    id="gae_at_work.valid", notebook=NOTEBOOK, title="Which rows are steps?",
    function="valid_rows", points=2, difficulty="medium", minutes=10,
    task="""A NEXT_STEP environment was played for T rows in N copies: `terminated` and `truncated` are `(N, T)`
bools. The row after an end, of either kind, only resets: it is dead. `dead`, `(N,)` bools, says in which copies the
*first* row is dead, since the rollout before ended with an end. Return the tuple `(valid, dead_next)`: `valid`,
`(N, T)`, True where a row is a step; and `dead_next`, `(N,)`, what the next rollout must be told.""",
    hints=("Whether row t is dead was decided on row t − 1, in the same copy.",
           "Put `dead` in front of `terminated | truncated` as one more column, and drop the last column."),
    cases=_valid_cases, reference=_valid,
    misconceptions=(
        Misconception("a mask over the last step of each episode", "That step was played.",
                      lambda te, tr, dead: (~(te | tr), (te | tr)[:, -1])),
        Misconception("a mask that forgets the rollout before", "What if an episode ended on its last row?",
                      lambda te, tr, dead: _valid(te, tr, dead, first=np.zeros_like(dead))),
        Misconception("a mask that takes this rollout's last row for the one before its first",
                      "`np.roll` brings the last column to the front.",
                      lambda te, tr, dead: _valid(te, tr, dead, first=(te | tr)[:, -1])),
        Misconception("a mask that knows deaths only", "The environment resets after a time limit as well.",
                      lambda te, tr, dead: _valid(te, tr, dead, ended=te)),
        Misconception("a mask that knows time limits only", "The environment resets after a death as well.",
                      lambda te, tr, dead: _valid(te, tr, dead, ended=tr)),
        Misconception("a mask turned round", "True is for the rows that count.",
                      lambda te, tr, dead: (~_valid(te, tr, dead)[0], (te | tr)[:, -1])),
        Misconception("a mask that runs on from one copy into the next", "Each copy has a row of its own.", _flat),
        Misconception("a mask that hands `dead` on unchanged", "On which column does the next rollout depend?",
                      lambda te, tr, dead: _valid(te, tr, dead, last=dead)),
    ))


def _same_step_cases(seed):
    rng, cases = np.random.default_rng(seed), []
    ends = {"an episode that goes on": {}, "a time limit at step 2": {2: "limit"}, "a fall at step 2": {2: "fall"},
            "both at once at step 1": {1: "both"}, "a time limit on the last row": {4: "limit"},
            "a fall on the last row": {4: "fall"}, "two limits and a fall": {0: "limit", 2: "fall", 3: "limit"}}
    for label, at in ends.items():
        values, final = rng.uniform(1, 3, 5).round(1), np.full(5, np.nan)
        terminated, truncated = np.zeros((2, 5), bool)
        for t, kind in at.items():
            final[t] = round(rng.uniform(5, 9), 1)
            terminated[t], truncated[t] = kind != "limit", kind != "fall"
        cases.append(Case(label, dict(values=values, last_value=round(float(rng.uniform(1, 3)), 1),
                                      final_values=final, terminated=terminated, truncated=truncated)))
    return cases


def _next(v, last):
    return np.append(v[1:], last)


SAME_STEP = Exercise(
    id="gae_at_work.same_step", notebook=NOTEBOOK, title="What followed, where the row shows a new episode",
    function="same_step_next_values", points=3, difficulty="medium", minutes=10,
    task="""A SAME_STEP environment was played for T rows. `values`, `(T,)`, are the critic's values of the states
acted on; `last_value`, a float, that of the state after the last row. Where an episode ended at step t the next row
already belongs to a new one, and `final_values[t]` is the value of the observation that really came last,
`info["final_obs"]`; everywhere else it is NaN. Return `next_values`, `(T,)`: what the critic says of the state that
really followed each step, and 0 where that state is dead (`terminated`, which wins where both flags are set).""",
    hints=("Inside an episode: the value of the next row. After the last row: `last_value`.",
           "`np.where(truncated, final_values, ...)`, then 0 where `terminated`. A product would keep the NaN."),
    cases=_same_step_cases,
    reference=lambda v, last, f, te, tr: np.where(te, 0.0, np.where(tr, f, _next(v, last))),
    misconceptions=(
        Misconception("a bootstrap from the next episode's first state", "Whose state is row t + 1 after an end?",
                      lambda v, last, f, te, tr: np.where(te, 0.0, _next(v, last))),
        Misconception("a bootstrap that sees no end at all", "Two things can end an episode; each has its answer.",
                      lambda v, last, f, te, tr: _next(v, last)),
        Misconception("a time limit taken for a death", "After a time limit the future goes on, unseen.",
                      lambda v, last, f, te, tr: np.where(te | tr, 0.0, _next(v, last))),
        Misconception("a bootstrap from the state before the step", "V(s_t) is not the value of what followed.",
                      lambda v, last, f, te, tr: np.where(te, 0.0, np.where(tr, v, _next(v, last)))),
        Misconception("a death that is worth something", "Nothing follows a death, whatever the critic says of it.",
                      lambda v, last, f, te, tr: np.where(te | tr, f, _next(v, last))),
        Misconception("a time limit that wins over a death", "Dead at the time limit is dead.",
                      lambda v, last, f, te, tr: np.where(tr, f, np.where(te, 0.0, _next(v, last)))),
        Misconception("a last row that looks past its own end", "The last row can end an episode too.",
                      lambda v, last, f, te, tr: np.append(np.where(te, 0.0, np.where(tr, f, _next(v, last)))[:-1],
                                                           last)),
        Misconception("a last row cut by a limit, with `last_value` after it",
                      "If the last row ends an episode, `last_value` is the next one's first state.",
                      lambda v, last, f, te, tr: np.where(te, 0.0, np.append(np.where(tr, f, _next(v, last))[:-1],
                                                                             last))),
        Misconception("a rollout whose end is a death", "The rollout stops; does the episode?",
                      lambda v, last, f, te, tr: np.where(te, 0.0, np.where(tr, f, _next(v, 0.0)))),
        Misconception("a choice made by multiplying", "0 times NaN is NaN: choose with `np.where`.",
                      lambda v, last, f, te, tr: ~te * (tr * f + ~tr * _next(v, last))),
    ))

EXERCISES = (VALID, SAME_STEP)
