"""Exercises of chapter 6: advantages from groups of replies, weights of tokens, and where a KL penalty is."""

import math
from itertools import product

import numpy as np

from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot
from coursekit.exercises.sparse_credit import CUT, ONE, batches
from coursekit.groups import (
    effective_samples,
    group_standardised,
    kl_coefficients,
    leave_one_out,
    mixed_chance,
    prompt_weight,
    token_weights,
)

NOTEBOOK = "06_without_a_critic"
PAIRS, FAR = "with two replies to a prompt", "with rewards far from 0"
WHOM = "With which replies is a reply compared?"


def _rewards(rng, prompts, replies, offset=0.0):
    """(M, G), one decimal, no two alike in a group."""
    return np.array([rng.choice(np.arange(-20, 40), replies, replace=False) for _ in range(prompts)]) / 10 + offset


def _reward_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("two prompts, four replies each", (2, 4), ()), ("one prompt, two replies", (1, 2), (PAIRS,)),
             ("three prompts, two replies each", (3, 2), (PAIRS,)), ("one prompt, five replies", (1, 5), ()),
             ("rewards far from 0", (2, 3), (FAR,)), ("as many prompts as replies", (3, 3), ())]
    return [Case(label, dict(rewards=_rewards(rng, *shape, -100.0 if FAR in facts else 0.0)), facts)
            for label, shape, facts in given]


def _others(r, best):
    return np.array([[best(np.delete(row, i)) for i in range(len(row))] for row in r])


def _total(r):
    return r.sum(1, keepdims=True)


def _mean(r):
    return r.mean(1, keepdims=True)


RLOO = Exercise(
    id="group.rloo", notebook=NOTEBOOK, title="Leave one out",
    function="rloo_advantages", points=1, difficulty="easy", minutes=5,
    task="""`rewards`, `(M, G)` floats, holds one reward for each of G ≥ 2 replies to each of M prompts. Return
the advantages of RLOO, `(M, G)`: the reward of each reply minus the mean reward of the *other* replies to the
same prompt.""",
    hints=("What is the sum of the others, if you know the sum of all?",
           "The sum of a group needs `axis=1, keepdims=True`, so that it fits beside each reply's reward."),
    cases=_reward_cases, reference=leave_one_out,
    refuses=("groups.leave_one_out", "groups.group_mean", "groups.batch_mean"),
    compose=lambda g, baseline, scale: (g.rewards - baseline(g.rewards)) / scale(g.rewards),
    slots=(
        Slot("baseline", lambda r: (_total(r) - r) / (r.shape[1] - 1), (
            Choice("a baseline that holds the reply's own reward", WHOM, _mean),
            Choice("the mean of the whole batch as the baseline", WHOM, lambda r: r.mean() + 0 * r),
            Choice("the mean of all other replies of the batch as the baseline", WHOM,
                   lambda r: (r.sum() - r) / max(r.size - 1, 1)),
            Choice("a mean over the prompts", "Along which axis do the replies to one prompt lie?",
                   lambda r: r.mean(0, keepdims=True) + 0 * r),
            Choice("the sum of the others in the place of their mean", "How many others are there?",
                   lambda r: _total(r) - r),
            Choice("a sum of all rewards, divided by G − 1", "Whose rewards are in your sum?",
                   lambda r: _total(r) / (r.shape[1] - 1)),
            Choice("a sum of the others, divided by G", "How many others are there?",
                   lambda r: (_total(r) - r) / r.shape[1]),
            Choice("the best of the others as the baseline", "Which number sums up the others?",
                   lambda r: _others(r, np.max)),
            Choice("the reward alone, without a baseline", "With what is a reward compared?", lambda r: 0 * r))),
        Slot("scale", lambda r: 1.0, (
            Choice("an advantage divided by the group's standard deviation",
                   "Does the text divide by a deviation?", lambda r: r.std(1, keepdims=True)),
            Choice("an advantage divided by the group's standard deviation",
                   "Does the text divide by a deviation?", lambda r: r.std(1, keepdims=True, ddof=1)))),
    ))

EQUAL, NEARLY = "with a group that agrees", "with a group that agrees up to rounding"
SMALL = "with small differences"


def _standard_cases(seed):
    rng = np.random.default_rng(seed + 1)
    nearly = np.full((2, 4), 0.7)
    nearly[0, rng.integers(4)] += 1e-9
    nearly[1] = _rewards(rng, 1, 4)[0]
    equal = _rewards(rng, 3, 3)
    equal[1] = equal[1, 0]
    return [Case("two prompts, four replies each", dict(rewards=_rewards(rng, 2, 4))),
            Case("a group whose rewards are all equal", dict(rewards=equal), (EQUAL,)),
            Case("a group that differs by 1e-9", dict(rewards=nearly), (NEARLY,)),
            Case("small differences that are real", dict(rewards=_rewards(rng, 2, 3) / 100), (SMALL,)),
            Case("three prompts, two replies each", dict(rewards=_rewards(rng, 3, 2)), (PAIRS,)),
            Case("rewards of 0 and 1", dict(rewards=np.eye(4)[[1, 3, 3]] * [[1.0], [1.0], [0.0]]), (EQUAL,)),
            Case("drawn", dict(rewards=_rewards(rng, 2, 5)))]


def _standardised(g, centre, deviation, flat):
    centred, sd = g.rewards - centre(g.rewards), deviation(g.rewards)
    with np.errstate(all="ignore"):
        return flat(centred, sd, np.ptp(g.rewards, axis=1)[:, None])


_SD, _AGREE = "Over which replies is the deviation taken, and what does it divide by?", \
    "What can a group teach in which all replies are equally good?"

GRPO = Exercise(
    id="group.grpo", notebook=NOTEBOOK, title="A group in its own units",
    function="standardised_groups", points=2, difficulty="medium", minutes=8,
    task="""`rewards`, `(M, G)` floats, G ≥ 2. Return the advantages of GRPO, `(M, G)`: each reward minus the mean
of its group, divided by the group's standard deviation with G in its denominator (`np.std` as it is). A group
whose largest and smallest reward differ by less than 1e-6 agrees: there the advantages are 0.""",
    hints=("First make the two arrays that are divided; then ask which groups may be divided at all.",
           "`np.where` evaluates both of its branches: put 1 in the place of the deviations that you do not want."),
    cases=_standard_cases, reference=group_standardised,
    refuses=("groups.group_standardised", "groups.group_mean", "groups.leave_one_out"),
    compose=_standardised,
    slots=(
        Slot("centre", _mean, (
            Choice("rewards that are divided but not centred", "What is the mean of what you return?",
                   lambda r: 0.0),
            Choice("the mean of the whole batch as the baseline", WHOM, lambda r: r.mean()),
            Choice("the mean of the others as the baseline", "Does GRPO leave the reply itself out?",
                   lambda r: (_total(r) - r) / (r.shape[1] - 1)),
            Choice("a mean over the prompts", "Along which axis do the replies to one prompt lie?",
                   lambda r: r.mean(0, keepdims=True)))),
        Slot("deviation", lambda r: r.std(1, keepdims=True), (
            Choice("a standard deviation with G − 1 in its denominator", _SD,
                   lambda r: r.std(1, keepdims=True, ddof=1)),
            Choice("the standard deviation of the whole batch", _SD, lambda r: r.std() + 0 * r[:, :1]),
            Choice("the variance in the place of the standard deviation", "In which units is what you divide by?",
                   lambda r: r.var(1, keepdims=True)),
            Choice("an advantage that is not divided", "In which units should the advantage be?",
                   lambda r: np.ones((len(r), 1))))),
        Slot("flat", lambda c, sd, spread: np.where(spread < 1e-6, 0.0, c / sd), (
            Choice("a division by 0 where a group agrees", _AGREE, lambda c, sd, spread: c / sd),
            Choice("an ε that lets rounding through", "How large is the deviation of a group that agrees?",
                   lambda c, sd, spread: c / (sd + 1e-8)),
            Choice("a test for exact equality", "Are rewards that differ by 1e-9 different?",
                   lambda c, sd, spread: np.where(spread == 0, 0.0, c / sd)),
            Choice("an ε that shrinks small differences", "What happens to a real difference of 0.01?",
                   lambda c, sd, spread: c / (sd + 1e-2)),
            Choice("an answer that throws small differences away", "Which differences count as none?",
                   lambda c, sd, spread: np.where(spread < 0.5, 0.0, c / sd)))),
    ))

_LENGTHS = (("replies of 2 and 4 tokens", [2, 4], 5, ()),
            ("replies of 1, 5 and 2 tokens", [1, 5, 2], 5, (ONE, CUT)), ("one reply", [3], 4, ()),
            ("wide padding", [2, 1, 3], 6, (ONE,)), ("drawn", [None, 2], 4, ()))


def _weight_cases(seed):
    rng = np.random.default_rng(seed + 2)
    return [Case(label, dict(mask=mask, limit=int(mask.shape[1] + rng.integers(2, 9))), facts)
            for label, facts, mask, _ in batches(seed, table=_LENGTHS)]


_ROWS = "How many replies are there, and what does each of them count?"
_ALL = "How many tokens does the batch have?"
_LIMIT = "Which number is the same in every batch?"


def _per_token(mask, limit):
    """What one real token of each reply weighs: the first column, which is never padding."""
    return np.array([token_weights(mask, how, limit=limit)[:, 0] for how in ("sequence", "batch", "constant")])


WEIGHTS = Exercise(
    id="group.weights", notebook=NOTEBOOK, title="What a token weighs",
    function="token_weights", points=2, difficulty="medium", minutes=10,
    task="""A loss is a sum over tokens, each term times a weight. `mask`, `(B, R)` bools, is True at the real
tokens of B replies, each of which has at least one; `limit` is the largest length that may be sampled, an int.
What does one real token of each reply weigh? Return it for three means, `(3, B)`: first the *sequence mean* (the
mean over a reply's tokens, then the mean over replies), then the *batch mean* (over all real tokens of the
batch), then the *constant* one, in which each token weighs 1/(B·limit).""",
    hints=("Write each mean as a sum: by what is the term of one token divided in the end?",
           "`mask.sum(axis=1)` holds the lengths of the replies. Two of the three means weigh all tokens alike."),
    cases=_weight_cases, reference=_per_token,
    refuses=("groups.token_weights",),
    compose=lambda g, sequence, batch, constant, order: order(np.array(
        [part(g.mask, g.mask.sum(1), g) * np.ones(len(g.mask)) for part in (sequence, batch, constant)])),
    slots=(
        Slot("sequence", lambda m, n, g: 1 / (len(m) * n), (
            Choice("a sequence mean without the number of replies", _ROWS, lambda m, n, g: 1 / n),
            Choice("a sequence mean that counts the padding", "How long is each reply?",
                   lambda m, n, g: 1 / m.size),
            Choice("a sequence mean over the longest reply's tokens", "How long is each reply?",
                   lambda m, n, g: 1 / (len(m) * n.max())))),
        Slot("batch", lambda m, n, g: 1 / m.sum(), (
            Choice("a batch mean that counts the padding", _ALL, lambda m, n, g: 1 / m.size),
            Choice("a batch mean that divides by the mean length", _ALL, lambda m, n, g: 1 / n.mean()),
            Choice("a batch mean that divides by the number of replies", _ALL, lambda m, n, g: 1 / len(m)),
            Choice("a batch mean that is divided by the number of replies as well", _ALL,
                   lambda m, n, g: 1 / (m.sum() * len(m))))),
        Slot("constant", lambda m, n, g: 1 / (len(m) * g.limit), (
            Choice("a constant that is the longest reply of the batch", _LIMIT,
                   lambda m, n, g: 1 / (len(m) * n.max())),
            Choice("a constant that is the width of the array", _LIMIT, lambda m, n, g: 1 / m.size),
            Choice("a constant without the number of replies", _ROWS, lambda m, n, g: 1 / g.limit),
            Choice("a constant without the limit", "Is every argument used?", lambda m, n, g: 1 / len(m)))),
        Slot("order", lambda w: w, (
            Choice("an exchange of sequence mean and batch mean", "Which mean comes first?",
                   lambda w: w[[1, 0, 2]]),
            Choice("an exchange of batch mean and constant", "Which weights come last?", lambda w: w[[0, 2, 1]]),
            Choice("an array with a row for each reply", "Which axis holds the three means?", lambda w: w.T))),
    ))

HARD, EASY = "with a hard prompt", "with an easy prompt"


def _filter_cases(seed):
    rng = np.random.default_rng(seed + 3)
    given = [("an even prompt", 0.4, 4, 8, ()), ("a hard prompt", 0.01, 8, 16, (HARD,)),
             ("an easy prompt", 0.9, 3, 5, (EASY,)), ("two replies", 0.3, 2, 7, (PAIRS,)),
             ("drawn", round(rng.uniform(0.55, 0.85), 2), int(rng.integers(3, 7)), int(rng.integers(3, 20)), ())]
    return [Case(label, dict(p=p, group=group, kept=kept), facts) for label, p, group, kept, facts in given]


_WHEN = "In which two ways can all replies of a group be equally good?"

FILTER = Exercise(
    id="group.filter", notebook=NOTEBOOK, title="How many groups until enough are mixed?",
    function="groups_needed", points=1, difficulty="medium", minutes=6,
    task="""Each reply to a prompt earns 1 with chance `p`, else 0, independently of the others. DAPO samples
groups of `group` replies and drops those in which all rewards are equal. How many groups must be sampled, on
average, until `kept` of them are left? Three plain numbers come in, 0 < p < 1; return one float.""",
    hints=("What is the chance that one group is kept? Begin with the groups that are dropped.",
           "If one group in four is kept, how many are sampled on average for each that is kept?"),
    cases=_filter_cases,
    reference=lambda p, group, kept: kept / mixed_chance(p, group), refuses=("groups.mixed_chance",),
    compose=lambda g, dropped, number: number(g, 1 - dropped(g)),
    slots=(
        Slot("dropped", lambda g: g.p**g.group + (1 - g.p) ** g.group, (
            Choice("an answer that drops only the groups in which all are wrong", _WHEN,
                   lambda g: (1 - g.p) ** g.group),
            Choice("an answer that drops only the groups in which all are right", _WHEN, lambda g: g.p**g.group),
            Choice("a product of two chances that exclude each other",
                   "Can a group be all right and all wrong at once?",
                   lambda g: 1 - (1 - g.p**g.group) * (1 - (1 - g.p) ** g.group)),
            Choice("a group of two, whatever its size", "Is every argument used?",
                   lambda g: g.p**2 + (1 - g.p) ** 2 + 1e-3 * (g.group == 2)),
            Choice("a chance that does not depend on p", "Is every argument used?", lambda g: 0.5**(g.group - 1)))),
        Slot("number", lambda g, share: g.kept / share, (
            Choice("a number of replies in the place of groups", "What is counted, replies or groups?",
                   lambda g, share: g.group * g.kept / share),
            Choice("the number of groups that are kept, of so many sampled", "Which of the two numbers is larger?",
                   lambda g, share: g.kept * share),
            Choice("the number of groups that are dropped", "Do the groups that are kept count as well?",
                   lambda g, share: g.kept / share - g.kept),
            Choice("an answer for one group", "Is every argument used?", lambda g, share: 1 / share),
            Choice("a division by the share that is dropped", "If nothing is dropped, how many are sampled?",
                   lambda g, share: g.kept / (1 - share)))),
    ))


def _prompt_cases(seed):
    rng = np.random.default_rng(seed + 4)
    given = [("a hard prompt", 0.01, 8, (HARD,)), ("two replies", 0.3, 2, (PAIRS,)),
             ("an easy prompt", 0.9, 12, (EASY,)), ("four replies", 0.2, 4, ()),
             ("drawn", round(rng.uniform(0.05, 0.45), 2), int(rng.integers(3, 10)), ()),
             ("drawn", round(rng.uniform(0.55, 0.95), 2), int(rng.integers(3, 10)), ())]
    return [Case(label, dict(p=p, group=group), facts) for label, p, group, facts in given]


def _binomial(g):
    return np.array([math.comb(g.group, k) * g.p**k * (1 - g.p) ** (g.group - k) for k in range(g.group + 1)])


_HOW_MANY = "How likely is it that exactly k of G replies are right?"
_PER = "Of what is c the expectation, and by what is it divided?"

WEIGHT = Exercise(
    id="group.weight", notebook=NOTEBOOK, title="How much a prompt weighs",
    function="weight_of_prompt", points=3, difficulty="hard", minutes=12,
    task="""A reply earns 1 with chance `p`, 0 < p < 1, else 0. Dividing by the group's standard deviation gives
its prompt the weight c(p, G) = E[√(m(1 − m))] / (p(1 − p)), where m is the share of right replies in a group of G
= `group` replies. Return c exactly, one float, no sampling. `from math import comb` may help.""",
    hints=("m takes the values 0, 1/G, …, 1. How likely is each?",
           "k right replies of G have the chance `comb(G, k) * p**k * (1 - p)**(G - k)`."),
    cases=_prompt_cases, reference=prompt_weight, refuses=("groups.prompt_weight",),
    compose=lambda g, chance, size, per: (chance(g) * size(g, np.arange(g.group + 1) / g.group)).sum() / per(g),
    slots=(
        Slot("chance", _binomial, (
            Choice("a binomial chance without the number of orders", _HOW_MANY,
                   lambda g: np.array([g.p**k * (1 - g.p) ** (g.group - k) for k in range(g.group + 1)])),
            Choice("all shares taken as equally likely", _HOW_MANY,
                   lambda g: np.full(g.group + 1, 1 / (g.group + 1))),
            Choice("an expectation over mixed groups alone", "What do groups that agree contribute, and how often?",
                   lambda g: _binomial(g) / (1 - g.p**g.group - (1 - g.p) ** g.group)),
            Choice("p for the chance to be wrong", "Which of the two chances is p?",
                   lambda g: _binomial(g)[::-1] * g.p / (1 - g.p)))),
        Slot("size", lambda g, m: np.sqrt(m * (1 - m)), (
            Choice("the variance in the place of the standard deviation", _PER, lambda g, m: m * (1 - m)),
            Choice("a standard deviation with G − 1 in its denominator", "What is the deviation of 0/1 rewards?",
                   lambda g, m: np.sqrt(m * (1 - m) * g.group / (g.group - 1))))),
        Slot("per", lambda g: g.p * (1 - g.p), (
            Choice("an expectation that is not divided by p(1 − p)", _PER, lambda g: 1.0),
            Choice("a division by √(p(1 − p))", _PER, lambda g: np.sqrt(g.p * (1 - g.p))),
            Choice("a division by p alone", _PER, lambda g: g.p))),
    ),
    misconceptions=(
        Misconception("the limit of large groups", "Is every argument used?",
                      lambda p, group: 1 / np.sqrt(p * (1 - p))),))


def _coefficient_cases(seed):
    rng = np.random.default_rng(seed + 5)
    given = [("a token that both like alike, and others", [-1.0, -2.5, -0.3], [-1.0, -1.2, -1.5]),
             ("one token, rarer than under the reference", [-2.4], [-0.4]),
             ("a token far more likely than under the reference", [-0.1, -3.3], [-7.0, -2.0])]
    given += [("drawn", *(-rng.uniform(0.1, 3, size).round(2) for _ in range(2))) for size in (4, 2)]
    return [Case(label, dict(logprobs=np.array(a), ref_logprobs=np.array(b))) for label, a, b in given]


_SLOPE = "What is the derivative of the estimate in log π of the token?"

KL_LOSS = Exercise(
    id="group.kl_loss", notebook=NOTEBOOK, title="What a KL in the loss pushes",
    function="kl_coefficients", points=2, difficulty="medium", minutes=8,
    task="""An estimate of the KL is a part of the loss and is differentiated. Its gradient is a coefficient times
∇log π of the sampled token. `logprobs`, `ref_logprobs`: `(T,)` each. With d = logprobs − ref_logprobs the
estimates are k1 = d, k2 = d²/2, k3 = e^(−d) − 1 + d. Return the coefficients of k1, k2 and k3 at each token, `(3,
T)`.""",
    hints=("The reference is a constant: only `logprobs` is differentiated.",
           "Differentiate each estimate in d. What is the derivative of e^(−d)?"),
    cases=_coefficient_cases,
    reference=lambda a, b: np.array([kl_coefficients(a, b, kind=kind) for kind in ("k1", "k2", "k3")]),
    refuses=("groups.kl_coefficients",),
    compose=lambda g, d, k1, k2, k3, slopes, arrange: arrange(slopes(
        d(g.logprobs, g.ref_logprobs), np.array([k(d(g.logprobs, g.ref_logprobs)) for k in (k1, k2, k3)]))),
    slots=(
        Slot("d", lambda a, b: a - b, (
            Choice("a difference the other way round", "Of which two logarithms is d the difference?",
                   lambda a, b: b - a),
            Choice("a difference of probabilities", "Of which two logarithms is d the difference?",
                   lambda a, b: np.exp(a) - np.exp(b)))),
        Slot("k1", np.ones_like, (
            Choice("k1 itself in the place of its derivative", _SLOPE, lambda d: d),
            Choice("a k1 that pushes nothing", "Is the coefficient 0 at one token, or only on average?",
                   np.zeros_like),
            Choice("a k1 with its sign turned", _SLOPE, lambda d: -np.ones_like(d)))),
        Slot("k2", lambda d: d, (
            Choice("k2 itself in the place of its derivative", _SLOPE, lambda d: d**2 / 2),
            Choice("a derivative of k2 without its half", _SLOPE, lambda d: 2 * d),
            Choice("a derivative of k2 that keeps the half", _SLOPE, lambda d: d / 2),
            Choice("a derivative of k2 without its sign", "May the coefficient be negative?", np.abs))),
        Slot("k3", lambda d: -np.expm1(-d), (
            Choice("k3 itself in the place of its derivative", _SLOPE, lambda d: np.expm1(-d) + d),
            Choice("a k3 whose e has the wrong sign in its exponent", _SLOPE, lambda d: -np.expm1(d)),
            Choice("a k3 without the inner derivative", "What is the derivative of −d?", lambda d: 1 + np.exp(-d)),
            Choice("a k3 without the 1 that d leaves", "What is the derivative of d itself?",
                   lambda d: -np.exp(-d)),
            Choice("a k3 with its sign turned", _SLOPE, lambda d: np.expm1(-d)),
            Choice("the coefficient of k2 for k3 as well", _SLOPE, lambda d: d))),
        Slot("slopes", lambda d, rows: rows, (
            Choice("an answer of the estimates in the place of their derivatives", _SLOPE,
                   lambda d, rows: np.array([d, d**2 / 2, np.expm1(-d) + d])),)),
        Slot("arrange", lambda rows: rows, (
            Choice("an exchange of k2 and k3", "Which estimate is the second?", lambda rows: rows[[0, 2, 1]]),
            Choice("an array with a row for each token", "Which axis holds the estimates?", lambda rows: rows.T),
            Choice("the mean of each coefficient", "How many numbers are wanted for each estimate?",
                   lambda rows: rows.mean(1)))),
    ))

LONG = "with ratios too large for a float"
_RATIOS = (("four replies", [3, 5, 2, 4], 5, 0.5, 0.0, ()), ("nothing has changed", [2, 3, 1], 4, 0.0, 0.0, ()),
           ("two replies, one of one token", [1, 3], 3, 0.8, 0.3, (ONE, CUT)),
           ("all ratios too large for a float", [3, 2, 3], 3, 0.4, [800.0, 800.0, 800.0], (LONG,)),
           ("ratios too large and too small for a float", [2, 3, 3], 3, 0.4, [-800.0, 800.0, 800.0], (LONG,)),
           ("drawn", [None, 4, None], 5, 0.6, -0.4, ()))


def _ratio_cases(seed):
    rng, found = np.random.default_rng(seed + 6), []
    for label, lengths, width, spread, shift, facts in _RATIOS:
        lengths = [int(rng.integers(2, width + 1)) if n is None else n for n in lengths]
        mask = np.arange(width) < np.reshape(lengths, (-1, 1))
        old = -rng.uniform(0.2, 3, mask.shape).round(2)
        changes = (rng.normal(0, 1, mask.shape) * spread).round(2)
        changes[:, 0] += shift
        found.append(Case(label, dict(old_logprobs=old, logprobs=(old + changes).round(2), mask=mask), facts))
    return found


def _effective(g, change, inside, pool, ratio, size):
    logs = change(g.logprobs, g.old_logprobs)
    with np.errstate(all="ignore"):
        return size(ratio(pool(inside(logs, g.mask), g.mask)), len(g.mask))


_WHOLE = "What is the ratio of a whole reply, if you know those of its tokens?"

ESS = Exercise(
    id="group.ess", notebook=NOTEBOOK, title="How many replies still count?",
    function="effective_replies", points=2, difficulty="medium", minutes=10,
    task="""B replies were sampled from an older policy. `old_logprobs` and `logprobs`, `(B, R)`, hold the
log-probabilities of their tokens then and now; `mask`, `(B, R)`, is True at real tokens. Let w be the probability
of a whole reply now over its probability then. Return the effective number of replies, (Σw)² / Σw², one float.
Some ratios are too large for a float, such as e^800; the answer is still a number.""",
    hints=("A product of ratios is a sum of differences of logarithms. Over which tokens?",
           "The answer does not change if all w are divided by the largest: do that before `np.exp`."),
    cases=_ratio_cases, reference=effective_samples, refuses=("groups.effective_samples",),
    compose=_effective,
    slots=(
        Slot("change", lambda new, old: new - old, (
            Choice("a ratio upside down", "Which of the two probabilities is the numerator?",
                   lambda new, old: old - new),
            Choice("the probability now without the one then", "How likely was the reply then?",
                   lambda new, old: new),)),
        Slot("inside", lambda logs, mask: np.where(mask, logs, 0.0), (
            Choice("a ratio of the padding as well", "Which tokens are real?", lambda logs, mask: logs),)),
        Slot("pool", lambda logs, mask: logs.sum(1), (
            Choice("a ratio of single tokens in the place of whole replies", _WHOLE, lambda logs, mask: logs[mask]),
            Choice("the geometric mean of a reply's ratios, as GSPO takes it", _WHOLE,
                   lambda logs, mask: logs.sum(1) / mask.sum(1)),
            Choice("a mean over the columns of a row, padding included", _WHOLE, lambda logs, mask: logs.mean(1)),
            Choice("the ratio of the first token", _WHOLE, lambda logs, mask: logs[:, 0]))),
        Slot("ratio", lambda logs: np.exp(logs - logs.max()), (
            Choice("a ratio that overflows", "What is e^800 as a float?", np.exp),
            Choice("logarithms in the place of ratios", "Is w a logarithm?", lambda logs: logs))),
        Slot("size", lambda w, count: w.sum() ** 2 / (w * w).sum(), (
            Choice("a share in the place of a number of replies", "How many replies count if nothing has changed?",
                   lambda w, count: w.sum() ** 2 / (w * w).sum() / count),
            Choice("the formula upside down", "How many replies count if nothing has changed?",
                   lambda w, count: (w * w).sum() / w.sum() ** 2),
            Choice("a sum without its square", "Which of the two sums is squared as a whole?",
                   lambda w, count: w.sum() / (w * w).sum()),
            Choice("the sum of the ratios over the largest", "Which formula does the text give?",
                   lambda w, count: w.sum() / w.max()))),
    ))

SETTINGS = ("reward", "reward, divided", "loss", "loss, divided")


def _told_apart(rewards, kl, advantages, beta):
    """Whether only one of the four settings gives these advantages, beyond doubt."""
    fits = 0
    for totals in (rewards - beta * kl, rewards):
        for function in (leave_one_out, group_standardised):
            fits += bool(np.abs(function(totals) - advantages).max() < 0.01)
    return fits == 1


def _setting_cases(seed):
    """Three batches of each setting, in any order."""
    rng, found = np.random.default_rng(seed + 7), []
    for setting, size in product(SETTINGS, ((2, 3), (1, 5), (2, 4))):
        drawn = None
        while drawn is None or not _told_apart(**drawn):
            rewards = _rewards(rng, *size)
            kl = rng.choice(np.arange(1, 60), size, replace=False) / 10
            beta = float(rng.choice([0.05, 0.1, 0.2]))
            totals = rewards - beta * kl if setting.startswith("reward") else rewards
            advantages = (group_standardised if setting.endswith("divided") else leave_one_out)(totals)
            drawn = dict(rewards=rewards, kl=kl, advantages=advantages.round(4), beta=beta)
        found.append(drawn)
    return [Case(f"batch {chr(65 + i)}", found[k]) for i, k in enumerate(rng.permutation(len(found)))]


def _setting(rewards, kl, advantages, beta):
    """By a fit: which of the four reproduces the advantages best?"""
    errors = {}
    for place, totals in (("reward", rewards - beta * kl), ("loss", rewards)):
        errors[place] = np.abs(leave_one_out(totals) - advantages).max()
        errors[place + ", divided"] = np.abs(group_standardised(totals) - advantages).max()
    return min(errors, key=errors.get)


def _place(g):
    """Which rewards have the order and the proportions of the advantages, whatever their scale."""
    def misfit(x):
        centred = x - _mean(x)
        fitted = (centred * g.advantages).sum(1, keepdims=True) / (centred**2).sum(1, keepdims=True) * centred
        return np.abs(fitted - g.advantages).max()
    return "reward" if misfit(g.rewards - g.beta * g.kl) < misfit(g.rewards) else "loss"


def _divided(g):
    return np.abs(g.advantages.std(1) - 1).max() < 0.002


_SCALE, _KL = "In which units are advantages that were divided by their group's deviation?", \
    "Do the advantages follow the rewards alone, or the rewards minus β·KL?"


def _named(place, divided):
    return place + ", divided" * bool(divided)


def _whole(g):
    return _setting(g.rewards, g.kl, g.advantages, g.beta)


DIAGNOSIS = Exercise(
    id="group.diagnosis", notebook=NOTEBOOK, title="Where is the KL penalty in this run?",
    function="which_setting", points=3, difficulty="hard", minutes=15,
    task="""The KL of a run keeps growing while the standard deviation within its groups falls. Its settings are
lost. What you have are batches of it: `rewards`, the scores without any penalty, `kl` (nats a reply) and
`advantages`, `(M, G)` each, and `beta`. The advantages are those of RLOO, or those of GRPO (with G in the
deviation's denominator). They were computed from the scores minus β·KL, or, where the penalty is in the loss,
from the scores alone. Return which of four settings it is: `"reward"` or `"loss"` for RLOO, `"reward, divided"`
or `"loss, divided"` for GRPO. No group agrees; advantages are rounded to four decimals, so allow for errors of
0.001.""",
    hints=("You know the formulas of RLOO and GRPO: compute all four candidates.",
           "`np.allclose(a, b, atol=1e-3)` compares two arrays."),
    cases=_setting_cases,
    reference=_setting, refuses=("groups.leave_one_out", "groups.group_standardised", "groups.group_mean"),
    compose=lambda g, rule: rule(g),
    slots=(
        Slot("rule", _whole, (
            Choice("a rule that never sees the KL in the reward", _KL, lambda g: _named("loss", _divided(g))),
            Choice("a rule that always sees the KL in the reward", _KL, lambda g: _named("reward", _divided(g))),
            Choice("a rule that never sees a division", _SCALE, lambda g: _place(g)),
            Choice("a rule that always sees a division", _SCALE, lambda g: _named(_place(g), True)),
            Choice("an exchange of reward and loss", _KL,
                   lambda g: _named("loss" if _whole(g).startswith("reward") else "reward", "," in _whole(g))),
            Choice("an exchange of divided and not divided", _SCALE,
                   lambda g: _named(_whole(g).split(",")[0], "," not in _whole(g))))),
    ))


EXERCISES = (RLOO, GRPO, FILTER, WEIGHT, WEIGHTS, KL_LOSS, DIAGNOSIS, ESS)
