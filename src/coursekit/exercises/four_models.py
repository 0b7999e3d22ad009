"""Exercises of chapter 5: the formulas of one PPO update, each with the slips that are made in it."""

import numpy as np

from coursekit.advantages import gae
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot
from coursekit.tokens import adapted_beta, kl_estimates, token_rewards, token_steps

NOTEBOOK = "05_four_models"


def _log_softmax(x):
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def _taken(table, tokens):
    return np.take_along_axis(table, tokens[:, None], 1)[:, 0]


def _logit_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case(label, dict(logits=rng.normal(0, 2, (steps, 3)).round(1), tokens=tokens))
            for label, steps, tokens in (("three tokens", 3, np.array([0, 2, 1])),
                                         ("the same word again", 4, np.array([1, 1, 0, 1])),
                                         ("two tokens", 2, np.array([2, 0])))]


LOGPROBS = Exercise(
    id="ppo.logprobs", notebook=NOTEBOOK, title="Which logits belong to which token?",
    function="aligned_logprobs", points=2, difficulty="medium", minutes=8,
    task="""A language model has read `tokens`, `(T,)`, ints, and returned `logits`, `(T, V)`: row t, computed
from tokens 0 … t, says what it expects *next*. Return the log-probabilities of tokens 1 … T − 1, `(T − 1,)`.""",
    hints=("Token t + 1 is predicted by row t.", "`log_softmax(logits[:-1])`, then pick column `tokens[1:]`."),
    cases=_logit_cases, reference=lambda z, t: _taken(_log_softmax(z)[:-1], t[1:]),
    misconceptions=(
        Misconception("log-probabilities off by one: row t for token t", "Row t has already seen token t.",
                      lambda z, t: _taken(_log_softmax(z)[1:], t[1:])),
        Misconception("the wrong tokens: those that were read, not those that followed", "What comes after row t?",
                      lambda z, t: _taken(_log_softmax(z)[:-1], t[:-1])),
        Misconception("probabilities, not their logarithms", "Take the log.",
                      lambda z, t: np.exp(_taken(_log_softmax(z)[:-1], t[1:]))),
        Misconception("raw logits", "They are no log-probabilities before a softmax.",
                      lambda z, t: _taken(z[:-1], t[1:])),
        Misconception("a softmax over time", "The words compete at each position: the last axis.",
                      lambda z, t: _taken(_log_softmax(z[:-1].T).T, t[1:])),
    ))


def _logprob_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case(label, dict(logprobs=a, ref_logprobs=b)) for label, a, b in (
        ("three tokens", np.array([-1.0, -2.0, -0.5]), np.array([-1.5, -1.0, -0.5])),
        ("random tokens", -rng.uniform(0.1, 3, 4).round(2), -rng.uniform(0.1, 3, 4).round(2)))]


def _three(d):
    return np.array([d, d**2 / 2, np.expm1(-d) + d])


KL = Exercise(
    id="ppo.kl", notebook=NOTEBOOK, title="Three estimates of one KL",
    function="kl_three_ways", points=2, difficulty="medium", minutes=8,
    task="""For T tokens sampled from the policy you have `logprobs` and `ref_logprobs`, `(T,)` each. Return the
estimates k1, k2 and k3 of KL(policy‖reference) at each token, `(3, T)`, with d = logprobs − ref_logprobs: k1 =
d, k2 = d²/2, k3 = e^(−d) − 1 + d.""",
    hints=("e^(−d) is the reference's probability over the policy's.",
           "`np.array([d, d**2 / 2, np.exp(-d) - 1 + d])`"),
    cases=_logprob_cases,
    reference=lambda a, b: np.array([kl_estimates(a, b, kind=kind) for kind in ("k1", "k2", "k3")]),
    refuses=("tokens.kl_estimates",),
    misconceptions=(
        Misconception("the KL of the reference from the policy: the ratio upside down", "Who sampled the tokens?",
                      lambda a, b: _three(b - a)),
        Misconception("k3 with the ratio upside down", "e^(−d), with d = policy − reference.",
                      lambda a, b: np.array([a - b, (a - b) ** 2 / 2, np.expm1(a - b) - (a - b)])),
        Misconception("a k1 made positive", "One token's k1 may be negative; its mean is not.",
                      lambda a, b: np.array([abs(a - b), (a - b) ** 2 / 2, np.expm1(b - a) + a - b])),
        Misconception("k2 without its half", "d²/2.",
                      lambda a, b: np.array([a - b, (a - b) ** 2, np.expm1(b - a) + a - b])),
        Misconception("differences of probabilities", "d is a difference of logs.",
                      lambda a, b: _three(np.exp(a) - np.exp(b))),
    ))


def _clip_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, ratios, advantages, clip, old=None):
        old = rng.uniform(-2, -0.5, len(ratios)).round(2) if old is None else old
        return Case(label, dict(logprobs=(np.log(ratios) + old).round(3), old_logprobs=old,
                                advantages=np.array(advantages), clip=clip))

    return [case("inside and outside the clip, good steps and bad ones", [1.05, 1.6, 0.5, 1.4, 0.6],
                 [1.0, 2.0, 1.5, -1.0, -3.0], 0.2),
            case("a smaller ε", [1.15, 0.85, 1.3, 0.95], [2.0, 1.0, -1.0, -0.5], 0.1),
            case("a bad step that has become four times as likely", [4.0, 0.9], [-1.0, 0.5], 0.2),
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
    task="""`logprobs`, `old_logprobs`, `advantages`: `(N,)` each; `clip`: ε. Return PPO's loss, one number:
−mean(min(ρ·Â, clip(ρ, 1 − ε, 1 + ε)·Â)) with ρ the probability now over the probability when sampled.""",
    hints=("ρ = exp(logprobs − old_logprobs).", "Compare the two products step by step: `np.minimum`."),
    cases=_clip_cases, reference=_pessimistic, compose=_clipped_loss,
    refuses=("ppo.clipped_policy_loss",),
    slots=(
        Slot("ratio", lambda g: np.exp(g.logprobs - g.old_logprobs), (
            Choice("a ratio upside down", "Which of the two probabilities stands above the line?",
                   lambda g: np.exp(g.old_logprobs - g.logprobs)),
            Choice("a difference of logarithms in the place of the ratio",
                   "What is the ratio of equal probabilities?",
                   lambda g: g.logprobs - g.old_logprobs),
            Choice("a ratio of logarithms", "What are you given: probabilities, or their logarithms?",
                   lambda g: g.logprobs / g.old_logprobs))),
        Slot("bounded", lambda g, ratios: np.clip(ratios, 1 - g.clip, 1 + g.clip), (
            Choice("a clip to ±ε", "Around which ratio is nothing changed?",
                   lambda g, ratios: np.clip(ratios, -g.clip, g.clip)),
            Choice("a clip on the upper side only", "May a ratio fall as far as it likes?",
                   lambda g, ratios: np.minimum(ratios, 1 + g.clip)),
            Choice("a clip at a fixed ε of 0.2", "Is every argument used?",
                   lambda g, ratios: np.clip(ratios, 0.8, 1.2)),
            Choice("a lower bound of 1/(1 + ε)", "How far below 1 may a ratio go?",
                   lambda g, ratios: np.clip(ratios, 1 / (1 + g.clip), 1 + g.clip)))),
        Slot("choose", lambda r, c, a: np.minimum(r * a, c * a), (
            Choice("a loss without the clip", "What keeps the policy near the old one?", lambda r, c, a: r * a),
            Choice("the clipped product alone", "What undoes a bad step that has become likelier?",
                   lambda r, c, a: c * a),
            Choice("the larger of the two products", "Is PPO optimistic or pessimistic?",
                   lambda r, c, a: np.maximum(r * a, c * a)),
            Choice("the smaller ratio times the advantage", "Which is smaller, where the advantage is negative?",
                   lambda r, c, a: np.minimum(r, c) * a),
            Choice("a second clip, at three times the advantage, for bad steps",
                   "Does the formula have a third part?",
                   lambda r, c, a: np.where(a < 0, np.maximum(np.minimum(r * a, c * a), 3 * a),
                                            np.minimum(r * a, c * a))))),
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
    return [Case("four moves", dict(values=np.array([1.0, 1.1, 2.0, 0.0]), old_values=np.ones(4),
                                    returns=np.full(4, 4.0), clip=0.2)),
            *[Case("random", dict(values=rng.normal(0, 1, 5).round(1), old_values=rng.normal(0, 1, 5).round(1),
                                  returns=rng.normal(0, 1, 5).round(1), clip=0.3)) for _ in range(3)]]


def _value(v, old, g, eps, *, choose=np.maximum, half=0.5):
    return half * choose((v - g) ** 2, (old + np.clip(v - old, -eps, eps) - g) ** 2).mean()


VALUE = Exercise(
    id="ppo.value_loss", notebook=NOTEBOOK, title="The clipped value loss",
    function="clipped_value_loss", points=1, difficulty="medium", minutes=8,
    task="""`values` (now), `old_values` (at collection), `returns` (targets): `(N,)` each; `clip`: ε. Return
½·mean(max((V − G)², (V_clipped − G)²)), where V_clipped moves at most ε from the old value. One number.""",
    hints=("V_clipped = old + clip(V − old, −ε, ε).", "The larger error counts: `np.maximum`, step by step."),
    cases=_value_cases, reference=_value,
    refuses=("ppo.clipped_value_loss",),
    misconceptions=(
        Misconception("the smaller error", "The larger of the two counts.",
                      lambda v, o, g, e: _value(v, o, g, e, choose=np.minimum)),
        Misconception("the plain squared error", "Where is the clip?",
                      lambda v, o, g, e: 0.5 * ((v - g) ** 2).mean()),
        Misconception("a clip of the error", "V may move ε from what it *was*.",
                      lambda v, o, g, e: 0.5 * (np.clip(v - g, -e, e) ** 2).mean()),
        Misconception("a loss without its half", "½.", lambda v, o, g, e: _value(v, o, g, e, half=1.0)),
        Misconception("the clipped error alone", "The larger of the two counts.",
                      lambda v, o, g, e: _value(v, o, g, e, choose=lambda a, b: b)),
    ))


def _beta_cases(seed):
    rng = np.random.default_rng(seed)
    wild = dict(beta=round(rng.uniform(0.01, 1), 2), kl=round(rng.uniform(4, 9), 1),
                target=round(rng.uniform(3, 8), 1), replies=int(rng.integers(8, 200)), horizon=2000.0)
    return [*[Case(label, dict(beta=0.1, kl=kl, target=6.0, replies=64, horizon=1000.0))
              for label, kl in (("a little above", 6.6), ("far above", 60.0), ("below", 1.0))],
            Case("other numbers", wild)]


BETA = Exercise(
    id="ppo.beta", notebook=NOTEBOOK, title="A price that finds itself",
    function="next_beta", points=1, difficulty="easy", minutes=6,
    task="""The measured `kl` of a batch of `replies` replies should come to `target` (nats a reply). Return the
next price: β·(1 + e·replies/horizon), with the error e = kl/target − 1, kept within ±0.2.""",
    hints=("Above the target β must rise.", "`np.clip(kl / target - 1, -0.2, 0.2)`"),
    cases=lambda seed: _beta_cases(seed),
    reference=lambda b, kl, target, n, h: adapted_beta(b, kl, target=target, horizon=h, responses=n),
    refuses=("tokens.adapted_beta",),
    misconceptions=(
        Misconception("an error that is not kept within bounds", "One wild batch must not change β tenfold.",
                      lambda b, kl, t, n, h: b * (1 + (kl / t - 1) * n / h)),
        Misconception("a price that falls when the KL is too high", "Too far away: dearer.",
                      lambda b, kl, t, n, h: b * (1 - np.clip(kl / t - 1, -0.2, 0.2) * n / h)),
        Misconception("an error in nats", "Relative to the target.",
                      lambda b, kl, t, n, h: b * (1 + np.clip(kl - t, -0.2, 0.2) * n / h)),
        Misconception("a step that ignores the horizon", "e·replies/horizon.",
                      lambda b, kl, t, n, h: b * (1 + np.clip(kl / t - 1, -0.2, 0.2))),
        Misconception("a change that is added, not multiplied", "β scales.",
                      lambda b, kl, t, n, h: b + np.clip(kl / t - 1, -0.2, 0.2) * n / h),
    ))


def _update_cases(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for label, lengths in (("one reply of three tokens", [3]), ("replies of 2 and 4 tokens", [2, 4]),
                           ("three replies", [4, 1, 3])):
        mask = np.arange(4) < np.array(lengths)[:, None]
        cases.append(Case(label, dict(scores=rng.normal(0, 1, len(mask)).round(1),
                                      kl=rng.normal(0.2, 0.3, mask.shape).round(2),
                                      values=rng.normal(0, 1, mask.shape).round(1), mask=mask,
                                      beta=0.1, lam=float(rng.choice([0.8, 0.95])))))
    return cases


def _assembled(scores, kl, values, mask, beta, lam, *, gamma=1.0, price=1.0, targets=lambda a, v, w: a + v,
               everywhere=False):
    rewards = token_rewards(scores, price * kl, mask, beta=beta)
    steps = token_steps(rewards, values, mask)
    advantages = gae(*steps, gamma=gamma, lam=lam)
    kept = np.ones_like(mask) if everywhere else mask
    white = np.where(mask, (advantages - advantages[kept].mean()) / advantages[kept].std(ddof=1), 0.0)
    return np.array([white, np.where(mask, targets(advantages, steps.values, white), 0.0)])


UPDATE = Exercise(
    id="ppo.update", notebook=NOTEBOOK, title="Everything one update needs",
    function="what_to_learn_from", points=3, difficulty="hard", minutes=20,
    task="""Put it together. `scores`, `(B,)`; `kl`, the k1 estimates, `values` and `mask`, `(B, R)` each,
padded on the right; `beta`, `lam`; γ = 1. Return an array `(2, B, R)`: the advantages (GAE on the token
rewards, each reply an episode), whitened over the real tokens of the batch (N − 1), and the critic's targets.
Both are 0 at padding. You may use `gae`, `token_rewards` and `token_steps` of the library.""",
    hints=("`token_steps(token_rewards(scores, kl, mask, beta=beta), values, mask)`, then `gae(*steps, ...)`.",
           "The targets are advantages + values, from the advantages *before* they are whitened."),
    cases=_update_cases, reference=_assembled,
    misconceptions=(
        Misconception("targets made from whitened advantages", "A critic learns in units of reward.",
                      lambda *a: _assembled(*a, targets=lambda adv, v, white: white + v)),
        Misconception("whitening with the padding", "Mean and deviation are those of real tokens.",
                      lambda *a: _assembled(*a, everywhere=True)),
        Misconception("rewards without the price of KL", "Every token pays −β·k1.",
                      lambda *a: _assembled(*a, price=0.0)),
        Misconception("a KL bonus", "Leaving the reference costs.", lambda *a: _assembled(*a, price=-1.0)),
        Misconception("a discounted answer", "γ = 1.", lambda *a: _assembled(*a, gamma=0.9)),
        Misconception("targets that are the advantages", "The critic predicts what is still to come: add V.",
                      lambda *a: _assembled(*a, targets=lambda adv, v, white: adv)),
    ))

EXERCISES = (LOGPROBS, KL, POLICY, VALUE, BETA, UPDATE)
