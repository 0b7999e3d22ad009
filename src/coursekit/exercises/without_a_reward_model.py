"""Exercises of chapter 7: the reward inside a policy and the losses made of it, then what else may stand in for a
reward model (several of them, a program that checks), old replies, and how to pay for progress."""

import re

import numpy as np

from coursekit.exercises.base import Case, Choice, Exercise, Slot, varied
from coursekit.exercises.slots import MULTIPLIED

NOTEBOOK = "07_without_a_reward_model"
FIXED = "Is every argument used?"
NAN, ONE = "with NaN at the padding", "with a reply of one token"
_MANY = "How many numbers are wanted?"


def _sigmoid(x):
    return np.exp(-np.logaddexp(0, -x))


# What a reply is worth under its policy.

def _token_cases(seed):
    rng = np.random.default_rng(seed)
    cases = []
    for label, lengths, width, beta, facts in (
            ("a short and a long reply", (2, 5), 5, 0.5, ()), ("NaN at the padding", (3, 1), 4, 2.0, (NAN, ONE)),
            ("one reply", (3,), 3, 0.1, ()), ("a batch padded beyond its longest reply", (2, 3, 4), 5, 0.3, ()),
            ("a reply of one token", (1, 4), 4, 1.5, (ONE,))):
        mask = np.arange(width) < np.reshape(lengths, (-1, 1))
        now, ref = (-rng.uniform(0.1, 3, (2, *mask.shape))).round(2)
        if NAN in facts:
            now, ref = np.where(mask, now, np.nan), np.where(mask, ref, np.nan)
        cases.append(Case(label, dict(logprobs=now, ref_logprobs=ref, mask=mask, beta=beta), facts))
    return cases


_WHOLE = "How is the probability of a reply made of those of its tokens?"
_NATS = "The policy is the reference times e^(r/β), up to a constant of the prompt: what is r?"

IMPLICIT = Exercise(
    id="direct.implicit", notebook=NOTEBOOK, title="The reward inside a policy", function="implicit_reward",
    points=1, difficulty="easy", minutes=5,
    task="""Each of B replies has the log-probabilities of its tokens under the policy, `logprobs`, and under the
reference, `ref_logprobs`, `(B, R)`; `mask` is True at real tokens. What is given at padding may be anything, even
NaN. Return the implicit reward of each reply, `(B,)`: `beta` times the log-ratio of the whole reply's probabilities
under policy and reference.""",
    hints=("How is the log-probability of a whole reply made of those of its tokens?",
           "`np.where` replaces what is given at the padding; a product by the mask would keep a NaN."),
    cases=_token_cases,
    reference=lambda a, b, mask, beta: np.array([beta * (x[m].sum() - y[m].sum()) for x, y, m in zip(a, b, mask)]),
    refuses=("direct.implicit_rewards",),
    compose=lambda g, ratio, real, total, unit: unit(g, total(real(ratio(g.logprobs, g.ref_logprobs), g.mask),
                                                              g.mask)),
    slots=(
        Slot("ratio", lambda a, b: a - b, (
            Choice("the ratio upside down", "Is a reply rewarded that the policy made more probable?",
                   lambda a, b: b - a),
            Choice("a policy without its reference", "Is a probable reply always one that was rewarded?",
                   lambda a, b: a),
            Choice("a reference without its policy", "What did training change?", lambda a, b: b),
            Choice("a sum of the two log-probabilities",
                   "What is the reward of a policy that equals its reference?", lambda a, b: a + b),
            Choice("a difference of probabilities", "Of what is a log-ratio the difference?",
                   lambda a, b: np.exp(a) - np.exp(b)),
            Choice("a ratio of probabilities in the place of its logarithm",
                   "What is the reward of a policy that equals its reference?", lambda a, b: np.exp(a - b)),
            Choice("a ratio of log-probabilities", "Of what is a log-ratio the difference?", lambda a, b: a / b))),
        Slot("real", lambda d, mask: np.where(mask, d, 0.0), (
            Choice("a sum that counts the padding", "Which tokens did the policy write?", lambda d, mask: d),
            Choice(*MULTIPLIED, lambda d, mask: d * mask),
            Choice("a sum over the padding alone", "Where is the mask True?",
                   lambda d, mask: np.where(mask, 0.0, d)),
            Choice("a sum without the last real token", "Is the end of a reply written as well?",
                   lambda d, mask: np.where(mask & np.append(mask[:, 1:], 0 * mask[:, :1] > 0, 1), d, 0.0)),
            Choice("a sum without the first token", "Which tokens did the policy write?",
                   lambda d, mask: np.where(mask & (np.arange(mask.shape[1]) > 0), d, 0.0)))),
        Slot("total", lambda d, mask: d.sum(-1), (
            Choice("a mean over the tokens of a reply", _WHOLE, lambda d, mask: d.sum(-1) / mask.sum(-1)),
            Choice("a mean over the columns", _WHOLE, lambda d, mask: d.mean(-1)),
            Choice("a reward for each token", _MANY, lambda d, mask: d),
            Choice("a reward for each position, over the replies", "Which axis holds the tokens of one reply?",
                   lambda d, mask: d.sum(0)),
            Choice("one reward for the whole batch", _MANY, lambda d, mask: d.sum()),
            Choice("the mean over the batch", _MANY, lambda d, mask: d.sum(-1).mean()),
            Choice("the largest token in the place of the sum", _WHOLE, lambda d, mask: d.max(-1)),
            Choice("a product over the tokens", _WHOLE, lambda d, mask: np.where(mask, d, 1.0).prod(-1)),
            Choice("the absolute size of a log-ratio", "May a reward be negative?",
                   lambda d, mask: np.abs(d.sum(-1))))),
        Slot("unit", lambda g, total: g.beta * total, (
            Choice("a log-ratio without β", _NATS, lambda g, total: total),
            Choice("a log-ratio divided by β", _NATS, lambda g, total: total / g.beta),
            Choice("a β fixed at 0.1", FIXED, lambda g, total: 0.1 * total),
            Choice("a probability in the place of a reward", "Is a reward bounded by 0 and 1?",
                   lambda g, total: _sigmoid(g.beta * total)),
            Choice("the exponential of a reward", _NATS, lambda g, total: np.exp(g.beta * total)))),
    ))


# Losses on pairs. What the chosen reply's log-ratio leads by:

def _pair_cases(seed, unit="beta", far=True):
    rng = np.random.default_rng(seed)

    def case(label, chosen, rejected, ref_chosen, ref_rejected, size, *facts):
        arrays = dict(chosen=chosen, rejected=rejected, ref_chosen=ref_chosen, ref_rejected=ref_rejected)
        return Case(label, {name: np.array(x) for name, x in arrays.items()} | {unit: size}, facts)

    drawn = [(-rng.uniform(8, 20, (4, n))).round(1) for n in (3, 4)]
    cases = [case("two pairs", [-12.5, -18.0], [-16.0, -15.5], [-14.0, -16.5], [-15.0, -17.5], 0.3),
             case("both fell, the rejected one further", [-23.0], [-30.0], [-20.0], [-21.0], 0.1),
             *[case("drawn pairs", *x, size) for x, size in zip(drawn, (0.2, 0.6))],
             case("a policy that equals its reference", [-20.0, -31.0], [-25.0, -18.0], [-20.0, -31.0],
                  [-25.0, -18.0], 0.5)]
    if far:
        cases.append(case("log-ratios of a thousand nats", [-900.0, -20.0 * varied(seed)[0]], [-30.0, -2000.0],
                          [-35.0, -22.0], [-30.5, -18.0], 2.0, "with log-ratios far apart"))
    return cases


_START = "What is the loss of a policy that equals its reference, whatever the reference prefers?"
_BETTER = "Better than what?"

LEAD = Slot("lead", lambda c, r, rc, rr: (c - rc) - (r - rr), (
    Choice("a lead without the reference", _START, lambda c, r, rc, rr: c - r),
    Choice("the two replies exchanged", "Should the loss fall as the chosen reply becomes more probable?",
           lambda c, r, rc, rr: (r - rr) - (c - rc)),
    Choice("a lead of the chosen reply alone", _BETTER, lambda c, r, rc, rr: c - rc),
    Choice("a lead of the rejected reply alone", _BETTER, lambda c, r, rc, rr: rr - r),
    Choice("the reference's preference added, or the two references exchanged", _START,
           lambda c, r, rc, rr: (c + rc) - (r + rr)),
    Choice("the preference of the reference alone", "Which of the arguments does training change?",
           lambda c, r, rc, rr: rc - rr),
    Choice("a sum of both log-ratios", "What happens if both replies become more probable by the same factor?",
           lambda c, r, rc, rr: (c - rc) + (r - rr)),
    Choice("a size without a sign", "Does it matter which of the two replies gained more?",
           lambda c, r, rc, rr: np.abs((c - rc) - (r - rr))),
))

_INSIDE = "β is part of the reward: of what is σ taken?"
_CERTAIN = "Which function of Bradley and Terry turns a lead into a loss?"
_LOG = "Of what is the loss the logarithm?"
_OVERFLOW = ("a loss that overflows where the log-ratios are far apart",
             "What is e^1000 in floating point, and what is the logarithm of 0?")


def _lead(g):
    return g.chosen, g.rejected, g.ref_chosen, g.ref_rejected


def _dpo(c, r, rc, rr, beta):
    return np.logaddexp(0, beta * (r - rr) - beta * (c - rc)).mean()


DPO = Exercise(
    id="direct.dpo", notebook=NOTEBOOK, title="The loss of DPO", function="dpo_loss",
    points=2, difficulty="medium", minutes=8,
    task="""N pairs of replies have log-probabilities of the whole replies, `(N,)` each: `chosen` and `rejected`
under the policy, `ref_chosen` and `ref_rejected` under the reference. Return DPO's loss, one number: the mean
Bradley-Terry loss of the two implicit rewards, with `beta` as their coefficient. It must be right, and finite, for
log-ratios of thousands of nats too.""",
    hints=("First the two implicit rewards. Then the loss of a reward model, from chapter 3.",
           "`np.logaddexp(0, -d)` is −log σ(d) and does not overflow."),
    cases=_pair_cases, reference=_dpo, refuses=("direct.dpo_loss", "reward_model.bradley_terry_loss"),
    compose=lambda g, lead, unit, each, average: unit(g)[1] * average(each, unit(g)[0] * lead(*_lead(g))),
    slots=(
        LEAD,
        Slot("unit", lambda g: (g.beta, 1.0), (  # within σ, and outside
            Choice("a loss without β", _INSIDE, lambda g: (1.0, 1.0)),
            Choice("a β outside of σ", _INSIDE, lambda g: (1.0, g.beta)),
            Choice("a β that counts twice", _INSIDE, lambda g: (g.beta, g.beta)),
            Choice("a lead divided by β", _INSIDE, lambda g: (1 / g.beta, 1.0)),
            Choice("a β fixed at 0.1", FIXED, lambda g: (0.1, 1.0)))),
        Slot("each", lambda d: np.logaddexp(0, -d), (
            Choice(*_OVERFLOW, lambda d: np.log1p(np.exp(-d))),
            Choice(*_OVERFLOW, lambda d: -np.log(1 / (1 + np.exp(-d)))),
            Choice("a log-likelihood in the place of a loss", "Should a loss rise as the policy gets better?",
                   lambda d: -np.logaddexp(0, -d)),
            Choice("the chance of the other reply, without a logarithm", _LOG, lambda d: _sigmoid(-d)),
            Choice("minus a chance, without a logarithm", _LOG, lambda d: -_sigmoid(d)),
            Choice("a hinge loss", _CERTAIN, lambda d: np.maximum(0, 1 - d)),
            Choice("minus the lead itself", _CERTAIN, lambda d: -d),
            Choice("a squared lead", _CERTAIN, lambda d: d**2),
            Choice("a share of pairs in the wrong order", "Does it matter how large a lead is?",
                   lambda d: 1.0 * (d < 0)))),
        Slot("average", lambda each, d: each(d).mean(), (
            Choice("a sum in the place of the mean", "Should the loss grow with the number of pairs?",
                   lambda each, d: each(d).sum()),
            Choice("a loss for each pair", _MANY, lambda each, d: each(d)),
            Choice("the loss of the mean lead", "What is averaged: leads, or losses?",
                   lambda each, d: each(d.mean())),
            Choice("half the loss", "How many losses does a pair have?", lambda each, d: each(d).mean() / 2))),
    ))


_CHAIN = "By the chain rule: what does the derivative of β·(chosen − …) bring?"

WEIGHT = Exercise(
    id="direct.weight", notebook=NOTEBOOK, title="Which pairs move the policy", function="dpo_gradient",
    points=2, difficulty="medium", minutes=8,
    task="""The same five arguments. Return the gradient of the mean DPO loss with respect to `chosen`, `(N,)`. Here
too log-ratios may be thousands of nats.""",
    hints=("How large is the push for a pair that the implicit reward already orders rightly?",
           "The slope of −log σ(d) is −σ(−d). The chain rule adds a factor β, and the mean a factor 1/N."),
    cases=_pair_cases,
    reference=lambda c, r, rc, rr, beta: -beta / len(c) * (1 - np.tanh(beta * ((c - rc) - (r - rr)) / 2)) / 2,
    compose=lambda g, lead, unit, slope, sign, share: (
        sign * unit(g)[1] * slope(unit(g)[0] * lead(*_lead(g))) * share(len(g.chosen))),
    slots=(
        LEAD._replace(wrong=tuple(c for c in LEAD.wrong if c.name != "the two replies exchanged")),
        Slot("unit", lambda g: (g.beta, g.beta), (  # within σ, and in front
            Choice("a gradient without the β of the chain rule", _CHAIN, lambda g: (g.beta, 1.0)),
            Choice("a σ without its β", "Of what is σ taken?", lambda g: (1.0, g.beta)),
            Choice("a gradient without any β", FIXED, lambda g: (1.0, 1.0)),
            Choice("a gradient divided by β", _CHAIN, lambda g: (g.beta, 1 / g.beta)))),
        Slot("slope", lambda d: _sigmoid(-d), (
            Choice("the weight of pairs that are already right", "Which pair has least to teach?", _sigmoid),
            Choice("the slope of σ, without the logarithm", "Is the loss a chance, or minus its logarithm?",
                   lambda d: _sigmoid(d) * _sigmoid(-d)),
            Choice("the same push for every pair, which is supervised learning",
                   "Which pair has least to teach?", lambda d: np.ones(len(d))),
            Choice("the loss of each pair in the place of its slope", "What changes, if `chosen` rises?",
                   lambda d: np.logaddexp(0, -d)),
            Choice("a push for pairs in the wrong order alone", "Has a pair in the right order nothing to teach?",
                   lambda d: 1.0 * (d < 0)))),
        Slot("sign", -1.0, (
            Choice("the direction of a step of descent, or the gradient of `rejected`",
                   "Does the loss rise or fall, if `chosen` rises?", 1.0),)),
        Slot("share", lambda n: 1 / n, (
            Choice("the gradient of a sum in the place of a mean", "Of which loss is this the gradient?",
                   lambda n: 1.0),
            Choice("a gradient divided by the number of all replies", "How many losses are averaged?",
                   lambda n: 1 / (2 * n)))),
    ))


_TARGET = "How large should the lead be, as the task says?"

IPO = Exercise(
    id="direct.ipo", notebook=NOTEBOOK, title="A lead that is enough", function="ipo_loss",
    points=1, difficulty="easy", minutes=6,
    task="""IPO wants the log-ratio of the chosen reply to exceed that of the rejected one by exactly 1/(2τ) nats,
and not by more. Its loss is the mean squared distance of the lead from that target. The four arrays are those of
DPO, `(N,)`; `tau` is τ. Return the loss, one number.""",
    hints=("The lead is a difference of two log-ratios, in nats, without any coefficient.",
           "Take the target away from the lead, square, and average."),
    cases=lambda seed: _pair_cases(seed, "tau", far=False),
    reference=lambda c, r, rc, rr, tau: np.mean(np.square(c - r - rc + rr - 0.5 / tau)),
    refuses=("direct.ipo_loss",),
    compose=lambda g, lead, scale, target, error, average: average(
        error(scale(g) * lead(*_lead(g)) - target(g.tau))),
    slots=(
        LEAD,
        Slot("scale", lambda g: 1.0, (
            Choice("a lead multiplied by τ", "In which unit is the lead?", lambda g: g.tau),
            Choice("a lead divided by τ", "In which unit is the lead?", lambda g: 1 / g.tau))),
        Slot("target", lambda tau: 1 / (2 * tau), (
            Choice("a target of 1/τ", _TARGET, lambda tau: 1 / tau),
            Choice("a target of τ", _TARGET, lambda tau: tau),
            Choice("a target of τ/2", _TARGET, lambda tau: tau / 2),
            Choice("a target of 2τ", _TARGET, lambda tau: 2 * tau),
            Choice("a target of 2/τ", _TARGET, lambda tau: 2 / tau),
            Choice("a loss without a target", "What is the loss of a policy that equals its reference?",
                   lambda tau: 0.0))),
        Slot("error", np.square, (
            Choice("a lead that may grow at no cost", "What is the loss of a lead beyond the target?",
                   lambda e: np.minimum(e, 0) ** 2),
            Choice("a lead that may fall at no cost", "What is the loss of a lead short of the target?",
                   lambda e: np.maximum(e, 0) ** 2),
            Choice("a distance without its square", "What does the task do with the distance?", np.abs),
            Choice("a distance with its sign, without its square", "What does the task do with the distance?",
                   lambda e: e))),
        Slot("average", np.mean, (
            Choice("a sum in the place of the mean", "Should the loss grow with the number of pairs?", np.sum),
            Choice("a loss for each pair", _MANY, lambda e: e),
            Choice("half the loss", "Does the task speak of a half?", lambda e: e.mean() / 2),
            Choice("a root of the mean", "In which unit is the loss?", lambda e: np.sqrt(np.abs(e.mean()))))),
    ))


# Several judges.

def _judge_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, models, answers, known, units, zeros):
        units, zeros = np.reshape(units, (-1, 1)), np.reshape(zeros, (-1, 1))
        scores = rng.normal(0.5, 1.2, (models, answers)) * units + zeros
        return Case(label, dict(scores=scores.round(2),
                                known=(rng.normal(0.3, 1, (models, known)) * units + zeros).round(2)))

    return [case("three models, each with a unit and a zero of its own", 3, 4, 5, [1, 9, 0.3], [0, 4, -2]),
            case("two models", 2, 3, 4, [1.0, 2.0], [0.5, -1.0]),
            case("one model", 1, 3, 4, [2.0], [1.0]),
            case("one answer, scored by three models", 3, 1, 4, [1, 3, 0.5], [0, -2, 1]),
            case("as many answers as models", 3, 3, 4, [2, 0.5, 4], [1, 3, -1])]


_OWN = "By which replies are the zero and the unit of a model fixed?"
_EACH_MODEL = "Does every model have its own zero and unit?"
_LOWEST = "Which of the models' scores counts for an answer?"

ENSEMBLE = Exercise(
    id="direct.ensemble", notebook=NOTEBOOK, title="The most pessimistic of several judges",
    function="pessimistic_score", points=2, difficulty="medium", minutes=10,
    task="""M reward models have scored N answers, `scores`, `(M, N)`, and K replies of the supervised model,
`known`, `(M, K)`. The zero and the unit of a reward model are arbitrary. Give each model mean 0 and standard
deviation 1 on the known replies (deviation with K in its denominator, as `np.std`), and return for each answer the
lowest of its standardised scores, `(N,)`.""",
    hints=("Every row has its own mean and standard deviation. From which array?",
           "Shift and scale the rows of `scores`; then `min` over the models."),
    cases=_judge_cases,
    reference=lambda scores, known: np.min([(s - np.mean(k)) / np.std(k) for s, k in zip(scores, known)], axis=0),
    refuses=("reward_model.ensemble",),
    compose=lambda g, by, centre, scale, combine: combine((g.scores - centre(by(g))) / scale(by(g))),
    slots=(
        Slot("by", lambda g: g.known, (
            Choice("a standardisation by the answers that are to be judged", _OWN, lambda g: g.scores),
            Choice("a standardisation by answers and known replies together", _OWN,
                   lambda g: np.concatenate([g.scores, g.known], 1)))),
        Slot("centre", lambda k: k.mean(1, keepdims=True), (
            Choice("scaling without shifting", "Is the zero of each model fixed?", lambda k: 0.0),
            Choice("a common mean for all models", _EACH_MODEL, lambda k: k.mean()),
            Choice("the median taken away in the place of the mean", "What is the mean of a model's known replies?",
                   lambda k: np.median(k, axis=1)[:, None]),
            Choice("the lowest known score taken away in the place of the mean",
                   "What is the mean of a model's known replies?", lambda k: k.min(1, keepdims=True)))),
        Slot("scale", lambda k: k.std(1, keepdims=True), (
            Choice("shifting without scaling", "Is the unit of each model fixed?", lambda k: 1.0),
            Choice("a common deviation for all models", _EACH_MODEL, lambda k: k.std()),
            Choice("a deviation with K − 1 in its denominator", "By what does the deviation divide?",
                   lambda k: k.std(1, keepdims=True) * np.sqrt(k.shape[1] / (k.shape[1] - 1))),
            Choice("the variance in the place of the standard deviation", "In which unit is what you divide by?",
                   lambda k: k.std(1, keepdims=True) ** 2),
            Choice("a range in the place of the standard deviation", "What is the deviation of the known replies?",
                   lambda k: k.max(1, keepdims=True) - k.min(1, keepdims=True)))),
        Slot("combine", lambda z: z.min(0), (
            Choice("the mean of the models", _LOWEST, lambda z: z.mean(0)),
            Choice("the most optimistic of the models", _LOWEST, lambda z: z.max(0)),
            Choice("the median of the models", _LOWEST, lambda z: np.median(z, axis=0)),
            Choice("the mean less one deviation", _LOWEST, lambda z: z.mean(0) - z.std(0)),
            Choice("the number of the model in the place of its score", "Is a score wanted, or a position?",
                   lambda z: z.argmin(0)),
            Choice("the lowest score of each model", "Over which axis is the lowest wanted?", lambda z: z.min(1)),
            Choice("one lowest score for all answers", _MANY, lambda z: z.min()),
            Choice("the score that is smallest in size", "Is the lowest score the one that is nearest to 0?",
                   lambda z: np.abs(z).min(0)),
            Choice("the scores of all models", _MANY, lambda z: z))),
    ))


# A check in the place of a judge.

TIMES = ("today", "tomorrow", "soon", "someday")
REMEDIES = ("repair", "rush", "exchange", "send", "clean", "refund")


def _sentences(reply):
    return reply.split(" . ")


def _promises(reply, prefix=False, longer=False, times=TIMES):
    """The remedies of the sentences `we will REMEDY it TIME`, in order. prefix: also of those that break off;
    longer: also of those that go on."""
    found = []
    for words in [sentence.split() for sentence in _sentences(reply)]:
        whole = (len(words) == 5 or longer and len(words) > 5) and words[3] == "it" and words[4] in (times or words)
        if len(words) > 2 and words[:2] == ["we", "will"] and (whole or prefix):
            found.append(words[2])
    return found


def _reply_cases(seed):
    rng = np.random.default_rng(seed)
    times = np.random.default_rng([seed, 1]).permutation(TIMES) if seed else ["today", "tomorrow"]
    no_times = "now", "then", "later", "again", "wrong"
    no_time = np.random.default_rng([seed, 2]).choice(no_times) if seed else "right"
    hello, sorry, bye = "hello anna", "we are sorry your phone was late", "best wishes"
    texts = {"the right promise among other sentences": f"{hello} . {sorry} . RIGHT . {bye}",
             "another remedy promised": f"{sorry} . WRONG . {bye}",
             "two remedies promised, the right one last": "WRONG . RIGHT",
             "two remedies promised, the right one first": "RIGHT . WRONG",
             "the right word, but another promise": f"{hello} . right right . WRONG",
             "the right word, but no promise": f"{sorry} . right it",
             "no promise at all": f"{hello} . {sorry} . {bye}",
             "a promise without a time": f"{hello} . we will right it",
             "a promise with a word too many": f"we will right it it soon . {bye}",
             "a promise that ends in no time": f"we will right it {no_time} . {bye}",
             "a promise of something else": f"{sorry} . we will right phone soon",
             "five words that are no promise": f"you will right it today . {bye}",
             "five other words that are no promise": f"we are right it tomorrow . {bye}",
             "the right promise made twice": f"we will right it {times[0]} . we will right it {times[1]}",
             "the right promise, and one that breaks off": "RIGHT . we will wrong",
             "the right promise alone": "RIGHT",
             "a promise that goes on": f"{sorry} . we will right it {times[1]} my friend"}
    cases = []
    for label, text in texts.items():
        right, wrong = (str(remedy) for remedy in rng.permutation(REMEDIES)[:2])
        for kind in ("right", "wrong"):
            text = text.replace(kind.upper(), f"we will {kind} it {TIMES[rng.integers(4)]}")
        words = [{"right": right, "wrong": wrong}.get(word, word) for word in text.split(" ")]
        cases.append(Case(label, dict(reply=" ".join(words), remedy=right)))
    return cases


def _by_pieces(reply, remedy):
    """Another program than _promises: a pattern for each sentence."""
    made = [re.fullmatch(rf"we will (\S+) it ({'|'.join(TIMES)})", sentence) for sentence in _sentences(reply)]
    return float([promise[1] for promise in made if promise] == [remedy])


_COMPLETE = "Must a promise be complete?"

VERIFY = Exercise(
    id="direct.verify", notebook=NOTEBOOK, title="A check that cannot be persuaded", function="verified",
    points=2, difficulty="medium", minutes=12,
    task="""The sentences of a `reply` are separated by `" . "`. A promise is a sentence of exactly five words,
`we will REMEDY it TIME`, where REMEDY is any one word and TIME is one of `today`, `tomorrow`, `soon`, `someday`.
Return 1.0 if the reply makes exactly one promise and its REMEDY is `remedy`, else 0.0.""",
    hints=("Split the reply into sentences, and each sentence into words. Which places are fixed?",
           "Collect the remedies of all promises in a list: what must the list equal?"),
    cases=_reply_cases, reference=_by_pieces, refuses=("direct.verified", "helpdesk.features"),
    compose=lambda g, rule: float(rule(g.reply, g.remedy)),
    slots=(
        Slot("rule", lambda t, r: _promises(t) == [r], (  # one slot: a rule is right or wrong as a whole
            Choice("a search for the word anywhere", "Can a policy write the word without promising it?",
                   lambda t, r: r in t.split()),
            Choice("a check that any of several promises satisfies", "What if a reply promises every remedy?",
                   lambda t, r: r in _promises(t)),
            Choice("a check of the first promise alone", "What may follow the first promise?",
                   lambda t, r: _promises(t)[:1] == [r]),
            Choice("a check of the last promise alone", "What may come before the last promise?",
                   lambda t, r: _promises(t)[-1:] == [r]),
            Choice("a check of the beginning of a sentence", _COMPLETE,
                   lambda t, r: _promises(t, prefix=True) == [r]),
            Choice("a search for the beginning of a promise anywhere", _COMPLETE,
                   lambda t, r: f"we will {r}" in t),
            Choice("a search for a promise without its time anywhere", _COMPLETE,
                   lambda t, r: f"we will {r} it" in t),
            Choice("a check that takes any word for a time", _COMPLETE,
                   lambda t, r: _promises(t, times=()) == [r]),
            Choice("a check of a sentence's first five words alone", "How many words does a promise have?",
                   lambda t, r: _promises(t, longer=True) == [r]),
            Choice("a count of the promises of the right remedy alone", "How many promises may a reply make?",
                   lambda t, r: _promises(t).count(r) == 1),
            Choice("a check that nothing wrong was promised", "What if a reply promises nothing?",
                   lambda t, r: all(p == r for p in _promises(t))),
            Choice("a check that accepts the same promise twice", "How many promises may a reply make?",
                   lambda t, r: set(_promises(t)) == {r}),
            Choice("a check of the first sentence alone", "Where in a reply may the promise be?",
                   lambda t, r: _promises(_sentences(t)[0]) == [r]),
            Choice("a check of the last sentence alone", "Where in a reply may the promise be?",
                   lambda t, r: _promises(_sentences(t)[-1]) == [r]),
            Choice("a check of the reply as one sentence", "Where does a sentence end?",
                   lambda t, r: len(t.split()) == 5 and _promises(t) == [r]),
            Choice("a check that any single promise passes", FIXED, lambda t, r: len(_promises(t)) == 1),
            Choice("a check turned round", "When is the answer 1?", lambda t, r: _promises(t) != [r]))),
    ))


# Replies that another policy wrote.

def _stale_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, lengths, width, cap, facts=()):
        mask = np.arange(width) < np.reshape(lengths, (-1, 1))
        sampler = (-rng.uniform(0.5, 2.5, mask.shape)).round(2)
        now = (sampler + rng.choice([-1.2, -0.6, 0.3, 1.1, 1.4], mask.shape) * rng.uniform(0.9, 1.1)).round(2)
        now[0, 0], now[-1, 0] = sampler[0, 0] + 1.5, sampler[-1, 0] - 1.3
        advantages = (rng.uniform(0.3, 2.5, mask.shape) * rng.choice([-1, 1], mask.shape)).round(1)
        if len(lengths) > 1:  # a bad token that has become likely, and a good one that has not
            advantages[0, 0], advantages[-1, 0] = -abs(advantages[0, 0]), abs(advantages[-1, 0])
            now[0, 1], advantages[0, 1] = sampler[0, 1] + 1.2, abs(advantages[0, 1])
        if label.startswith("two"):  # beyond e^cap; between 1 and the cap
            now[0, 0], now[0, 2] = sampler[0, 0] + 2.3, sampler[0, 2] + 0.4
        if NAN in facts:
            now, sampler, advantages = (np.where(mask, x, np.nan) for x in (now, sampler, advantages))
        return Case(label, dict(logprobs=now.round(2), sampler_logprobs=sampler, advantages=advantages, mask=mask,
                                cap=cap), facts)

    return [case("two replies, ratios above and below 1", (3, 2), 3, 2.0),
            case("NaN at the padding", (2, 4), 4, 1.5, (NAN,)),
            case("one reply that fills its row", (4,), 4, 1.2),
            case("a batch padded beyond its longest reply", (3, 2, 3), 5, 3.0)]


_RHO = "Of what is ρ the ratio?"
_CAP = "What does the cap do to a small ratio, and what to a large one?"
_PRODUCT = "What is capped: the ratio, or its product with the advantage?"

STALE = Exercise(
    id="direct.stale", notebook=NOTEBOOK, title="Old replies, weighted up to a cap",
    function="reweighted", points=2, difficulty="medium", minutes=10,
    task="""Some systems, such as IMPALA, weight old data by a ratio up to a cap. The cap limits how much a single
token counts, not how far the policy moves, so it does not replace PPO's clip. Here an older policy wrote the
replies. `sampler_logprobs` are the tokens' log-probabilities under that policy, `logprobs` those under the policy
in training, `(B, R)` each. Return the `advantages`, `(B, R)`, each multiplied by min(ρ, cap), where ρ is the
token's probability under the policy in training over that under the policy that wrote it; 0 where `mask` is False.
What is given at padding may be anything, even NaN.""",
    hints=("ρ is the exponential of a difference. Whose log-probability comes first?",
           "Only the ratio is capped, from above; the advantage keeps its sign."),
    cases=_stale_cases,
    reference=lambda now, then, a, mask, cap: np.where(
        mask, np.exp(np.minimum(np.where(mask, now - then, 0.0), np.log(cap))) * np.where(mask, a, 0.0), 0.0),
    compose=lambda g, ratio, weight, apply, rest: rest(
        apply(ratio(g), weight, g.advantages, g.cap), g.mask, g.advantages),
    slots=(
        Slot("ratio", lambda g: np.exp(g.logprobs - g.sampler_logprobs), (
            Choice("a ratio upside down", "What counts less: a token that has become rarer, or more frequent?",
                   lambda g: np.exp(g.sampler_logprobs - g.logprobs)),
            Choice("a difference of logarithms in the place of the ratio",
                   "What is the ratio of equal probabilities?", lambda g: g.logprobs - g.sampler_logprobs),
            Choice("a ratio of logarithms", _RHO, lambda g: g.logprobs / g.sampler_logprobs),
            Choice("a difference of probabilities", _RHO,
                   lambda g: np.exp(g.logprobs) - np.exp(g.sampler_logprobs)),
            Choice("a probability without that of the older policy", _RHO, lambda g: np.exp(g.logprobs)),
            Choice("a ratio for the whole reply", "Is a ratio wanted for each reply, or for each token?",
                   lambda g: np.exp(np.where(g.mask, g.logprobs - g.sampler_logprobs, 0.0).sum(1, keepdims=True))
                   + 0.0 * g.logprobs))),
        Slot("weight", np.minimum, (
            Choice("a weight without a cap", _CAP, lambda rho, cap: rho),
            Choice("a clip on both sides", _CAP, lambda rho, cap: np.clip(rho, 1 / cap, cap)),
            Choice("a bound from below in the place of the cap", _CAP, np.maximum),
            Choice("a cap at 1", FIXED, lambda rho, cap: np.minimum(rho, 1.0)),
            Choice("a cap of 1 + cap", "Which ratio is the largest that counts?",
                   lambda rho, cap: np.minimum(rho, 1 + cap)),
            Choice("a cap on the logarithm of the ratio", "Of what is `cap` a bound: a ratio, or its logarithm?",
                   lambda rho, cap: np.minimum(rho, np.exp(cap))),
            Choice("an answer that drops the tokens beyond the cap", "What weight has a token beyond the cap?",
                   lambda rho, cap: np.where(rho <= cap, rho, 0.0)),
            Choice("an answer that gives tokens beyond the cap a weight of 1",
                   "What weight has a token beyond the cap?", lambda rho, cap: np.where(rho <= cap, rho, 1.0)))),
        Slot("apply", lambda rho, weight, a, cap: weight(rho, cap) * a, (
            Choice("a cap on the product", _PRODUCT, lambda rho, weight, a, cap: weight(rho * a, cap)),
            Choice("the smaller of two products, as in PPO", _PRODUCT,
                   lambda rho, weight, a, cap: np.minimum(rho * a, weight(rho, cap) * a)),
            Choice("weights without the advantages", "What is multiplied by the weight?",
                   lambda rho, weight, a, cap: weight(rho, cap)),
            Choice("advantages divided by the weight", "Does a token that has become rarer count more, or less?",
                   lambda rho, weight, a, cap: a / weight(rho, cap)),
            Choice("a weight that turns the sign", "Does an advantage keep its sign?",
                   lambda rho, weight, a, cap: -weight(rho, cap) * a),
            Choice("an advantage without its sign", "Does an advantage keep its sign?",
                   lambda rho, weight, a, cap: weight(rho, cap) * np.abs(a)))),
        Slot("rest", lambda w, mask, a: np.where(mask, w, 0.0), (
            Choice("an answer with other numbers than 0 at the padding", "What is wanted at the padding?",
                   lambda w, mask, a: w),
            Choice("an answer that leaves the padding as it was", "What is wanted at the padding?",
                   lambda w, mask, a: np.where(mask, w, a)),
            Choice(*MULTIPLIED, lambda w, mask, a: w * mask),
            Choice("a sum over each reply", _MANY, lambda w, mask, a: np.where(mask, w, 0.0).sum(1)),
            Choice("a mean over all real tokens", _MANY, lambda w, mask, a: w[mask].mean()))),
    ))


# Pay for progress.

def _worth_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("up, then down", dict(worth=np.array([1.5, 3.0, 2.75]))),
            Case("one sentence", dict(worth=np.array([-1.5]))),
            Case("a bad beginning that is made good", dict(worth=np.array([-0.5, 0.75, 0.25, 3.25]))),
            *[Case("drawn", dict(worth=(rng.permutation(np.arange(-4, 12))[:n] / 4 + 0.1))) for n in (5, 4)]]


_ADDED = "What did sentence t add to what was there before it?"
_FIRST = "What was the reply worth before its first sentence?"

PROGRESS = Exercise(
    id="direct.progress", notebook=NOTEBOOK, title="Pay for progress", function="progress_rewards",
    points=1, difficulty="easy", minutes=6,
    task="""A judge has said what a reply was worth after each of its T ≥ 1 sentences, `worth`, `(T,)`; before the
first one it was worth 0. Return one reward for each sentence, `(T,)`: what that sentence added. (With γ = 1 the
rewards of a reply then sum to what it is worth at its end, however many sentences it has.)""",
    hints=("What must be taken away from the worth after sentence t?",
           "Put a 0 in front, and take differences of neighbours."),
    cases=_worth_cases, reference=lambda worth: np.ediff1d(worth, to_begin=worth[0]),
    refuses=("direct.process_rewards",),
    compose=lambda g, before, gain, arrange: arrange(gain(g.worth, before(g.worth)), g.worth),
    slots=(
        Slot("before", lambda w: np.append(0.0, w[:-1]), (
            Choice("the worth itself, paid after every sentence", _ADDED, np.zeros_like),
            Choice("progress without that of the first sentence", _FIRST, lambda w: np.append(w[:1], w[:-1])),
            Choice("progress that begins at the end of the reply", _FIRST, lambda w: np.append(w[-1:], w[:-1])),
            Choice("progress since the first sentence", _ADDED, lambda w: np.append(0.0, 0 * w[1:] + w[0])),
            Choice("progress over the best so far", _ADDED,
                   lambda w: np.append(0.0, np.array([w[:t].max() for t in range(1, len(w))]))),
            Choice("progress that begins at 1", _FIRST, lambda w: np.append(1.0, w[:-1])),
            Choice("progress over the sum of what was paid before", "Is `worth` the worth of one sentence, or of "
                   "the reply so far?", lambda w: np.append(0.0, np.cumsum(w)[:-1])))),
        Slot("gain", np.subtract, (
            Choice("progress with its sign turned", "Is a sentence rewarded that made the reply better?",
                   lambda w, b: b - w),
            Choice("progress without losses", "What would alternating harm and repair be paid?",
                   lambda w, b: np.maximum(w - b, 0.0)),
            Choice("progress without its sign", "May a sentence do harm?", lambda w, b: np.abs(w - b)),
            Choice("a sum in the place of the difference", _ADDED, np.add))),
        Slot("arrange", lambda gain, w: gain, (
            Choice("the whole sum paid at the end", "What did each sentence add?",
                   lambda gain, w: np.where(np.arange(len(w)) == len(w) - 1, gain.sum(), 0.0)),
            Choice("the whole sum shared out evenly", "What did each sentence add?",
                   lambda gain, w: np.full(len(w), gain.sum() / len(w))),
            Choice("the sum of what was added", _MANY, lambda gain, w: gain.sum()),
            Choice("differences without the first sentence's", _MANY, lambda gain, w: gain[1:]),
            Choice("progress in the reverse order", "Which sentence is the first?", lambda gain, w: gain[::-1]))),
    ))

EXERCISES = (IMPLICIT, DPO, WEIGHT, IPO, ENSEMBLE, STALE, VERIFY, PROGRESS)
