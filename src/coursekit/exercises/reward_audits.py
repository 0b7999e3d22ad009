"""Exercises of chapter 3 that audit: an annotator's taste for length, a reward model left behind."""

import numpy as np

from coursekit.exercises.base import Case, Exercise, Misconception

NOTEBOOK = "03_reward_models"


def _longer_wins(words, gold, wins, *, level=lambda words, gold: gold == 0, long=lambda words: words > 0,
                 count=lambda words, kept: kept & (words != 0)):
    """Share in which the longer answer won, with the usual mistakes in place of a part."""
    kept = count(words, level(words, gold))
    return (wins == long(words))[kept].mean()


def _bias_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [Case("five comparisons, two of them of equal gold and different length",
                  dict(words_gap=np.array([3, -2, 0, 4, -1]), gold_gap=np.array([0.0, 0.0, 0.0, 1.5, -1.0]),
                       first_wins=np.array([True, True, False, True, False])))]
    for _ in range(4):
        words, gold = rng.integers(-4, 5, 14), rng.choice([-1.0, 0.0, 0.5], 14)
        words[:5], gold[:5] = [2, 1, -3, -1, 0], 0.0
        wins = rng.random(14) < 0.5
        wins[:5] = [True, True, False, True, True]
        cases.append(Case("random comparisons", dict(words_gap=words, gold_gap=gold, first_wins=wins)))
    return cases


BIAS = Exercise(
    id="rm.bias", notebook=NOTEBOOK, title="Does this annotator like length?",
    function="longer_wins", points=2, difficulty="medium", minutes=10,
    task="""N comparisons by one annotator: `words_gap`, `(N,)`, is how many words the first answer has more than
the second, `gold_gap`, `(N,)`, how much more gold; `first_wins`, `(N,)`, bools, what was chosen. Good answers may
well be longer, so look only at pairs of equal gold (`gold_gap == 0`) and different length. In what share of those
did the longer answer win? One number; .5 means no taste for length. There is always such a pair.""",
    hints=("Which pairs count: `(gold_gap == 0) & (words_gap != 0)`.",
           "The longer one won where `first_wins` and `words_gap > 0` say the same."),
    cases=_bias_cases, reference=_longer_wins,
    misconceptions=(
        Misconception("a share over all pairs, good and bad", "Longer answers may win because they are better.",
                      lambda w, g, f: _longer_wins(w, g, f, level=lambda w, g: np.ones(len(w), bool))),
        Misconception("a share that counts pairs of equal length", "Neither of the two is longer.",
                      lambda w, g, f: _longer_wins(w, g, f, count=lambda w, kept: kept)),
        Misconception("how often the first answer won", "The longer one may stand second.",
                      lambda w, g, f: f[(g == 0) & (w != 0)].mean()),
        Misconception("how often the shorter answer won", "Turn it round.",
                      lambda w, g, f: _longer_wins(w, g, f, long=lambda w: w < 0)),
        Misconception("a share of pairs where the first is longer", "Those where the second is longer count too.",
                      lambda w, g, f: f[(g == 0) & (w > 0)].mean()),
    ))


def _first_alarm(said, rounds, tolerance, *, sure=lambda p: np.maximum(p, 1 - p), seen=lambda all_, r: all_ == r,
                 excess=lambda sure, right: sure - right, pick=lambda alarms: alarms[0]):
    alarms = []
    for r in np.unique(rounds):
        p = said[seen(rounds, r)]
        if excess(sure(p).mean(), (p > 0.5).mean()) > tolerance:
            alarms.append(r)
    return int(pick(alarms)) if alarms else -1


def _shift_cases(seed):
    """Rounds built to tell the mistakes apart: a modest round, a sure and wrong one, a recovery, worse again."""
    rng = np.random.default_rng(seed)
    jitter = lambda p: np.clip(np.asarray(p) + rng.uniform(-0.02, 0.02, len(p)), 0, 1).round(3)  # noqa: E731
    good, modest = [0.9, 0.8, 0.9, 0.2], [0.55, 0.55, 0.55, 0.55]
    slip, wrong = [0.9, 0.9, 0.1, 0.8, 0.1, 0.9], [0.1, 0.1, 0.1, 0.9]

    def case(label, *parts):
        rounds = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        return Case(label, dict(said=jitter(np.concatenate(parts)), rounds=rounds, tolerance=0.15))

    return [case("three rounds, the last of them sure and wrong", good, good, wrong),
            case("modest in round 1, slipping in round 2, wrong in round 3", good, modest, slip, wrong),
            case("never an alarm", good, modest, good),
            case("an alarm that passes", good, slip, good, modest)]


SHIFT = Exercise(
    id="rm.shift", notebook=NOTEBOOK, title="When has the policy left the reward model behind?",
    function="first_alarm", points=2, difficulty="medium", minutes=12,
    task="""While a policy is tuned, people go on judging pairs of its replies. For each of N pairs `said`, `(N,)`,
is the chance that the reward model gave to the answer that people *chose*; `rounds`, `(N,)`, ints 0, 1, 2, …, says
when. How sure the model was of a pair is max(p, 1 − p); it was right where p > .5. Return the first round in which
its mean confidence exceeds its accuracy by more than `tolerance`, one number; −1 if there is none.""",
    hints=("One round at a time: `p = said[rounds == r]`.",
           "Compare `np.maximum(p, 1 - p).mean()` with `(p > 0.5).mean()`."),
    cases=_shift_cases, reference=_first_alarm,
    misconceptions=(
        Misconception("an alarm at an accuracy below one half", "A model may be too sure long before that.",
                      lambda s, r, t: _first_alarm(s, r, t, excess=lambda sure, right: t + 0.5 - right)),
        Misconception("an alarm for modesty as well", "Right more often than it said is no cause for alarm.",
                      lambda s, r, t: _first_alarm(s, r, t, excess=lambda sure, right: abs(sure - right))),
        Misconception("an alarm on all pairs seen so far", "Old rounds hide a new fault: one round at a time.",
                      lambda s, r, t: _first_alarm(s, r, t, seen=lambda all_, now: all_ <= now)),
        Misconception("the last alarm", "Return the first.",
                      lambda s, r, t: _first_alarm(s, r, t, pick=lambda alarms: alarms[-1])),
        Misconception("a confidence that is low where it was wrong", "It was sure of the other answer then.",
                      lambda s, r, t: _first_alarm(s, r, t, sure=lambda p: p)),
    ))

EXERCISES = (BIAS, SHIFT)
