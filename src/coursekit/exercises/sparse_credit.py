"""Exercises of chapter 4: where the score goes, what a token is paid, and who earned it."""

import numpy as np

from coursekit.arrays import whiten
from coursekit.credit import shape
from coursekit.exercises.base import Case, Exercise, Misconception
from coursekit.tokens import last_token, token_rewards

NOTEBOOK = "04_sparse_credit"


def _replies(seed, *names):
    """Batches of replies padded on the right: (label, mask, arrays by name), two decimals, small."""
    rng = np.random.default_rng(seed)
    for label, lengths, width in (("replies of 2, 4 and 1 tokens", [2, 4, 1], 4),
                                  ("all cut at the length limit", [3, 3], 3),
                                  ("a batch padded beyond its longest reply", [2, 3], 5),
                                  ("random lengths", rng.integers(1, 5, 3), 5)):
        mask = np.arange(width) < np.asarray(lengths)[:, None]
        yield label, mask, {name: rng.normal(0, 1, mask.shape).round(2) for name in names}


def _score_cases(seed):
    rng = np.random.default_rng(seed + 1)
    return [Case(label, dict(scores=rng.uniform(0.5, 3, len(mask)).round(1), mask=mask))
            for label, mask, _ in _replies(seed)]


def _placed(scores, where):
    return np.where(where, scores[:, None], 0.0)


def _all_rows(scores, mask):
    rewards = np.zeros(mask.shape)
    rewards[:, mask.sum(1) - 1] = scores
    return rewards


PLACE = Exercise(
    id="credit.place", notebook=NOTEBOOK, title="Put the score where the reply ends",
    function="place_score", points=1, difficulty="easy", minutes=5,
    task="""Replies are padded on the right: `mask`, `(B, R)`, is True at real tokens, `scores`, `(B,)`, has one
score for each reply. Return the rewards, `(B, R)`: each score at the last real token of its reply, whether that
token is `<end>` or the length limit cut the reply there; 0 everywhere else.""",
    hints=("A reply of n tokens ends at position n − 1.",
           "Make zeros, then `rewards[np.arange(B), mask.sum(1) - 1] = scores`."),
    cases=_score_cases, reference=lambda s, m: _placed(s, last_token(m)),
    refuses=("tokens.last_token", "tokens.token_rewards",),
    misconceptions=(
        Misconception("the score in the last column", "A mask cuts off what is paid at the padding.",
                      lambda s, m: _placed(s, np.arange(m.shape[1]) == m.shape[1] - 1)),
        Misconception("the score on every token", "It is paid once.", lambda s, m: _placed(s, m)),
        Misconception("the score one position late", "Count from 0.",
                      lambda s, m: _placed(s, np.roll(np.pad(last_token(m), ((0, 0), (0, 1))), 1, 1)[:, :-1])),
        Misconception("the scores of all replies in each row", "`rewards[:, ends]` takes every row: pair them.",
                      _all_rows),
        Misconception("the score at the first pad, or at the end of the row where there is none",
                      "A convention of some libraries; here it is the last real token.",
                      lambda s, m: _placed(s, np.arange(m.shape[1])
                                           == np.minimum(m.sum(1), m.shape[1] - 1)[:, None])),
        Misconception("the score at the first token", "It is known only at the end.",
                      lambda s, m: _placed(s, np.arange(m.shape[1]) == 0)),
        Misconception("the score shared out over the tokens", "Nobody knows yet who earned how much.",
                      lambda s, m: _placed(s / m.sum(1), m)),
    ))


def _kl_cases(seed):
    rng = np.random.default_rng(seed + 2)
    return [Case(label, dict(scores=rng.uniform(-2, 2, len(mask)).round(1), logprobs=arrays["a"] - 1,
                             ref_logprobs=arrays["b"] - 1, mask=mask, beta=float(rng.choice([0.1, 0.2, 0.5]))))
            for label, mask, arrays in _replies(seed, "a", "b")]


def _paid(scores, logprobs, ref, mask, beta, *, estimate=lambda d: d, where=last_token, priced=lambda m: m):
    return (np.where(priced(mask), -beta * estimate(logprobs - ref), 0.0)
            + np.where(where(mask), scores[:, None], 0.0))


REWARDS = Exercise(
    id="credit.token_rewards", notebook=NOTEBOOK, title="What each token is paid",
    function="token_rewards", points=2, difficulty="medium", minutes=10,
    task="""Of B replies you have `scores`, `(B,)`, and, `(B, R)` each, the log-probabilities of the sampled
tokens under the policy and under the reference, `logprobs` and `ref_logprobs`, and the `mask`; padding holds
anything. `beta` is the price of KL. Return the rewards, `(B, R)`: −β·k1 at every real token, the score on top
at the last one, 0 at padding.""",
    hints=("k1 = logprobs − ref_logprobs: above 0 where the policy likes the token more than the reference does.",
           "`np.where(mask, -beta * k1, 0)`, then add the score at `mask.sum(1) - 1`."),
    cases=_kl_cases, reference=lambda s, a, b, m, beta: token_rewards(s, a - b, m, beta=beta),
    refuses=("tokens.token_rewards",),
    misconceptions=(
        Misconception("a KL with the wrong sign: a bonus for leaving the reference", "Leaving should cost.",
                      lambda s, a, b, m, beta: _paid(s, b, a, m, beta)),
        Misconception("k3 as a reward", "It is never negative, and as a reward its gradient isn't the KL's.",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, beta, estimate=lambda d: np.expm1(-d) + d)),
        Misconception("k2 as a reward", "It prices every change, up or down, alike.",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, beta, estimate=lambda d: d**2 / 2)),
        Misconception("a price on the padding", "What stands there was never sampled.",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, beta, priced=lambda m: np.ones_like(m))),
        Misconception("the score in the last column", "Where does each reply end?",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, beta,
                                                     where=lambda m: np.arange(m.shape[1]) == m.shape[1] - 1)),
        Misconception("a KL without its price", "β turns nats into reward.",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, 1.0)),
        Misconception("a last token that pays no KL", "The score comes on top.",
                      lambda s, a, b, m, beta: _paid(s, a, b, m, beta, priced=lambda m: m & ~last_token(m))),
    ))


def _loss_cases(seed):
    return [Case(label, dict(logprobs=-np.abs(arrays["a"]), advantages=arrays["b"], mask=mask))
            for label, mask, arrays in _replies(seed, "a", "b")]


def _sums(logprobs, advantages, mask):
    return np.where(mask, -logprobs * advantages, 0.0).sum(1)


LOSS = Exercise(
    id="credit.loss", notebook=NOTEBOOK, title="A loss under a mask",
    function="policy_loss", points=2, difficulty="medium", minutes=8,
    task="""The policy-gradient loss of a batch of replies is −(advantage × log-probability), averaged so that
**every token counts the same**, whatever reply it stands in. `logprobs`, `advantages`, `mask`: `(B, R)`;
padding holds anything. Return one number.""",
    hints=("Sum over the real tokens of the whole batch, divide by their number.",
           "`np.where(mask, -logprobs * advantages, 0).sum() / mask.sum()`"),
    cases=_loss_cases, reference=lambda a, b, m: _sums(a, b, m).sum() / m.sum(),
    misconceptions=(
        Misconception("a mean over replies, each a mean over its tokens",
                      "A token of a short reply would count more than one of a long reply.",
                      lambda a, b, m: (_sums(a, b, m) / m.sum(1)).mean()),
        Misconception("a mean over the padding too", "Divide by the number of real tokens.",
                      lambda a, b, m: _sums(a, b, m).mean() / m.shape[1]),
        Misconception("a mean of what stands everywhere, padding included", "The mask says what counts.",
                      lambda a, b, m: (-a * b).mean()),
        Misconception("a loss that rises as good tokens get likelier", "A step downhill must raise them.",
                      lambda a, b, m: -_sums(a, b, m).sum() / m.sum()),
        Misconception("a sum, not a mean", "Divide by the number of real tokens.",
                      lambda a, b, m: _sums(a, b, m).sum()),
        Misconception("a sum over the tokens of each reply", "Then a long reply weighs more than a short one.",
                      lambda a, b, m: _sums(a, b, m).mean()),
    ))


def _whiten_cases(seed):
    return [Case(label, dict(advantages=arrays["a"] + 1, mask=mask)) for label, mask, arrays in _replies(seed, "a")]


def _white(x, mask, kept, ddof=1, centre=1.0, scale=lambda sd: sd):
    mean, sd = x[kept].mean(), x[kept].std(ddof=ddof)
    return np.where(mask, (x - centre * mean) / scale(sd), 0.0)


WHITEN = Exercise(
    id="credit.whiten", notebook=NOTEBOOK, title="Whiten real tokens only",
    function="whiten_advantages", points=2, difficulty="medium", minutes=8,
    task="""Shift and scale `advantages`, `(B, R)`, so that over the real tokens of the whole batch (`mask`
True) the mean is 0 and the standard deviation, with the N − 1 denominator, is 1. Padding becomes 0, whatever it
held. There are at least two real tokens, and they differ.""",
    hints=("`real = advantages[mask]` is a flat array of what counts.",
           "`np.where(mask, (advantages - real.mean()) / real.std(ddof=1), 0)`"),
    cases=_whiten_cases, reference=lambda x, m: whiten(x, m, eps=0.0),
    refuses=("arrays.whiten",),
    misconceptions=(
        Misconception("whitening with the padding", "Mean and deviation are those of real tokens.",
                      lambda x, m: _white(x, m, np.ones_like(m))),
        Misconception("whitening with the padding set to 0", "Zeros count too, in the mean and in the deviation.",
                      lambda x, m: _white(np.where(m, x, 0.0), m, np.ones_like(m))),
        Misconception("whitening of each reply on its own", "One mean, one deviation for the batch.",
                      lambda x, m: _by_row(x, m)),
        Misconception("scaling without a shift", "The mean must be 0.", lambda x, m: _white(x, m, m, centre=0.0)),
        Misconception("a shift without scaling", "The standard deviation must be 1.",
                      lambda x, m: _white(x, m, m, scale=lambda sd: 1.0)),
        Misconception("a deviation with N below the line", "N − 1: `ddof=1`.",
                      lambda x, m: _white(x, m, m, ddof=0)),
        Misconception("padding that is not 0", "No gradient may come from there.",
                      lambda x, m: (x - x[m].mean()) / x[m].std(ddof=1)),
    ))


def _by_row(x, mask):
    with np.errstate(all="ignore"):
        rows = [np.where(m, (r - r[m].mean()) / max(r[m].std(), 1e-9), 0.0) for r, m in zip(x, mask)]
    return np.array(rows)


def _shape_cases(seed):
    rng = np.random.default_rng(seed)
    zeros = np.array([0.0, 0.0, 0.0, 0.0, 1.0])
    cases = [Case("the running example, its values as the potential",
                  dict(rewards=zeros, potentials=np.array([0.1, 0.2, 0.3, 0.5, 0.8]), gamma=1.0))]
    return cases + [Case("a discount", dict(rewards=rng.normal(0, 1, 4).round(1),
                                            potentials=rng.uniform(0.5, 2, 4).round(1), gamma=float(g)))
                    for g in (0.9, 0.5)]


def _shaped(r, phi, g, *, last=0.0):
    return r + g * np.append(phi[1:], last if np.isscalar(last) else phi[-1]) - phi


SHAPING = Exercise(
    id="credit.shaping", notebook=NOTEBOOK, title="Pay for progress, change nothing",
    function="shaped_rewards", points=2, difficulty="medium", minutes=8,
    task="""One complete episode: `rewards` and `potentials` Φ(s_t), `(T,)` each; after the last step there is
no state, and its potential is 0. Return the shaped rewards r_t + γ·Φ(s_{t+1}) − Φ(s_t), `(T,)`.""",
    hints=("Φ(s_{t+1}) is the next entry; behind the last stands 0.",
           "`np.append(potentials[1:], 0)` is what comes next."),
    cases=_shape_cases,
    reference=lambda r, phi, g: shape(r[None], phi[None], np.append(phi[1:], 0.0)[None], gamma=g)[0],
    refuses=("credit.shape",),
    misconceptions=(
        Misconception("a terminal potential that is not 0", "What is left there is a reward, and changes the goal.",
                      lambda r, phi, g: _shaped(r, phi, g, last=None)),
        Misconception("shaping without the discount", "γ belongs to Φ(s_{t+1}).",
                      lambda r, phi, g: r + np.append(phi[1:], 0) - phi),
        Misconception("a bonus for where you are", "Pay for the difference, or a policy may live off the bonus.",
                      lambda r, phi, g: r + phi),
        Misconception("progress with the wrong sign", "Which way is up?",
                      lambda r, phi, g: r - g * np.append(phi[1:], 0) + phi),
        Misconception("the bonus alone", "The reward itself is paid too.",
                      lambda r, phi, g: _shaped(0 * r, phi, g)),
    ))


def _culprit(score, values, *, following=lambda v, s: np.append(v[1:], s), pick=lambda d: np.abs(d).argmax()):
    return int(pick(following(values, score) - values))


def _culprit_cases(seed):
    rng = np.random.default_rng(seed)
    told = (("a reply spoilt at one token", -1.0, [1.0, 1.2, 1.4, -0.9, -1.1, -1.1]),
            ("a reply saved at one token", 3.0, [-2.0, 0.0, 0.1, 0.3, 2.7, 2.9]),
            ("decided by the last token", -2.0, [0.9, 1.0, 1.1, 1.3]),
            ("decided by the first token", 2.0, [-1.5, 2.2, 2.1, 2.0]))
    cases = [Case(label, dict(score=score, values=np.array(values))) for label, score, values in told]
    for sign in (-1, 1):
        steps = rng.choice([0.1, 0.2, -0.1], 7)
        steps[rng.integers(1, 6)] = 2.5 * sign
        path = np.cumsum(steps).round(2)
        cases.append(Case("random", dict(score=float(path[-1]), values=np.append(0.0, path[:-1]))))
    return cases


CULPRIT = Exercise(
    id="credit.responsible", notebook=NOTEBOOK, title="Which token did it?",
    function="responsible_token", points=2, difficulty="medium", minutes=8,
    task="""`values`, `(T,)`, is what a critic expected of a reply before each of its T tokens (γ = 1), `score`
what the finished reply got; nothing else was paid. Return the index of the token that changed the expectation
most, up or down: the one with the largest advantage in size at λ = 0.""",
    hints=("Token t changes the expectation from values[t] to values[t + 1]; the last one, to the score.",
           "`np.abs(np.diff(np.append(values, score))).argmax()`"),
    cases=_culprit_cases, reference=lambda s, v: _culprit(s, v),
    misconceptions=(
        Misconception("the token before which the critic expected least", "Which token made it fall?",
                      lambda s, v: int(v.argmin())),
        Misconception("the token after the one that did it", "values[t] is what was expected *before* token t.",
                      lambda s, v: _culprit(s, v) + 1),
        Misconception("the token where the score is furthest from what was expected",
                      "That is λ = 1: it blames early tokens for what came later.",
                      lambda s, v: int(np.abs(s - v).argmax())),
        Misconception("the token with the largest rise", "A fall counts as well.",
                      lambda s, v: _culprit(s, v, pick=np.argmax)),
        Misconception("the token with the largest fall", "A rise counts as well.",
                      lambda s, v: _culprit(s, v, pick=np.argmin)),
        Misconception("the last token, which was paid", "Being paid is not having earned.",
                      lambda s, v: len(v) - 1),
        Misconception("a search that leaves the last token out", "Its surprise is the score less the last value.",
                      lambda s, v: int(np.abs(np.diff(v)).argmax())),
    ))

EXERCISES = (PLACE, REWARDS, LOSS, WHITEN, SHAPING, CULPRIT)
