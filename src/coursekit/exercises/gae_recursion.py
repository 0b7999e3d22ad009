"""Exercises of chapter 2 that walk a rollout backwards: GAE and its λ-return, however an episode ends."""

import numpy as np

from coursekit import advantages as library
from coursekit.exercises.base import Exercise, Misconception, draw_gamma, draw_lam, rollout_cases

NOTEBOOK = "02_gae"


def _recursion(r, v, nv, te, tr, g, lam, *, bootstrap=None, stop=None, decay=None, first=1.0, delta=None):
    """GAE with the usual mistakes: each keyword replaces one part of the right answer."""
    bootstrap = np.where(te, 0.0, nv) if bootstrap is None else bootstrap
    stop = te | tr if stop is None else stop
    decay = g * lam if decay is None else decay
    delta = r + g * bootstrap - v if delta is None else delta
    following, out = 0.0, []
    for t in reversed(range(len(r))):
        following = first * delta[t] + decay * (0.0 if stop[t] else following)
        out.append(following)
    return np.array(out[::-1])


def _late(flags, last=False):
    return np.append(flags[1:], last)


def _reads_late(r, v, nv, te, tr, g, lam, last):
    late = [_late(flags, last and flags[-1]) for flags in (te, tr)]
    return _recursion(r, v, nv, te, tr, g, lam, bootstrap=np.where(late[0], 0, nv), stop=late[0] | late[1])


_LATE = ("GAE that reads its flags one row late", "Does dones[t] end step t, or step t − 1?")

RECURSION = Exercise(
    id="gae.recursion", notebook=NOTEBOOK, title="GAE by the recursion",
    function="gae_recursion", points=3, difficulty="medium", minutes=15,
    task="""Return the GAE advantages of a rollout, `(T,)`, in one backward pass. All arrays have shape `(T,)`.
The rollout may hold several episodes; each ends by itself (`terminated`, which wins where both flags are set), at a
time limit (`truncated`), or is cut off by the end of the array. `next_values[t]` is the critic's value of the state
that really followed step t; for a dead state it may be anything, even NaN.""",
    hints=("Two questions at each step: what is the future worth (bootstrap), and does the sum go on (trace)?",
           "`terminated` sets the bootstrap to 0. `terminated or truncated` stops the sum."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "values", "next_values", "terminated", "truncated"],
                                     gamma=draw_gamma, lam=draw_lam),
    reference=lambda r, v, nv, te, tr, g, lam: library.gae(r, v, nv, te, tr, gamma=g, lam=lam),
    misconceptions=(
        Misconception("GAE that lets credit leak across a time limit",
                      "Whose advantage do you add at the step where the limit struck?",
                      lambda *a: _recursion(*a, stop=a[3])),
        Misconception("GAE that takes a time limit for a death",
                      "`terminated or truncated` stops the sum, but what zeroes the bootstrap?",
                      lambda *a: _recursion(*a, bootstrap=np.where(a[3] | a[4], 0, a[2]))),
        Misconception("GAE that lets truncated win where both flags are set", "Dead at the time limit is dead.",
                      lambda *a: _recursion(*a, bootstrap=np.where(a[3] & ~a[4], 0, a[2]))),
        Misconception(*_LATE, lambda *a: _reads_late(*a, last=False)),
        Misconception(*_LATE, lambda *a: _reads_late(*a, last=True)),
        Misconception("GAE that stops its sum one step late", "Reset before you add, not after.",
                      lambda *a: _recursion(*a, stop=_late(a[3] | a[4]))),
        Misconception("GAE with λ applied to the first δ", "With λ = 0 the answer is δ itself.",
                      lambda *a: _recursion(*a, first=a[6])),
        Misconception("GAE with λ forgotten, which is Monte Carlo", "What does λ do to a later δ?",
                      lambda *a: _recursion(*a, decay=a[5])),
        Misconception("GAE with γ forgotten in the trace", "How much smaller is a δ one step later?",
                      lambda *a: _recursion(*a, decay=a[6])),
        Misconception("GAE with γ applied twice in the trace", "One step costs one γλ.",
                      lambda *a: _recursion(*a, decay=a[5] ** 2 * a[6])),
        Misconception("GAE with 1 − λ in the place of λ", "λ = 1 should carry every surprise in full.",
                      lambda *a: _recursion(*a, decay=a[5] * (1 - a[6]))),
        Misconception("the right advantages in reverse order", "You walked backwards: turn the list round.",
                      lambda *a: _recursion(*a)[::-1]),
        Misconception("GAE whose last step has no bootstrap",
                      "A rollout may stop where its episode goes on: what is that future worth?",
                      lambda *a: _recursion(*a, bootstrap=np.append(np.where(a[3], 0, a[2])[:-1], 0.0))),
        Misconception("GAE that takes the next row for the next state",
                      "After an end the next row belongs to another episode; `next_values` knows better.",
                      lambda *a: _recursion(*a, bootstrap=np.where(a[3], 0, np.append(a[1][1:], a[2][-1])))),
        Misconception("GAE with the bootstrap of a cut added twice",
                      "Did you fold γV into the reward and then bootstrap as well?",
                      lambda *a: _recursion(a[0] + a[5] * np.where(a[4] & ~a[3], a[2], 0), *a[1:])),
        Misconception("GAE whose δ is 0 at a time limit", "The cut step was played: it has a surprise.",
                      lambda *a: _recursion(*a, delta=np.where(
                          a[4] & ~a[3], 0, a[0] + a[5] * np.where(a[3], 0, a[2]) - a[1]))),
        Misconception("GAE with a mask by multiplication", "What is 0 times NaN? Choose with `np.where`.",
                      lambda *a: _recursion(*a, bootstrap=a[2] * (1 - a[3]))),
        Misconception("the λ-returns, not the advantages", "Less the value of the state: how much better?",
                      lambda *a: _recursion(*a) + a[1]),
        Misconception("GAE that never stops at an end", "Where must the sum start anew?",
                      lambda *a: _recursion(*a, stop=np.zeros(len(a[0]), bool))),
    ))


def _lambda_return(r, nv, te, tr, g, lam, *, stop=None, bootstrap=None, end=1.0):
    """λ-returns; end: the share of V that the last step of an episode takes."""
    stop = te | tr if stop is None else stop
    bootstrap = np.where(te, 0.0, nv) if bootstrap is None else bootstrap
    following, out = None, []
    for t in reversed(range(len(r))):
        last = stop[t] or following is None
        mixed = end * bootstrap[t] if last else (1 - lam) * bootstrap[t] + lam * following
        following = r[t] + g * mixed
        out.append(following)
    return np.array(out[::-1])


LAMBDA_RETURN = Exercise(
    id="gae.lambda_return", notebook=NOTEBOOK, title="The critic's target",
    function="lambda_return", points=2, difficulty="medium", minutes=10,
    task="""Return the λ-return of every step, `(T,)`, by its own recursion, without computing advantages.
The arrays are those of the last exercise, and so are the endings.""",
    hints=("Inside an episode: r_t + γ·((1 − λ)·V(next state) + λ·G_{t+1}).",
           "At an end there is no G_{t+1}: all the weight goes to the bootstrap, which is 0 after a death."),
    cases=lambda seed: rollout_cases(seed, ["rewards", "next_values", "terminated", "truncated"],
                                     gamma=draw_gamma, lam=draw_lam),
    reference=lambda r, nv, te, tr, g, lam: library.lambda_returns(r, nv, te, tr, gamma=g, lam=lam),
    misconceptions=(
        Misconception("a λ-return that gives the last step only (1 − λ)·V", "Where does the other share go?",
                      lambda *a: _lambda_return(*a, end=1 - a[5])),
        Misconception("a λ-return with λ and 1 − λ exchanged", "λ = 1 asks the critic nothing.",
                      lambda *a: _lambda_return(*a[:5], 1 - a[5])),
        Misconception("a λ-return that leaks across a time limit", "Whose return follows a truncated step?",
                      lambda *a: _lambda_return(*a, stop=a[2])),
        Misconception("a λ-return that takes a time limit for a death", "Did the world stop, or did we?",
                      lambda *a: _lambda_return(*a, bootstrap=np.where(a[2] | a[3], 0, a[1]))),
        Misconception("a λ-return that lets truncated win", "Dead at the time limit is dead.",
                      lambda *a: _lambda_return(*a, bootstrap=np.where(a[2] & ~a[3], 0, a[1]))),
        Misconception("a λ-return that looks past the end", "What follows a terminated step?",
                      lambda *a: _lambda_return(*a, bootstrap=a[1])),
        Misconception("the right returns in reverse order", "You walked backwards: turn the list round.",
                      lambda *a: _lambda_return(*a)[::-1]),
    ))
