"""Exercises of chapter 4: where the score goes, the reward of each token, and which token earned it."""

import numpy as np

from coursekit.arrays import whiten
from coursekit.credit import shape
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot, varied
from coursekit.exercises.slots import (
    CENTRE,
    COUNTED,
    END,
    MULTIPLIED,
    OVER,
    REST,
    SCALE,
    at,
    standardised,
)
from coursekit.tokens import last_token, token_rewards

NOTEBOOK = "04_sparse_credit"
ONE, NAN, CUT = "with a reply of one token", "with NaN at the padding", "with a reply that fills its row"


REPLIES = (("replies of 2, 4 and 1 tokens", [2, 4, 1], 4, (ONE, CUT)),
           ("NaN at the padding", [3, 1, 2], 4, (ONE, NAN)),
           ("all cut at the length limit", [3, 3], 3, (CUT,)),
           ("a batch padded beyond its longest reply", [2, 3], 5, ()),
           ("one reply of two tokens", [2], 3, ()),
           ("drawn lengths", [None, None, 3], 4, ()))


def batches(seed, *names, table=REPLIES):
    """Batches of replies padded on the right: (label, facts, mask, arrays by name), two decimals, small.
    table: of each batch the label, the lengths (None: drawn), the width and the facts."""
    rng = np.random.default_rng(seed)
    for label, lengths, width, facts in table:
        lengths = [rng.integers(2, width + 1) if n is None else n for n in lengths]
        mask = np.arange(width) < np.reshape(lengths, (-1, 1))
        arrays = {name: rng.normal(0, 1, mask.shape).round(2) for name in names}
        held = {name: np.where(mask, x, np.nan) if NAN in facts else x for name, x in arrays.items()}
        yield label, facts, mask, held


def drawn_scores(rng, count):
    """Of either sign, the second below 0, none near 0, no two alike."""
    sizes = rng.choice(np.arange(5, 30), count, replace=False) / 10
    return sizes * np.where(np.arange(count) == 1, -1, rng.choice([-1, 1], count))


def _score_cases(seed):
    rng = np.random.default_rng(seed + 1)
    cases = [Case(label, dict(scores=drawn_scores(rng, len(mask)), mask=mask), facts)
             for label, facts, mask, _ in batches(seed) if NAN not in facts]
    return cases + [
        Case("scores that are ints", dict(scores=np.array([3, -2]), mask=np.array([[True, True, False],
                                                                                  [True, False, False]])), (ONE,)),
        Case("one token in one row", dict(scores=drawn_scores(rng, 1), mask=np.array([[True]])), (ONE, CUT))]


def _all_rows(scores, mask):
    rewards = np.zeros(mask.shape)
    rewards[:, mask.sum(1) - 1] = scores
    return rewards


PLACE = Exercise(
    id="credit.place", notebook=NOTEBOOK, title="Put the score where the reply ends",
    function="place_score", points=1, difficulty="easy", minutes=5,
    task="""Replies are padded on the right: `mask`, `(B, R)`, is True at real tokens, and each reply has at least
one. `scores`, `(B,)`, holds one score for each reply, a float or an int. Return the rewards, `(B, R)`: each score
at the last real token of its reply, whether that token is `<end>` or the length limit cut the reply there; 0
everywhere else.""",
    hints=("A reply of n tokens ends at position n − 1. How do you read n off the mask?",
           "Every row has its own column. How does numpy address one entry of each row at once?"),
    cases=_score_cases, reference=lambda s, m: np.where(last_token(m), s[:, None], 0.0),
    refuses=("tokens.last_token", "tokens.token_rewards"),
    compose=lambda g, end, amount, base: np.where(end(g.mask) > 0, end(g.mask) * amount(g.scores)[:, None],
                                                  base(g.mask)),
    slots=(
        END,
        Slot("amount", lambda scores: scores, (
            Choice("the score of the first reply for every reply", "Whose score belongs to which row?",
                   lambda scores: scores[:1] + 0 * scores),
            Choice("a reward of 1 in the place of the score", "How much is a reply's reward?",
                   lambda scores: np.ones(len(scores))),
            Choice("scores from which their mean was taken away", "Does the text centre the scores?",
                   lambda scores: scores - scores.mean()),
            Choice("scores cut to whole numbers", "Which type does the array of rewards have?",
                   lambda scores: scores.astype(int)))),
        Slot("base", lambda mask: 0.0 * mask, (
            Choice("a reward of 1 left at the other real tokens",
                   "What does the array hold before the scores are written into it?", lambda mask: 1.0 * mask),)),
    ),
    misconceptions=(
        Misconception("an assignment that writes into every row at each end",
                      "Which rows does a colon in the first place select?", _all_rows),
        Misconception("a score at every position but the last real token", "Which entries does your mask select?",
                      lambda s, m: np.where(last_token(m), 0.0, s[:, None])),
    ))


def _kl_cases(seed):
    rng = np.random.default_rng(seed + 2)
    return [Case(label, dict(scores=drawn_scores(rng, len(mask)), logprobs=-np.abs(arrays["a"]) - 0.02,
                             ref_logprobs=-np.abs(arrays["b"]) - 0.01, mask=mask, beta=beta), facts)
            for (label, facts, mask, arrays), beta in zip(batches(seed, "a", "b"), (0.2, 0.1, 0.5, 0.3, 0.05, 0.4))]


_LOGS = "Of which two logarithms is k1 the difference?"
_WHICH = "Which estimate does the text ask for?"


def _k3(d):
    return np.expm1(-d) + d


KL_SIGN = Choice("a bonus for leaving the reference", "Should it cost something to leave the reference, or pay?",
                 lambda d: -d)
KL_SIZE = Choice("k1 without its sign", "May the k1 of a single token be negative?", np.abs)

# (β·k, mask) → the rewards without the scores
CHARGE = Slot("charge", lambda cost, mask: np.where(mask, -cost, 0.0), (
    Choice("a KL penalty on the padding as well", "Was the padding sampled?", lambda cost, mask: -cost),
    Choice(*MULTIPLIED, lambda cost, mask: -cost * mask),
    Choice("a last token without its KL penalty", "Does the score replace the penalty, or come on top?",
           lambda cost, mask: np.where(mask & (at(mask.sum(1) - 1, mask) == 0), -cost, 0.0)),
    Choice("the KL of the whole reply charged at its last token", "Which token caused which part of the KL?",
           lambda cost, mask: -at(mask.sum(1) - 1, mask) * np.where(mask, cost, 0.0).sum(1, keepdims=True)),
    Choice("the mean KL of the reply charged at each of its tokens", "Which token caused which part of the KL?",
           lambda cost, mask: -1.0 * mask * (np.where(mask, cost, 0.0).sum(1) / mask.sum(1))[:, None]),
    Choice("a KL penalty divided by the reply's length", "By what is a token's penalty divided?",
           lambda cost, mask: np.where(mask, -cost, 0.0) / mask.sum(1, keepdims=True)),
    Choice("a KL penalty summed up from the first token on", "Which token caused which part of the KL?",
           lambda cost, mask: np.where(mask, -np.cumsum(cost, 1), 0.0)),
))


REWARDS = Exercise(
    id="credit.token_rewards", notebook=NOTEBOOK, title="The reward of each token",
    function="token_rewards", points=2, difficulty="medium", minutes=10,
    task="""You have B replies. `scores`, `(B,)`, holds their scores. `logprobs` and `ref_logprobs`, `(B, R)`,
hold the log-probabilities of the sampled tokens under the policy and under the reference. `mask`, `(B, R)`, is True
at real tokens; the entries at padding may be anything, even NaN. `beta` is the KL coefficient. Return the rewards,
`(B, R)`: the penalty −β·k1 at every real token, the score added at the last one, 0 at padding.""",
    hints=("k1 = logprobs − ref_logprobs: above 0 where the policy likes the token more than the reference does.",
           "Choose between the penalty and 0 by the mask; then add the scores where each reply ends."),
    cases=_kl_cases, reference=lambda s, a, b, m, beta: token_rewards(s, a - b, m, beta=beta),
    refuses=("tokens.token_rewards",),
    compose=lambda g, estimate, beta, charge, amount, end: (
        charge(beta(g) * estimate(g.logprobs, g.ref_logprobs), g.mask) + end(g.mask) * amount(g)[:, None]),
    slots=(
        Slot("estimate", lambda a, b: a - b, (
            KL_SIGN._replace(value=lambda a, b: b - a),
            KL_SIZE._replace(value=lambda a, b: np.abs(a - b)),
            Choice("k1 cut off at 0", "May the k1 of a single token be negative?",
                   lambda a, b: np.maximum(a - b, 0.0)),
            Choice("k2 in the place of k1", _WHICH, lambda a, b: (a - b) ** 2 / 2),
            Choice("k3 in the place of k1", _WHICH, lambda a, b: _k3(a - b)),
            Choice("k3 with its ratio upside down, in the place of k1", _WHICH, lambda a, b: _k3(b - a)),
            Choice("a difference of probabilities", _LOGS, lambda a, b: np.exp(a) - np.exp(b)),
            Choice("a ratio of probabilities in the place of its logarithm", _LOGS, lambda a, b: np.exp(a - b)),
            Choice("a ratio of log-probabilities", _LOGS, lambda a, b: a / b),
            Choice("a k1 weighted by the token's probability",
                   "The tokens were sampled: must they be weighted again?", lambda a, b: np.exp(a) * (a - b)),
            Choice("the policy's log-probability without the reference's", _LOGS, lambda a, b: a))),
        Slot("beta", lambda g: g.beta, (
            Choice("a KL penalty without β", "How is a nat turned into reward?", lambda g: 1.0),
            Choice("a β fixed at 0.1", "Is every argument used?", lambda g: 0.1),
            Choice("an answer without the KL penalty", "What does it cost to leave the reference?",
                   lambda g: 0.0))),
        CHARGE,
        Slot("amount", lambda g: g.scores, (
            Choice("a score that is multiplied by β as well", "Which part of the reward is measured in nats?",
                   lambda g: g.beta * g.scores),
            Choice("an answer without the scores", "What does the finished reply get?", lambda g: 0.0 * g.scores),
            Choice("scores with their sign turned", "Is a high score good?", lambda g: -g.scores))),
        END,
    ),
    misconceptions=(
        Misconception("a score that is weighed against the KL, by 1 − β and β",
                      "Which part of the reward does β multiply?",
                      lambda s, a, b, m, beta: np.where(m, -beta * (a - b), 0.0)
                      + (1 - beta) * at(m.sum(1) - 1, m) * s[:, None]),
    ))


def _loss_cases(seed):
    cases = [Case(label, dict(logprobs=-np.abs(arrays["a"]) - 0.01, advantages=arrays["b"], mask=mask), facts)
             for label, facts, mask, arrays in batches(seed, "a", "b")]
    return cases + [Case("one token", dict(logprobs=np.array([[-1.3]]), advantages=np.array([[-0.7]]),
                                           mask=np.array([[True]])), (ONE, CUT))]


_MANY = "How many numbers are wanted?"


def _loss(g, each, kept, average):
    return average(kept(each(g.logprobs, g.advantages, g.mask), g.mask), g.mask)


def _scaled(a, b, m):
    return -a * (b - b[m].mean()) / (b[m].std() + 1e-8)


LOSS = Exercise(
    id="credit.loss", notebook=NOTEBOOK, title="A loss under a mask",
    function="policy_loss", points=2, difficulty="medium", minutes=8,
    task="""The policy-gradient loss of a batch of replies is −(advantage × log-probability), averaged so that
**every real token counts the same**, whatever reply it belongs to. `logprobs`, `advantages`, `mask`: `(B, R)` each;
the entries at padding may be anything, even NaN. Return one number.""",
    hints=("Which tokens enter the sum, and how many are they?",
           "NaN times 0 is NaN, so a product does not remove the padding. And is a mean of the replies' means the "
           "same as a mean over all tokens?"),
    cases=_loss_cases,
    reference=lambda a, b, m: -(a[m] * b[m]).sum() / m.sum(),
    refuses=("arrays.masked_mean",),
    compose=_loss,
    slots=(
        Slot("each", lambda a, b, m: -a * b, (
            Choice("a loss that rises as good tokens become more likely",
                   "A step downhill: should it make a good token more likely, or less?", lambda a, b, m: a * b),
            Choice("a loss of probabilities in the place of their logarithms", "Of what is the loss a product?",
                   lambda a, b, m: -np.exp(a) * b),
            Choice("a loss without the advantages", "Should every token become more likely?",
                   lambda a, b, m: -a),
            Choice("a loss of advantages without their sign", "Should a bad token become more likely?",
                   lambda a, b, m: -a * np.abs(b)),
            Choice("a loss of standardised advantages", "Does the text standardise?", _scaled))),
        Slot("kept", lambda terms, m: np.where(m, terms, 0.0), (
            Choice("a sum over the padding as well", "Which tokens are real?", lambda terms, m: terms),
            Choice(*MULTIPLIED, lambda terms, m: terms * m))),
        Slot("average", lambda terms, m: terms.sum() / m.sum(), (
            Choice("a mean over replies, each a mean over its tokens",
                   "Does a token of a short reply count as much as one of a long reply?",
                   lambda terms, m: (terms.sum(1) / m.sum(1)).mean()),
            Choice("a mean over positions, each a mean over its replies",
                   "Does a token at a late position count as much as one at an early position?",
                   lambda terms, m: (terms.sum(0) / np.maximum(m.sum(0), 1)).mean()),
            Choice("a sum divided by the number of all entries, padding included", "How many tokens are real?",
                   lambda terms, m: terms.mean()),
            Choice("a sum in the place of the mean", "Should the loss grow with the number of tokens?",
                   lambda terms, m: terms.sum()),
            Choice("a sum over each reply, averaged over replies", "By how many is the whole sum divided?",
                   lambda terms, m: terms.sum(1).mean()),
            Choice("a sum divided by the largest length and the number of replies",
                   "By how many is the whole sum divided?",
                   lambda terms, m: terms.sum() / m.sum(1).max() / len(m)),
            Choice("a mean for each reply", _MANY, lambda terms, m: terms.sum(1) / m.sum(1)),
            Choice("a sum for each reply", _MANY, lambda terms, m: terms.sum(1)),
            Choice("the terms of the mean", _MANY, lambda terms, m: terms))),
    ),
    misconceptions=(
        Misconception("a mean over all entries, padding included", "Which tokens are real?",
                      lambda a, b, m: (-a * b).mean()),
        Misconception("a product of two means", "Is the mean of a product the product of the means?",
                      lambda a, b, m: -a[m].mean() * b[m].mean()),
    ))


def _whiten_cases(seed):
    rng = np.random.default_rng(seed + 3)
    cases = [Case(label, dict(advantages=arrays["a"] + 0.8, mask=mask), facts)
             for label, facts, mask, arrays in batches(seed, "a")]
    close = np.array([[5.1, 4.9, 5.0, 0.0], [5.2, 4.8, 5.1, 4.9]]) + rng.integers(0, 3)
    zero = np.array([[0.0, round(rng.uniform(0.5, 2), 1), -0.4], [0.9, 1.4, 0.0]]) * varied(seed)[0]
    two = np.array([[round(rng.uniform(1, 2), 1), 7.0], [round(rng.uniform(-2, -1), 1), 7.0]])
    return cases + [
        Case("advantages that lie close together", dict(advantages=close, mask=close > 0.5 + close[0, 3]), (CUT,)),
        Case("a real advantage of 0", dict(advantages=zero, mask=np.array([[True] * 3, [True, True, False]])),
             ("with a real advantage of 0", CUT)),
        Case("two real tokens, one in each reply", dict(advantages=two, mask=np.array([[True, False]] * 2)),
             (ONE,))]


def _by_row(ddof):
    """Each reply by itself, with 0 where that gives no number."""
    def answer(x, mask):
        rows = np.zeros(x.shape)
        for b, m in enumerate(mask):
            if m.sum() > 1 and x[b, m].std() > 0:
                rows[b, m] = (x[b, m] - x[b, m].mean()) / x[b, m].std(ddof=ddof)
        return rows
    return answer


def _scaled_by(deviation):
    """The right answer but for the deviation by which it is scaled."""
    right = {slot.name: slot.right for slot in (COUNTED, OVER, CENTRE, REST)}
    return lambda advantages, mask: standardised(advantages, mask, **right | {SCALE.name: deviation})


WHITEN = Exercise(
    id="credit.whiten", notebook=NOTEBOOK, title="Standardise real tokens only",
    function="whiten_advantages", points=2, difficulty="medium", minutes=8,
    task="""Shift and scale `advantages`, `(B, R)`, so that over the real tokens of the whole batch the mean is 0
and the standard deviation, with N − 1 in its denominator, is 1. Real tokens are those where `mask` is True, even
if their advantage is 0. Padding becomes 0, whatever it held, even NaN. There are at least two real tokens with
different advantages, so you need no ε; adding one of up to 1e-8 to the standard deviation does no harm. You may
write into `advantages`.""",
    hints=("Which entries decide about the mean and the deviation? Which become 0?",
           "Mean and deviation come from the real tokens alone: select them first. Padding may hold NaN, and NaN "
           "times 0 is NaN."),
    cases=_whiten_cases, reference=lambda x, m: whiten(x, m, eps=0.0),
    refuses=("arrays.whiten",),
    compose=lambda g, **parts: standardised(g.advantages, g.mask, **parts),
    slots=(
        COUNTED,
        OVER, CENTRE,
        SCALE._replace(wrong=SCALE.wrong + (
            Choice("the range in the place of the standard deviation", "What is the deviation of what you return?",
                   lambda x: x.max() - x.min() if x.size else np.nan),)),
        REST,
    ),
    misconceptions=(
        *(Misconception("each reply standardised on its own", "Over which entries are mean and deviation taken?",
                        _by_row(ddof)) for ddof in (0, 1)),
        *(Misconception("a deviation with an ε that is too large",  # no choice: a pair would hide it
                        "Is the deviation still 1 where all advantages lie close together?", _scaled_by(deviation))
          for deviation in (lambda x: np.sqrt(SCALE.right(x) ** 2 + 1e-5), lambda x: SCALE.right(x) + 1e-5)),
        Misconception("a real advantage of 0 taken for padding", "How do you know what is real?",
                      lambda x, m: np.where(np.where(m, x, 0.0) != 0, whiten(x, np.where(m, x, 0.0) != 0, eps=0.0),
                                            0.0)),
    ))


def _shape_cases(seed):
    rng = np.random.default_rng(seed)

    def drawn(label, steps, gamma):
        return Case(label, dict(rewards=rng.normal(0, 1, steps).round(1) + 0.05,
                                potentials=rng.normal(0, 2, steps).round(1) + 0.05, gamma=gamma))

    return [Case("three steps", dict(rewards=np.array([0.0, 1.0, -2.0]), potentials=np.array([0.5, 2.0, 1.2]),
                                     gamma=0.9)),
            Case("the running example, its values as the potential",
                 dict(rewards=np.array([0.0, 0.0, 0.0, 0.0, 1.0]), potentials=np.array([0.1, 0.2, 0.3, 0.5, 0.8]),
                      gamma=1.0)),
            drawn("drawn", 4, 0.8), drawn("drawn", 5, 0.95), drawn("a single step", 1, 0.7)]


_END, _STATES = "Which state follows the last step?", "Which two states does a step connect?"
_BONUS = "Which of the two potentials is one step away?"

SHAPING = Exercise(
    id="credit.shaping", notebook=NOTEBOOK, title="Reward progress, change nothing",
    function="shaped_rewards", points=2, difficulty="medium", minutes=8,
    task="""One complete episode: `rewards` and `potentials` Φ(s_t), `(T,)` each, and `gamma`. After the last step
there is no state, and its potential counts as 0. Return the shaped rewards r_t + γ·Φ(s_{t+1}) − Φ(s_t), `(T,)`.""",
    hints=("Φ(s_{t+1}) is the next entry of `potentials`. What follows the last one?",
           "The potentials *after* each step are an array of their own: `potentials`, moved by one place."),
    cases=_shape_cases,
    reference=lambda r, phi, g: shape(r[None], phi[None], np.append(phi[1:], 0.0)[None], gamma=g)[0],
    refuses=("credit.shape", "advantages.td_errors", "advantages.gae"),
    compose=lambda g, base, after, bonus: base(g) + bonus(g, after(g.potentials)),
    slots=(
        Slot("base", lambda g: g.rewards, (
            Choice("the bonus alone", "What of the reward itself?", lambda g: 0.0 * g.rewards),
            Choice("a reward that is discounted as well", "When does the reward of a step come?",
                   lambda g: g.gamma * g.rewards),
            Choice("a sum of all rewards so far", "Is the reward of one step wanted, or of all so far?",
                   lambda g: np.cumsum(g.rewards)))),
        Slot("after", lambda phi: np.append(phi[1:], 0.0), (
            Choice("an end whose potential is not 0", _END, lambda phi: np.append(phi[1:], phi[-1])),
            Choice("an end whose potential is that of the first state", _END, lambda phi: np.roll(phi, -1)),
            Choice("the potential one step before taken for that one step after", _STATES,
                   lambda phi: np.append(0.0, phi[:-1])),
            Choice("the potential one step before taken for that one step after", _STATES,
                   lambda phi: np.roll(phi, 1)),
            Choice("the same potential twice", _STATES, lambda phi: phi))),
        Slot("bonus", lambda g, after: g.gamma * after - g.potentials, (
            Choice("a bonus without γ", "How many steps away is the next state?",
                   lambda g, after: after - g.potentials),
            Choice("a bonus with γ on both potentials", _BONUS, lambda g, after: g.gamma * (after - g.potentials)),
            Choice("a bonus with γ on the potential of the state that was left", _BONUS,
                   lambda g, after: after - g.gamma * g.potentials),
            Choice("progress with its sign turned", "Is progress a rise of the potential, or a fall?",
                   lambda g, after: g.potentials - g.gamma * after),
            Choice("a sum of both potentials", "Is progress a sum, or a difference?",
                   lambda g, after: g.gamma * after + g.potentials),
            Choice("a bonus for the state that was left", "What distinguishes progress from a good state?",
                   lambda g, after: g.potentials),
            Choice("a bonus for the state that is reached", "What distinguishes progress from a good state?",
                   lambda g, after: g.gamma * after),
            Choice("a bonus discounted by the number of its step", "How many steps lie between the two states?",
                   lambda g, after: g.gamma ** np.arange(len(after)) * (g.gamma * after - g.potentials)),
            Choice("a last step without its bonus", "What was the potential before the last step, and what is it "
                   "after?", lambda g, after: np.append((g.gamma * after - g.potentials)[:-1], 0.0)))),
    ))


def _culprit_cases(seed):
    """Fixed cases for the edges, then drawn ones in which one change, up or down, is clearly the largest."""
    given = [("a reply spoilt by one token", -1.2, [0.7, 1.2, 1.4, -0.9, -0.8, -1.1], ()),
             ("a reply saved by one token", 3.0, [-2.0, -0.2, 0.1, 0.3, 2.7, 2.8], ()),
             ("decided by the last token", -2.0, [0.9, 1.0, 1.2, 1.3], ("decided by the last token",)),
             ("decided by the first token", 2.5, [-1.5, 2.2, 2.1, 2.0], ("decided by the first token",)),
             ("a high score that was expected", 5.0, [0.2, 4.0, 4.1, 3.6], ("decided by the first token",)),
             ("a single token", 0.5, [2.0], ("decided by the last token", "decided by the first token")),
             ("two changes of the same size", 1.5, [1.0, 1.5, -0.5, -1.0, 1.0], ("with a tie",)),
             ("ints", 4, [1, 2, 7, 5, 5], ()),
             ("ints, and a score that is none", 7.5, [1, 2, 4, 5], ("decided by the last token",))]
    rng = np.random.default_rng(seed)
    for sign in (-1, 1) * 4:
        steps = rng.choice([-1.1, -0.6, 0.3, 0.7, 1.2], 6)
        steps[rng.integers(0, 6)] = sign * rng.choice([2.0, 2.6])
        path = (rng.choice([-1.3, 0.4, 1.1]) + np.append(0.0, np.cumsum(steps))).round(1)
        given.append(("drawn", float(path[-1]), path[:-1], ()))
    times = varied(seed)[1]  # whole, so that ties and ints stay what they are
    cases = [Case(label, dict(score=round(score * times, 1), values=(np.array(values) * times).round(1)), facts)
             for label, score, values, facts in given]
    if seed:
        cases.append(Case(given[8][0], dict(score=times + 7.5, values=times + np.array(given[8][2])), given[8][3]))
    return cases


def _culprit(g, after, change, size, pick):
    """The responsible token from its parts. after: what is expected after each token; it may lack the last."""
    following = after(g)
    changes = change(following, g.values[:len(following)])
    return pick(size(changes), changes)


_BEFORE = "values[t] is what was expected before token t: which two numbers show what token t did?"
_INDEX = "With which number does the count of tokens begin?"
_WANTED = "What is wanted: a token, or its advantage?"

CULPRIT = Exercise(
    id="credit.responsible", notebook=NOTEBOOK, title="Which token did it?",
    function="responsible_token", points=2, difficulty="medium", minutes=8,
    task="""`values`, `(T,)`, floats or ints, T ≥ 1, is what a critic expected of a reply before each of its T
tokens (γ = 1), and `score` is what the finished reply got; there was no other reward. Return the index, counted
from 0, of the token that changed the expectation most, up or down: the one with the largest advantage in size at
λ = 0. Where several changed it equally, return the first of them.""",
    hints=("Token t changes the expectation from values[t] to values[t + 1]. And the last token?",
           "After the last token the score itself is known. And may the largest change be a fall?"),
    cases=_culprit_cases,
    reference=lambda s, v: max(range(len(v)), key=lambda t: (abs((v[t + 1] if t + 1 < len(v) else s) - v[t]), -t)),
    refuses=("advantages.td_errors", "advantages.gae"),
    compose=_culprit,
    slots=(
        Slot("after", lambda g: np.append(g.values[1:], g.score), (
            Choice("an answer that never looks at the score", "What follows the expectation before the last token?",
                   lambda g: g.values[1:]),
            Choice("an expectation of 0 after the last token", "What is known of a finished reply?",
                   lambda g: np.append(g.values[1:], 0.0)),
            Choice("a score added to the last expectation", "What is known of a finished reply?",
                   lambda g: np.append(g.values[1:], g.values[-1] + g.score)),
            Choice("the change that came before each token", _BEFORE, lambda g: np.append(0.0, g.values[:-1])),
            Choice("a score cut to a whole number", "Which type does the array have that you put the score into?",
                   lambda g: np.append(g.values[1:], np.array(g.score).astype(g.values.dtype))),
            Choice("the token where the score is furthest from what was expected, which is λ = 1",
                   "Which tokens does the score itself depend on?", lambda g: g.score + 0 * g.values))),
        Slot("change", lambda after, before: after - before, (
            Choice("a change of values that have lost their sign", "How far is it from −1 to 1?",
                   lambda after, before: np.abs(after) - np.abs(before)),
            Choice("a change relative to what was expected", "In which units is an advantage?",
                   lambda after, before: (after - before) / np.abs(before)),
            Choice("a sum in the place of a difference", "How much does the expectation change?",
                   lambda after, before: after + before),
            Choice("the largest value after a token, in the place of a change", _BEFORE,
                   lambda after, before: after),
            Choice("the largest value before a token, in the place of a change", _BEFORE,
                   lambda after, before: before))),
        Slot("size", np.abs, (
            Choice("the largest rise", "May the token have done harm?", lambda changes: changes),
            Choice("the largest fall", "May the token have done good?", lambda changes: -changes))),
        Slot("pick", lambda sizes, changes: np.argmax(sizes), (
            Choice("the last of several equal changes", "Which one counts where several are equal?",
                   lambda sizes, changes: len(sizes) - 1 - np.argmax(sizes[::-1])),
            Choice("an index that is one too high", _INDEX, lambda sizes, changes: np.argmax(sizes) + 1),
            Choice("an index that is one too low", _INDEX, lambda sizes, changes: np.argmax(sizes) - 1),
            Choice("an index counted from the end", "From which end are tokens counted?",
                   lambda sizes, changes: len(sizes) - 1 - np.argmax(sizes)),
            Choice("the token that changed the expectation least", "Which change is wanted?",
                   lambda sizes, changes: np.argmin(sizes)),
            Choice("the largest change, not its token", _WANTED,
                   lambda sizes, changes: changes[np.argmax(sizes)]),
            Choice("the size of the largest change, not its token", _WANTED,
                   lambda sizes, changes: np.max(sizes)),
            Choice("the change of every token", _WANTED, lambda sizes, changes: changes),
            Choice("the size of the change of every token", _WANTED, lambda sizes, changes: sizes))),
    ),
    misconceptions=(
        Misconception("the token before which the critic expected least", _BEFORE, lambda s, v: np.argmin(v)),
        Misconception("the token before which the critic expected most", _BEFORE, lambda s, v: np.argmax(v)),
    ))

EXERCISES = (PLACE, REWARDS, LOSS, WHITEN, SHAPING, CULPRIT)
