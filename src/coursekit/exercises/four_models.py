"""Exercises of chapter 5: the formulas of one PPO update, then a diagnosis, each with the mistakes made in it."""

import json
from functools import cache
from pathlib import Path

import numpy as np

from coursekit.advantages import gae
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot, varied
from coursekit.exercises.slots import (
    BOUNDED,
    CENTRE,
    COUNTED,
    END,
    OVER,
    PESSIMISM,
    REST,
    SCALE,
    standardised,
    sum_back,
)
from coursekit.exercises.sparse_credit import CHARGE, CUT, KL_SIGN, KL_SIZE, NAN, ONE, batches, drawn_scores
from coursekit.tokens import adapted_beta, kl_estimates, token_rewards, token_steps

NOTEBOOK = "05_four_models"
FIXED = "Is every argument used?"


def _log_softmax(x, axis=-1):
    x = x - x.max(axis, keepdims=True)
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def _logit_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, tokens, words, *facts):
        logits = rng.normal(0, 2, (len(tokens), words)).round(1)
        return Case(label, dict(logits=logits, tokens=np.array(tokens)), facts)

    large = case("logits of up to ±30", [1, 0, 3], 4)
    large.inputs["logits"][:2] = [[30.0, 22.5, -30.0, 29.0], [-28.0, -29.5, -30.0, -27.0]]
    return [case("four tokens", [0, 2, 1, 4], 5), case("the same token again", [1, 1, 0, 1, 1], 3),
            case("two tokens", [2, 0], 3, "with two tokens"), large,
            case("drawn tokens", rng.integers(0, 4, 5).tolist(), 4)]


_ROW, _BEFORE = "Which row was computed before token t was read?", "Which token follows row t?"
_SUMS = "What should e to the power of what you return sum to, over the vocabulary?"
_EACH = "How many numbers are wanted for each token?"


def _pick(table, tokens):
    return table[np.arange(len(tokens)), tokens]


def _aligned(g, rows, normal, tokens, pick):
    return pick(normal(rows(g.logits)), tokens(g.tokens))


LOGPROBS = Exercise(
    id="ppo.logprobs", notebook=NOTEBOOK, title="Which logits belong to which token?",
    function="aligned_logprobs", points=2, difficulty="medium", minutes=8,
    task="""A language model has read `tokens`, `(T,)`, ints, T ≥ 2, and returned `logits`, `(T, V)`: row t,
computed from tokens 0 … t, predicts the *next* token. Return the log-probabilities of the tokens 1 … T − 1, an
array of shape `(T − 1,)`. The logits lie between −30 and 30, so that no exponential overflows.""",
    hints=("Which row was computed before token t + 1 was read?",
           "The last row and the first token are left over. Normalise each row, then pick one entry of each."),
    cases=_logit_cases,
    reference=lambda z, t: np.take_along_axis(_log_softmax(z)[:-1], t[1:, None], 1)[:, 0],
    refuses=("lm.response_logprobs", "lm.token_logprobs"),
    compose=_aligned,
    slots=(
        Slot("rows", lambda z: z[:-1], (
            Choice("row t taken for token t", _ROW, lambda z: z[1:]),
            Choice("the rows in reverse order", _ROW, lambda z: z[::-1][:-1]))),
        Slot("normal", _log_softmax, (
            Choice("logits that are not normalised", _SUMS, lambda z: z),
            Choice("probabilities in the place of their logarithms", "Is a logarithm wanted, or what it is the "
                   "logarithm of?", lambda z: np.exp(_log_softmax(z))),
            Choice("a softmax over time", "Among what must the model choose: tokens, or positions?",
                   lambda z: _log_softmax(z, 0)),
            Choice("a softmax over all rows together", "Among what must the model choose: tokens, or positions?",
                   lambda z: z - np.log(np.exp(z).sum())),
            Choice("logits less their largest, without the logarithm of the sum", _SUMS,
                   lambda z: z - z.max(-1, keepdims=True)),
            Choice("logits less the sum of exponentials, without its logarithm", _SUMS,
                   lambda z: z - np.exp(z).sum(-1, keepdims=True)),
            Choice("logits less their mean", _SUMS, lambda z: z - z.mean(-1, keepdims=True)),
            Choice("a sigmoid of each logit in the place of a softmax", _SUMS,
                   lambda z: -np.logaddexp(0.0, -z)),
            Choice("a logarithm to base 2", "In which unit is a log-probability?",
                   lambda z: _log_softmax(z) / np.log(2)))),
        Slot("tokens", lambda t: t[1:], (
            Choice("the tokens that were read in the place of those that follow", _BEFORE, lambda t: t[:-1]),)),
        Slot("pick", _pick, (
            Choice("the log-probability of the likeliest token", "Which token was sampled?",
                   lambda table, tokens: table.max(1)),
            Choice("a table of every sampled token in every row", _EACH, lambda table, tokens: table[:, tokens]),
            Choice("a table of the whole vocabulary", _EACH, lambda table, tokens: table),
            Choice("a loss in the place of log-probabilities: the sign turned",
                   "May a log-probability be above 0?", lambda table, tokens: -_pick(table, tokens)),
            Choice("a sum over the whole sequence", "How many numbers are wanted?",
                   lambda table, tokens: _pick(table, tokens).sum()),
            Choice("a mean cross-entropy", "How many numbers are wanted, and of which sign?",
                   lambda table, tokens: -_pick(table, tokens).mean()))),
    ),
    misconceptions=(
        Misconception("a softmax over time", "Among what must the model choose: tokens, or positions?",
                      lambda z, t: _pick(_log_softmax(z, 0)[:-1], t[1:])),
        Misconception("a row for each token, the first token included", "What was known before token 0?",
                      lambda z, t: _pick(_log_softmax(z), t)),
    ))


def _logprob_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("three tokens", [-1.0, -2.5, -0.3], [-1.7, -1.2, -0.5]), ("one token", [-0.4], [-1.5]),
             ("tokens far apart", [-0.1, -6.2, -3.3, -0.8], [-4.4, -0.3, -3.1, -2.0])]
    given += [("drawn", *(-rng.uniform(0.1, 3, size).round(2) for _ in range(2))) for size in (4, 2)]
    return [Case(label, dict(logprobs=np.array(a), ref_logprobs=np.array(b))) for label, a, b in given]


def _three(g, d, k1, k2, k3, arrange):
    d = d(g.logprobs, g.ref_logprobs)
    return arrange(np.array([k1(d, g.logprobs), k2(d), k3(d)]))


_SECOND = "Which factor does k2 have beside d²?"
_THIRD = "What is k3 where the two policies agree, and which sign has it elsewhere?"

KL = Exercise(
    id="ppo.kl", notebook=NOTEBOOK, title="Three estimates of one KL",
    function="kl_three_ways", points=2, difficulty="medium", minutes=8,
    task="""For T ≥ 1 tokens sampled from the policy you have `logprobs` and `ref_logprobs`, `(T,)` each. Return the
estimates k1, k2 and k3 of KL(policy‖reference) at each token, `(3, T)`, with d = logprobs − ref_logprobs: k1 =
d, k2 = d²/2, k3 = e^(−d) − 1 + d.""",
    hints=("e^(−d) is the reference's probability over the policy's.",
           "Three rows, each a formula of d; `np.array` of a list of three arrays stacks them."),
    cases=_logprob_cases,
    reference=lambda a, b: np.array([kl_estimates(a, b, kind=kind) for kind in ("k1", "k2", "k3")]),
    refuses=("tokens.kl_estimates",),
    compose=_three,
    slots=(
        Slot("d", lambda a, b: a - b, (
            Choice("the KL of the reference from the policy: the ratio upside down", "Who sampled the tokens?",
                   lambda a, b: b - a),
            Choice("a difference of probabilities", "Of what is d the difference?",
                   lambda a, b: np.exp(a) - np.exp(b)),
            Choice("a ratio of probabilities in the place of its logarithm", "Of what is d the difference?",
                   lambda a, b: np.exp(a - b)),
            Choice("a ratio of log-probabilities", "Of what is d the difference?", lambda a, b: a / b),
            Choice("a d without its sign", "May d be negative?", lambda a, b: np.abs(a - b)))),
        Slot("k1", lambda d, a: d, (
            KL_SIZE._replace(value=lambda d, a: np.abs(d)),
            Choice("k1 cut off at 0", "May the k1 of a single token be negative?", lambda d, a: np.maximum(d, 0)),
            Choice("k1 with its sign turned", "Where is k1 above 0?", lambda d, a: -d),
            Choice("a k1 weighted by the token's probability",
                   "The tokens were sampled: must they be weighted again?", lambda d, a: np.exp(a) * d))),
        Slot("k2", lambda d: d**2 / 2, (
            Choice("k2 without its half", _SECOND, lambda d: d**2),
            Choice("k2 whose half is squared as well", _SECOND, lambda d: (d / 2) ** 2),
            Choice("k2 without its square", "May k2 be negative?", lambda d: d / 2),
            Choice("a root of k2", "In which units is k2?", lambda d: np.abs(d) / np.sqrt(2)))),
        Slot("k3", lambda d: np.expm1(-d) + d, (
            Choice("k3 with its ratio upside down", "Whose probability is the numerator of e^(−d)?",
                   lambda d: np.expm1(d) - d),
            Choice("k3 without its −1", _THIRD, lambda d: np.exp(-d) + d),
            Choice("k3 with +1 in the place of −1", _THIRD, lambda d: np.exp(-d) + 1 + d),
            Choice("k3 with the sign of its last d turned", _THIRD, lambda d: np.expm1(-d) - d),
            Choice("k3 with the sign of its first d turned", _THIRD, lambda d: np.expm1(d) + d),
            Choice("k3 without its last d", _THIRD, lambda d: np.expm1(-d)),
            Choice("k3 with its sign turned", _THIRD, lambda d: -np.expm1(-d) - d))),
        Slot("arrange", lambda rows: rows, (
            Choice("an exchange of k2 and k3", "Which estimate is the second?", lambda rows: rows[[0, 2, 1]]),
            Choice("the three estimates in reverse order", "Which estimate comes first?", lambda rows: rows[::-1]),
            Choice("an array with a row for each token", "Which axis holds the estimates?", lambda rows: rows.T),
            Choice("the mean of each estimate", "How many numbers are wanted for each estimate?",
                   lambda rows: rows.mean(1)),
            Choice("the sum of each estimate", "How many numbers are wanted for each estimate?",
                   lambda rows: rows.sum(1)))),
    ))


def _clip_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, ratios, advantages, clip, old=None):
        old = rng.uniform(-2, -0.5, len(ratios)).round(2) if old is None else old
        return Case(label, dict(logprobs=(np.log(ratios) + old).round(3), old_logprobs=old,
                                advantages=np.array(advantages), clip=clip))

    return [case("inside and outside the clip, good steps and bad ones", [1.05, 1.6, 0.5, 1.4, 0.15],
                 [1.0, 2.0, 1.5, -1.0, -3.0], 0.2),
            case("a smaller ε", [1.15, 0.85, 1.3, 0.95], [2.0, 1.0, -1.0, -0.5], 0.1),
            case("a bad step that has become four times as likely", [4.0, 0.9, 0.1], [-1.0, 0.5, -0.4], 0.2),
            case("a step alone", [1.5], [1.0], 0.3),
            *[case("drawn", np.exp(rng.normal(0, 0.4, 6)), rng.normal(0, 1, 6).round(1), clip)
              for clip in (0.2, 0.3)]]


def _clipped_loss(g, ratio, bounded, choose, reduce):
    """PPO's loss from its parts. choose: of a ratio, the clipped one and an advantage, what counts for a step."""
    ratios = ratio(g)
    return -reduce(choose, ratios, bounded(g, ratios), g.advantages)


def _pessimistic(new, old, advantages, clip):
    """The same by cases: a good step counts up to 1 + ε, a bad one from 1 − ε on."""
    ratio = np.exp(new - old)
    return -np.where(advantages > 0, np.minimum(ratio, 1 + clip) * advantages,
                     np.maximum(ratio, 1 - clip) * advantages).mean()


POLICY = Exercise(
    id="ppo.policy_loss", notebook=NOTEBOOK, title="The clipped policy loss",
    function="clipped_loss", points=2, difficulty="medium", minutes=10,
    task="""`logprobs`, `old_logprobs` and `advantages` are `(N,)` each; `clip` is ε. Return PPO's loss, one number:
−mean(min(ρ·Â, clip(ρ, 1 − ε, 1 + ε)·Â)), where ρ is the probability under the current policy divided by that when
the token was sampled.""",
    hints=("ρ = exp(logprobs − old_logprobs).", "Compare the two products step by step: `np.minimum`."),
    cases=_clip_cases, reference=_pessimistic, compose=_clipped_loss,
    refuses=("ppo.clipped_policy_loss",),
    slots=(
        Slot("ratio", lambda g: np.exp(g.logprobs - g.old_logprobs), (
            Choice("a ratio upside down", "Which of the two probabilities is the numerator?",
                   lambda g: np.exp(g.old_logprobs - g.logprobs)),
            Choice("a difference of logarithms in the place of the ratio",
                   "What is the ratio of equal probabilities?",
                   lambda g: g.logprobs - g.old_logprobs),
            Choice("a ratio of logarithms", "What are you given: probabilities, or their logarithms?",
                   lambda g: g.logprobs / g.old_logprobs))),
        BOUNDED, PESSIMISM,
        Slot("reduce", lambda choose, r, c, a: choose(r, c, a).mean(), (
            Choice("a sum in the place of the mean", "Should the loss grow with the batch?",
                   lambda choose, r, c, a: choose(r, c, a).sum()),
            Choice("the smaller of two means", "Is the smaller one chosen step by step?",
                   lambda choose, r, c, a: min((r * a).mean(), (c * a).mean())),
            Choice("a loss of standardised advantages", "Does the formula standardise?",
                   lambda choose, r, c, a: choose(r, c, (a - a.mean()) / (a.std() + 1e-8)).mean()),
            Choice("a step's own loss, without a mean", "How many numbers are wanted?",
                   lambda choose, r, c, a: choose(r, c, a)))),
    ))


def _value_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, values, old_values, returns, clip):
        times = varied(seed)[0]
        return Case(label, dict(values=times * np.array(values), old_values=times * np.array(old_values),
                                returns=times * np.array(returns), clip=times * clip))

    cases = [case("moves within and beyond ε, towards the target and away from it", [1.7, 0.6, -0.8, 1.3],
                  [1.0, 1.5, 0.9, 1.1], [3.0, 2.0, -2.0, 0.4], 0.3),
             case("one value", [0.4], [1.1], [0.9], 0.2),
             case("values of either sign, a small ε", [-1.0, 0.6, -2.2], [-1.3, 0.1, -2.0], [0.7, -0.9, -2.5], 0.1)]
    return cases + [case("drawn", *rng.normal(0, 1, (3, 5)).round(1), clip) for clip in (0.2, 0.4, 0.7)]


def _clipped_value_loss(g, moved, error, choose, average, half):
    plain, clipped = error(g.values - g.returns), error(moved(g) - g.returns)
    return half * average(choose, plain, clipped)


_MOVE, _WHICH = "From where may V move by at most ε?", "Which of the two errors counts, and at which step?"

VALUE = Exercise(
    id="ppo.value_loss", notebook=NOTEBOOK, title="The clipped value loss",
    function="clipped_value_loss", points=1, difficulty="medium", minutes=8,
    task="""`values` (of the current critic), `old_values` (when the batch was collected) and `returns` (the
targets) are `(N,)` each; `clip` is ε. Return ½·mean(max((V − G)², (V_clipped − G)²)), one number, where V_clipped
is V clipped to within ε of the old value.""",
    hints=("V_clipped starts at the old value: which part of the move from there is clipped?",
           "Compare the two squared errors step by step, and take the mean of the larger ones."),
    cases=_value_cases,
    reference=lambda v, o, g, e: 0.5 * np.mean([max((x - y) ** 2, (min(max(x, z - e), z + e) - y) ** 2)
                                                for x, z, y in zip(v, o, g)]),
    refuses=("ppo.clipped_value_loss",),
    compose=_clipped_value_loss,
    slots=(
        Slot("moved", lambda g: g.old_values + np.clip(g.values - g.old_values, -g.clip, g.clip), (
            Choice("a move without the value that it starts from", _MOVE,
                   lambda g: np.clip(g.values - g.old_values, -g.clip, g.clip)),
            Choice("a clip of the value itself to ±ε", _MOVE, lambda g: np.clip(g.values, -g.clip, g.clip)),
            Choice("a clip of the value itself to 1 ± ε", _MOVE,
                   lambda g: np.clip(g.values, 1 - g.clip, 1 + g.clip)),
            Choice("a clip relative to the old value", "In which units is ε?",
                   lambda g: g.old_values * np.clip(g.values / g.old_values, 1 - g.clip, 1 + g.clip)),
            Choice("the plain squared error", "What does ε do in your loss?",
                   lambda g: g.returns + np.clip(g.values - g.returns, -g.clip, g.clip)),
            Choice("a clip on the upper side only", "May a value fall as far as it likes?",
                   lambda g: np.minimum(g.values, g.old_values + g.clip)),
            Choice("a clip on the lower side only", "May a value rise as far as it likes?",
                   lambda g: np.maximum(g.values, g.old_values - g.clip)),
            Choice("a clip at a fixed ε of 0.2", FIXED,
                   lambda g: g.old_values + np.clip(g.values - g.old_values, -0.2, 0.2)),
            Choice("the old value in the place of the clipped one", "May V_clipped move at all?",
                   lambda g: g.old_values))),
        Slot("error", np.square, (
            Choice("an error without its square", "Which part of the formula is squared?", np.abs),)),
        Slot("choose", np.maximum, (
            Choice("the smaller of the two errors", _WHICH, np.minimum),
            Choice("the plain squared error", "What does ε do in your loss?", lambda plain, clipped: plain),
            Choice("the clipped error alone", _WHICH, lambda plain, clipped: clipped),
            Choice("the sum of the two errors", _WHICH, np.add),
            Choice("the mean of the two errors", _WHICH, lambda plain, clipped: (plain + clipped) / 2))),
        Slot("average", lambda choose, plain, clipped: choose(plain, clipped).mean(), (
            Choice("a sum in the place of the mean", "Should the loss grow with the batch?",
                   lambda choose, plain, clipped: choose(plain, clipped).sum()),
            Choice("the larger of two means", _WHICH,
                   lambda choose, plain, clipped: np.maximum(plain.mean(), clipped.mean())),
            Choice("the terms of the loss, without their mean", "How many numbers are wanted?",
                   lambda choose, plain, clipped: choose(plain, clipped)),
            Choice("the root of the mean", "In which units is the loss?",
                   lambda choose, plain, clipped: np.sqrt(choose(plain, clipped).mean())))),
        Slot("half", 0.5, (
            Choice("a loss without its factor ½", "Which factor comes before the mean?", 1.0),
            Choice("a loss with its sign turned", "Should a large error be a large loss, or a small one?", -0.5))),
    ),
    misconceptions=(
        Misconception("a clip of the error", _MOVE,
                      lambda v, o, g, e: 0.5 * (np.clip(v - g, -e, e) ** 2).mean()),
        Misconception("a clip of the squared error", _MOVE,
                      lambda v, o, g, e: 0.5 * np.clip((v - g) ** 2, -e, e).mean()),
    ))


def _beta_cases(seed):
    """Inside and outside the bounds, on both sides; a batch that is large for its horizon."""
    rng = np.random.default_rng(seed)
    names = "beta", "kl", "target", "replies", "horizon"
    given = [("a little below the target", 0.3, 4.85, 5.0, 64, 400.0),
             ("a batch larger than the horizon", 0.15, 8.8, 8.0, 512, 200.0),
             ("far above", 0.1, 60.0, 6.0, 128, 500.0), ("far below", 0.05, 1.0, 4.0, 32, 100.0),
             ("a little above", 0.4, 3.3, 3.0, 96, 800.0), ("a measured KL below 0", 0.2, -0.4, 2.0, 256, 300.0)]
    for bounds in ((0.85, 0.95), (1.05, 1.15), (1.5, 3.0)):
        target = round(rng.uniform(2, 9), 1)
        given.append(("drawn", round(rng.uniform(0.05, 1), 2), round(target * rng.uniform(*bounds), 2), target,
                      int(rng.integers(20, 300)), float(rng.integers(2, 9) * 100)))
    return [Case(label, dict(zip(names, (beta * varied(seed)[0], *numbers)))) for label, beta, *numbers in given]


_NEXT, _RELATIVE = "What is the next β where the KL is on its target?", "In which units is the error?"
_KEPT = "By how much may one batch change β, in either direction?"


def _next_beta(g, error, bound, step, change):
    return change(g.beta, step(bound(error(g)), g))


BETA = Exercise(
    id="ppo.beta", notebook=NOTEBOOK, title="A coefficient that adjusts itself",
    function="next_beta", points=1, difficulty="easy", minutes=6,
    task="""A batch holds `replies` replies; its measured KL is `kl`, and it should be `target`, both in nats
per reply (`kl` is an estimate and may be negative). Return the next KL coefficient, β·(1 + e·replies/horizon),
where e is kl/target − 1, clipped to ±0.2. All five arguments are plain numbers, floats or ints.""",
    hints=("Above the target β must rise.", "First the relative error, then its bounds, then the step."),
    cases=_beta_cases,
    reference=lambda b, kl, target, n, h: adapted_beta(b, kl, target=target, horizon=h, responses=n),
    refuses=("tokens.adapted_beta",),
    compose=_next_beta,
    slots=(
        Slot("error", lambda g: g.kl / g.target - 1, (
            Choice("an error in nats", _RELATIVE, lambda g: g.kl - g.target),
            Choice("a ratio upside down", "Which of the two is the numerator?", lambda g: g.target / g.kl - 1),
            Choice("an error with its sign turned: β falls where the KL is too high",
                   "Should β rise or fall where the KL is too high?", lambda g: 1 - g.kl / g.target),
            Choice("a ratio without its −1", "What is the error where the KL is on its target?",
                   lambda g: g.kl / g.target),
            Choice("a logarithm of the ratio", "What of a measured KL below 0?",
                   lambda g: np.log(np.float64(g.kl / g.target))),
            Choice("an error relative to the measured KL", "By what is the difference divided?",
                   lambda g: (g.kl - g.target) / g.kl),
            Choice("an error without its sign", "Should β also fall?", lambda g: abs(g.kl / g.target - 1)))),
        Slot("bound", lambda e: np.clip(e, -0.2, 0.2), (
            Choice("an error that is not kept within bounds", _KEPT, lambda e: e),
            Choice("an error bounded above only", _KEPT, lambda e: np.minimum(e, 0.2)),
            Choice("an error bounded below only", _KEPT, lambda e: np.maximum(e, -0.2)),
            Choice("an error kept above 0", "Should β also fall?", lambda e: np.clip(e, 0.0, 0.2)),
            Choice("an error that is always 0.2 in size", "What of an error that is smaller?",
                   lambda e: 0.2 * np.sign(e)),
            Choice("an error kept within ±1", _KEPT, lambda e: np.clip(e, -1.0, 1.0)),
            Choice("an error kept within 0.8 and 1.2", "What is kept within bounds: the ratio, or the error?",
                   lambda e: np.clip(e, 0.8, 1.2)))),
        Slot("step", lambda e, g: e * g.replies / g.horizon, (
            Choice("a step that ignores replies and horizon", FIXED, lambda e, g: e),
            Choice("a step that ignores the number of replies", FIXED, lambda e, g: e / g.horizon),
            Choice("a step that ignores the horizon", FIXED, lambda e, g: e * g.replies),
            Choice("a step with replies and horizon exchanged",
                   "Should a larger batch take a larger step, or a smaller one?",
                   lambda e, g: e * g.horizon / g.replies))),
        Slot("change", lambda beta, step: beta * (1 + step), (
            Choice("a step that is added to β, not multiplied", "Is a step of 0.01 large? For which β?",
                   lambda beta, step: beta + step),
            Choice("an exponential form", "Is the formula a product or a power?",
                   lambda beta, step: beta * np.exp(step)),
            Choice("β times the step, without the 1", _NEXT, lambda beta, step: beta * step),
            Choice("the factor without β", _NEXT, lambda beta, step: 1 + step),
            Choice("a β divided by the factor", "Should β rise or fall where the KL is too high?",
                   lambda beta, step: beta / (1 + step)))),
    ),
    misconceptions=(
        Misconception("a power in the place of the product", "Is the formula a product or a power?",
                      lambda b, kl, t, n, h: b * (1 + np.clip(kl / t - 1, -0.2, 0.2)) ** (n / h)),
        Misconception("a bound on the step in the place of one on the error", "What is kept within ±0.2?",
                      lambda b, kl, t, n, h: b * (1 + np.clip((kl / t - 1) * n / h, -0.2, 0.2))),
    ))


_UPDATES = (("replies of 2 and 3 tokens", [2, 3], 3, (CUT,)), ("NaN at the padding", [3, 1], 4, (NAN, ONE)),
            ("all cut at the length limit", [2, 2], 2, (CUT,)), ("one reply of four tokens", [4], 5, ()),
            ("three replies, λ = 0", [1, 2, 1], 2, (ONE, CUT)), ("drawn lengths", [None, 2], 4, ()))


def _update_cases(seed):
    rng = np.random.default_rng(seed + 4)
    return [Case(label, dict(scores=drawn_scores(rng, len(mask)), kl=arrays["kl"] + 0.2, values=arrays["values"],
                             mask=mask, beta=beta, lam=lam), facts)
            for (label, facts, mask, arrays), beta, lam in zip(
                batches(seed, "kl", "values", table=_UPDATES), (0.2, 0.5, 0.1, 0.3, 0.4, 0.25),
                (0.8, 0.95, 0.7, 1.0, 0.0, 0.9))]


def _learnt_from(scores, kl, values, mask, beta, lam):
    steps = token_steps(token_rewards(scores, kl, mask, beta=beta), values, mask)
    advantages = gae(*steps, gamma=1.0, lam=lam)
    real = advantages[mask]
    return np.array([np.where(mask, (advantages - real.mean()) / real.std(ddof=1), 0.0),
                     np.where(mask, advantages + steps.values, 0.0)])


def _next(values):
    following = np.zeros(values.shape)
    following[:, :-1] = values[:, 1:]
    return following


def _lasts(mask):
    last = mask.copy()
    last[:, :-1] &= ~mask[:, 1:]
    return last


def _assembled(g, estimate, beta, charge, end, future, gamma, lam, target, arrange, **parts):
    """One update's numbers from their parts; GAE runs backwards over the columns."""
    rewards = charge(beta(g) * estimate(g.kl), g.mask) + end(g.mask) * g.scores[:, None]
    values, last = np.where(g.mask, g.values, 0.0), _lasts(g.mask)
    deltas = np.where(g.mask, rewards + gamma(g) * future(g, values, last) - values, 0.0)
    advantages = np.array([sum_back(d, end, gamma(g) * lam(g)) for d, end in zip(deltas, last)])
    white = standardised(advantages, g.mask, **parts)
    return arrange(np.array([white, target(g, advantages, values, white, rewards)]))


def _kept(slot, *names):
    """A slot with the choices of these names alone."""
    assert set(names) <= {choice.name for choice in slot.wrong}
    return slot._replace(wrong=tuple(choice for choice in slot.wrong if choice.name in names))


def _leaking(scores, kl, values, mask, beta, lam):
    """Whatever is at the padding counts as values, up to the last column."""
    every = np.ones_like(mask)
    steps = token_steps(token_rewards(scores, kl, mask, beta=beta), values, every)
    advantages = gae(*steps, gamma=1.0, lam=lam)
    return np.array([standardised(advantages, mask, *(slot.right for slot in (OVER, COUNTED, CENTRE, SCALE, REST))),
                     np.where(mask, advantages + values, 0.0)])


_UNITS, _AGAINST = "In which units must the critic learn?", "What is an advantage measured against?"
_AFTER = "What is still to come after the last real token?"

UPDATE = Exercise(
    id="ppo.update", notebook=NOTEBOOK, title="Everything one update needs",
    function="what_to_learn_from", points=3, difficulty="hard", minutes=20,
    task="""Put it together. You get `scores`, `(B,)`, and `kl` (the k1 estimates), `values` and `mask`,
`(B, R)` each. Replies are padded on the right; at padding, `kl` and `values` may hold anything, even NaN. `beta`
and `lam` are numbers; γ = 1. Return an array `(2, B, R)`. The first half holds the advantages: GAE on the token
rewards, where each reply is an episode that ends with its last real token, standardised over the real tokens of
the batch (mean 0, standard deviation 1, computed with N − 1; an ε of up to 1e-8 added to the deviation is
accepted). The second half holds the critic's targets. Both are 0 at padding. You may use the library's
`token_rewards(scores, kl, mask, beta=…)`, `token_steps(rewards, values, mask)` and `gae(*steps, gamma=…, lam=…)`,
and you may modify the arrays.""",
    hints=("`token_rewards` makes the rewards of each token, `token_steps` episodes of them; `gae(*steps, ...)` "
           "takes those.",
           "The targets are advantages + values. Which advantages: before they are standardised, or after?"),
    cases=_update_cases, reference=_learnt_from, compose=_assembled,
    slots=(
        Slot("estimate", lambda kl: kl, (KL_SIGN, KL_SIZE)),
        Slot("beta", lambda g: g.beta, (
            Choice("a KL penalty without β", "How is a nat turned into reward?", lambda g: 1.0),
            Choice("a β fixed at 0.1", FIXED, lambda g: 0.1),
            Choice("an answer without the KL penalty", "What does it cost to leave the reference?",
                   lambda g: 0.0))),
        _kept(CHARGE, "a last token without its KL penalty",
              "the KL of the whole reply charged at its last token"),
        _kept(END, "a score in the last column", "a score on every token", "a score one token before the last",
              "a score at the first token", "a score divided among the tokens of its reply",
              "an answer without the scores of replies that the length limit cut"),
        Slot("future", lambda g, values, last: np.where(last, 0.0, _next(values)), (
            Choice("a bootstrap after the last token", _AFTER,
                   lambda g, values, last: np.where(last, values, _next(values))),
            Choice("a value read from the padding", _AFTER, lambda g, values, last: _next(g.values)),
            Choice("a δ without the next value", "What is expected after the token?",
                   lambda g, values, last: 0.0))),
        Slot("gamma", lambda g: 1.0, (
            Choice("a discount where γ = 1", "What is γ in this exercise?", lambda g: 0.99),
            Choice("a discount where γ = 1", "What is γ in this exercise?", lambda g: 0.95))),
        Slot("lam", lambda g: g.lam, (
            Choice("a λ fixed at 0.95", FIXED, lambda g: 0.95),
            Choice("a trace without λ, which is Monte Carlo", "What does λ do to a later δ?", lambda g: 1.0),
            Choice("the TD error alone", "What of the surprises that follow?", lambda g: 0.0))),
        _kept(COUNTED, "a mean and a deviation that count the padding as zeros"),
        _kept(OVER, "each reply standardised on its own"),
        _kept(CENTRE, "scaling without shifting"),
        _kept(SCALE, "the standard deviation of a whole population", "shifting without scaling",
              "the variance in the place of the standard deviation"),
        _kept(REST, "an answer with other numbers than 0 at the padding"),
        Slot("target", lambda g, a, v, white, r: np.where(g.mask, a + v, 0.0), (
            Choice("a target made from standardised advantages", _UNITS,
                   lambda g, a, v, white, r: np.where(g.mask, white + v, 0.0)),
            Choice("the advantages as their own target", _AGAINST, lambda g, a, v, white, r: a),
            Choice("the old values as the target", "What did the replies teach the critic?",
                   lambda g, a, v, white, r: v),
            Choice("a target with the advantages taken away from the values",
                   "If it went better than V, where should V move?",
                   lambda g, a, v, white, r: np.where(g.mask, v - a, 0.0)),
            Choice("the sum of the rewards to come as the target, which is λ = 1",
                   "Which λ do the critic's targets have?",
                   lambda g, a, v, white, r: np.where(
                       g.mask, np.cumsum(np.where(g.mask, r, 0.0)[:, ::-1], 1)[:, ::-1], 0.0)),
            Choice("targets without a mask", "What is wanted at the padding of the targets?",
                   lambda g, a, v, white, r: a + g.values))),
        Slot("arrange", lambda both: both, (
            Choice("the two arrays in the other order", "Which of the two comes first?",
                   lambda both: both[::-1]),)),
    ),
    misconceptions=(
        Misconception("advantages that are not standardised", "What are their mean and their deviation?",
                      lambda *a: np.array([_raw(*a), _learnt_from(*a)[1]])),
        Misconception("credit that leaks in from the padding", _AFTER, _leaking),
        Misconception("credit that leaks in from the padding", _AFTER,
                      lambda s, kl, v, *a: _leaking(s, kl, np.nan_to_num(v), *a)),
    ))


def _raw(scores, kl, values, mask, beta, lam):
    return _learnt_from(scores, kl, values, mask, beta, lam)[1] - np.where(mask, values, 0.0)


@cache
def _histories():
    """{bug: {"shown" or "held out": [dict of series over 30 updates]}}: real runs, by experiments/bugs.py."""
    kinds = json.loads((Path(__file__).parent / "histories.json").read_text())
    return {bug: {kind: [{name: np.array(series) for name, series in run.items()} for run in runs]
                  for kind, runs in of_bug.items()} for bug, of_bug in kinds.items()}


def _clear(bug, run):
    """Whether what tells a run apart does so beyond doubt, as the task says: some faults have not shown yet."""
    kl, explained = run["kl"], run["explained_variance"][-1]
    if kl.min() < 0:
        doubt = kl.min() >= -2
    elif kl[-1] >= 3:
        doubt = kl[-1] <= 5 or 50 <= kl[-1] <= 100
    else:
        doubt = 0.1 <= explained <= 0.2
    return not doubt and _diagnose(**run) == bug


def _diagnosis_cases(seed):
    """Three runs of each kind, of the seeds that the chapter shows or of others, at six updates: two are looked at
    early and at the end, one at any time."""
    rng, cases = np.random.default_rng(seed), []
    for bug, runs in _histories().items():
        runs, found = runs["held out" if seed else "shown"], []
        for k in rng.permutation(len(runs)).tolist() * 20:
            later = np.arange(2, 5) if len(found) < 2 else np.sort(rng.choice(np.arange(2, 25), 3, replace=False))
            updates = [0, 1, *later, rng.integers(25, 30)]
            run = {name: series[updates] for name, series in runs[k].items()}
            if len(found) < 3 and _clear(bug, run):
                found.append(run)
        cases += found
    return [Case(f"run {chr(65 + i)}", cases[k]) for i, k in enumerate(rng.permutation(len(cases)))]


def _diagnose(kl, clip_fraction, explained_variance, proxy, length):
    if kl.min() < -1:
        return "logits off by one"
    if kl[-1] > 4:
        return "sign of the KL penalty" if kl[-1] > 75 else "no KL penalty"
    return "score in the last column" if explained_variance[-1] < 0.15 else "none"


def _kinds(g):
    return "sign of the KL penalty" if g.kl[-1] > 75 else "no KL penalty"


def _rule(negative=lambda g: g.kl.min() < -1, large=lambda g: g.kl[-1] > 4, kind=_kinds,
          lost=lambda g: g.explained_variance[-1] < 0.15):
    """A diagnosis by questions that are asked one after the other."""
    def diagnosis(g):
        if negative(g):
            return "logits off by one"
        return kind(g) if large(g) else "score in the last column" if lost(g) else "none"
    return diagnosis


_OFTEN = "Which two faults let the KL grow beyond that of a healthy run, and how far does each of them go?"
_HEALTH = "What is the explained variance of a healthy critic at the start, and at the end?"

DIAGNOSIS = Exercise(
    id="ppo.diagnosis", notebook=NOTEBOOK, title="What is wrong with this run?",
    function="diagnose", points=3, difficulty="hard", minutes=20,
    task="""You see five measures of somebody's run at six of its 30 updates, in order, `(6,)` each: at the
first, at four in between, and at one of the last five. The measures are `kl` (mean, nats per reply),
`clip_fraction`, `explained_variance`, `proxy` (mean score) and `length` (tokens); never gold. Return what is
wrong with the run, one of `"none"`, `"logits off by one"`, `"sign of the KL penalty"`, `"no KL penalty"`,
`"score in the last column"`. The catalogue and the figure above show the fingerprints. The runs used for grading
have seeds that this chapter does not show, but none is a borderline case: if the KL is ever negative, it falls
below −2; the last KL is below 3, between 5 and 50, or above 100; and where the KL is inconspicuous, the last
explained variance is below 0.1 or above 0.2.""",
    hints=("Which fault makes a mean KL clearly negative? Which two let it grow, and how far does each of them go?",
           "Where the score is lost, the critic has nothing to explain. When in a run can you see that?"),
    cases=_diagnosis_cases, reference=_diagnose, compose=lambda g, rule: rule(g),
    slots=(
        Slot("rule", _rule(), (  # one slot: two wrong rules together often give what one of them gives
            Choice("a rule that does not see a negative KL", "Can a mean KL be below 0?",
                   _rule(negative=lambda g: False)),
            Choice("a rule that takes every low score for shifted logits",
                   "Which other faults keep the score low?", _rule(negative=lambda g: g.proxy[-1] < 0.5)),
            Choice("a rule that does not see a large KL", _OFTEN, _rule(large=lambda g: False)),
            Choice("a bound on the KL that healthy runs exceed", "How large is the KL of a healthy run?",
                   _rule(large=lambda g: g.kl[-1] > 0.1)),
            Choice("a rule that sees a KL in the hundreds alone",
                   "How large does the KL become in 30 updates without a penalty?",
                   _rule(large=lambda g: g.kl[-1] > 75)),
            Choice("one diagnosis, a missing penalty, for every large KL", _OFTEN,
                   _rule(kind=lambda g: "no KL penalty")),
            Choice("one diagnosis, a wrong sign, for every large KL", _OFTEN,
                   _rule(kind=lambda g: "sign of the KL penalty")),
            Choice("an exchange of the two kinds of a large KL", _OFTEN,
                   _rule(kind=lambda g: "no KL penalty" if g.kl[-1] > 75 else "sign of the KL penalty")),
            Choice("a rule that takes a lost score for health",
                   "What does a critic explain that never sees a score?", _rule(lost=lambda g: False)),
            Choice("a rule that takes health for a lost score", _HEALTH, _rule(lost=lambda g: True)),
            Choice("a rule that takes health for a lost score", _HEALTH,
                   _rule(lost=lambda g: g.explained_variance[0] < 0.15)),
            Choice("an exchange of health and a lost score", _HEALTH,
                   _rule(lost=lambda g: g.explained_variance[-1] >= 0.15)),
            Choice("a rule that looks at the critic before the KL",
                   "In which other runs does the critic explain nothing at the end?",
                   lambda g: "score in the last column" if g.kl.min() >= -1 and g.explained_variance[-1] < 0.15
                   else _rule()(g)),
            Choice("a diagnosis by the proxy alone",
                   "What does the proxy do in a healthy run, and what in a hacked one?",
                   lambda g: "none" if g.proxy[-1] > g.proxy[0] + 0.5 else "logits off by one"))),
    ))

EXERCISES = (LOGPROBS, KL, POLICY, VALUE, BETA, UPDATE, DIAGNOSIS)
