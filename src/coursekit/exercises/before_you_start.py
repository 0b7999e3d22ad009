"""The exercises of chapter 0: one small function for each of its four sections."""

import numpy as np

from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot, varied
from coursekit.exercises.slots import BOUNDED, PESSIMISM

NOTEBOOK = "00_before_you_start"
POLICIES = {3: (0.15, 0.25, 0.6), 4: (0.1, 0.15, 0.35, 0.4)}  # in some order: no two actions equally likely


def _tenths(rng, size, most):
    """Numbers with one decimal, none 0 and no two of the same size."""
    return rng.choice(np.arange(1, 10 * most), size, replace=False) / 10 * rng.choice([-1, 1], size)


def _action_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("two actions", [2.0, 5.0], [0.3, 0.7], ()),
             ("values below 0", [-2.5, 1.0, -0.5], [0.5, 0.2, 0.3], ()),
             ("an action that is never taken", [3.0, -1.0, 0.5], [0.4, 0.0, 0.6],
              ("with an action that is never taken",))]
    given += [(f"{n} actions", _tenths(rng, n, 3), rng.permutation(POLICIES[n]), ()) for n in (3, 4)]
    return [Case(label, dict(q_values=np.array(q), policy=np.array(policy)), facts)
            for label, q, policy, facts in given]


_DIVIDED = "The probabilities sum to 1: what is left to be divided?"

ADVANTAGE = Exercise(
    id="start.advantage", notebook=NOTEBOOK, title="The advantage of each action",
    function="advantage", points=1, difficulty="easy", minutes=2,
    task="""In one state you know `q_values`, what each action is worth, and `policy`, the probability with which
the policy takes it: two arrays of floats with one entry for each action. Return the advantage of each action, an
array of the same shape.""",
    hints=("V(s) is what the state is worth before the action is drawn: an average over the policy's draws.",
           "V = Σ π(a)·Q(a). Then subtract it from every Q."),
    cases=_action_cases,
    reference=lambda q_values, policy: q_values - np.dot(policy, q_values),
    refuses=("chains.gradient_bias",),
    compose=lambda g, worth, compare: compare(g, worth(g)),
    slots=(
        Slot("worth", lambda g: (g.policy * g.q_values).sum(), (
            Choice("a plain mean in the place of V", "Is every action equally likely under this policy?",
                   lambda g: g.q_values.mean()),
            Choice("the largest Q in the place of V", "What does the policy get on average, and what at best?",
                   lambda g: g.q_values.max()),
            Choice("the smallest Q in the place of V", "What does the policy get on average, and what at worst?",
                   lambda g: g.q_values.min()),
            Choice("the Q of the likeliest action in the place of V", "Does the policy always take that action?",
                   lambda g: g.q_values[g.policy.argmax()]),
            Choice("the median Q in the place of V", "Is every action equally likely under this policy?",
                   lambda g: np.median(g.q_values)),
            Choice("a sum of all Q in the place of V", "How likely is each action?", lambda g: g.q_values.sum()),
            Choice("a mean of π(a)·Q(a) in the place of V", _DIVIDED, lambda g: (g.policy * g.q_values).mean()),
            Choice("a different V for each action", "How many values has one state?",
                   lambda g: g.policy * g.q_values),
            Choice("an answer without V", "With what is an action compared?", lambda g: 0.0))),
        Slot("compare", lambda g, v: g.q_values - v, (
            Choice("V − Q: the sign turned", "Which sign should a good action have?", lambda g, v: v - g.q_values),
            Choice("a sum of Q and V", "With what is an action compared?", lambda g, v: g.q_values + v),
            Choice("a ratio in the place of a difference", "In which units is an advantage?",
                   lambda g, v: g.q_values / v),
            Choice("a difference relative to V", "In which units is an advantage?",
                   lambda g, v: (g.q_values - v) / v),
            Choice("an advantage weighted by the probability of its action",
                   "Does it matter to the advantage of an action how often it is taken?",
                   lambda g, v: g.policy * (g.q_values - v)),
            Choice("an advantage divided by the probability of its action",
                   "Does it matter to the advantage of an action how often it is taken?",
                   lambda g, v: (g.q_values - v) / g.policy),
            Choice("a Q weighted by the probability of its action, less V", "Of what is V the average?",
                   lambda g, v: g.policy * g.q_values - v),
            Choice("an advantage without its sign", "Which sign should a bad action have?",
                   lambda g, v: np.abs(g.q_values - v)),
            Choice("an advantage cut off at 0", "Which sign should a bad action have?",
                   lambda g, v: np.maximum(g.q_values - v, 0.0)),
            Choice("V in the place of the advantages", "With what is V compared?", lambda g, v: v),
            Choice("π(a)·Q(a) in the place of the advantages", "What is the sum of these numbers?",
                   lambda g, v: g.policy * g.q_values),
            Choice("advantages that are divided by their standard deviation", "In which units is an advantage?",
                   lambda g, v: (g.q_values - v) / g.q_values.std()))),
    ))


def _softmax(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def _one_hot(g, action):
    return 1.0 * (np.arange(len(g.logits)) == action)


def _score_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("three actions", [0.9, -1.2, 0.5], 2), ("two actions, the second taken", [1.5, -0.4], 1),
             ("four actions, the first taken", [-0.7, 0.2, 1.1, 0.6], 0), ("logits far apart", [4.0, -3.5, 1.5], 0),
             ("equal logits", [0.8, 0.8, 0.8], 2)]
    given += [(f"{n} actions", _tenths(rng, n, 2), int(rng.integers(n))) for n in (3, 4)]
    return [Case(label, dict(logits=np.array(logits), action=action)) for label, logits, action in given]


_SUMS = "What does a softmax policy's probability of each action sum to?"
_OTHERS = "What becomes of the other probabilities when the logit of the taken action grows?"

SCORE = Exercise(
    id="start.score", notebook=NOTEBOOK, title="The gradient of a log-probability",
    function="score", points=1, difficulty="medium", minutes=3,
    task="""Given a softmax policy's `logits`, an array of floats between −5 and 5 with one entry for each action,
and the `action` it took (an int, counted from 0), return the gradient of log π(action) with respect to the logits,
an array of the same shape.""",
    hints=("log π(a) = logit_a − log Σ exp(logits). Differentiate both terms.",
           "The first term gives 1 at the action taken; the second gives minus the softmax everywhere."),
    cases=_score_cases,
    reference=lambda logits, action: np.eye(len(logits))[action] - np.exp(
        logits - np.logaddexp.reduce(logits)),
    compose=lambda g, taken, share, close: close(taken(g), share(g.logits), g.action),
    slots=(
        Slot("taken", lambda g: _one_hot(g, g.action), (
            Choice("a 1 at every action", "At which logits does the first term have a slope?",
                   lambda g: np.ones(len(g.logits))),
            Choice("the number of the action in the place of a 1",
                   "Is `action` a quantity, or the position of an entry?", lambda g: g.action),
            Choice("the likeliest action taken for the one that was taken", "Which action was taken?",
                   lambda g: _one_hot(g, g.logits.argmax())),
            Choice("actions counted from 1", "Counted from 0, which entry is that of the action?",
                   lambda g: _one_hot(g, g.action - 1)),
            Choice("actions counted from 1", "Counted from 0, which entry is that of the action?",
                   lambda g: _one_hot(g, (g.action - 1) % len(g.logits))),
            Choice("the logit in the place of its slope", "What is the slope of logit_a in logit_a?",
                   lambda g: _one_hot(g, g.action) * g.logits),
            Choice("an answer without its first term", "At which logits does the first term have a slope?",
                   lambda g: np.zeros(len(g.logits))))),
        Slot("share", _softmax, (
            Choice("the logits taken for probabilities", _SUMS, lambda z: z),
            Choice("exponentials that are not normalised", _SUMS, np.exp),
            Choice("exponentials divided by the largest of them", _SUMS, lambda z: np.exp(z - z.max())),
            Choice("exponentials divided by their mean", _SUMS, lambda z: _softmax(z) * len(z)),
            Choice("logits divided by their sum", _SUMS, lambda z: z / z.sum()),
            Choice("a softmax of the logits with their sign turned", "Which action is the likeliest?",
                   lambda z: _softmax(-z)),
            Choice("a sigmoid of each logit in the place of a softmax", _SUMS, lambda z: 1 / (1 + np.exp(-z))),
            Choice("log-probabilities in the place of probabilities",
                   "What is the slope of log Σ exp(logits) in one logit?", lambda z: np.log(_softmax(z))),
            Choice("the logarithm of the sum in the place of its slope",
                   "What is the slope of log Σ exp(logits) in one logit?", np.logaddexp.reduce),
            Choice("a policy that takes all actions equally often", "What do the logits say of the probabilities?",
                   lambda z: np.full(len(z), 1 / len(z))),
            Choice("the first term alone", _OTHERS, np.zeros_like))),
        Slot("close", lambda taken, p, a: taken - p, (
            Choice("the gradient of −log π, a loss", "Which way should the logit of the taken action go?",
                   lambda taken, p, a: p - taken),
            Choice("both terms added", "Which of the two terms is subtracted?", lambda taken, p, a: taken + p),
            Choice("the gradient of π, without the logarithm",
                   "By what does a logarithm divide, when it is differentiated?",
                   lambda taken, p, a: p[a] * (taken - p)),
            Choice("the gradient divided by π once more",
                   "By what does a logarithm divide, when it is differentiated?",
                   lambda taken, p, a: (taken - p) / p[a]),
            Choice("the gradient for the taken action only", _OTHERS, lambda taken, p, a: taken * (1 - p)),
            Choice("a 1 that is written over the probability of the taken action",
                   "What is the second term at the action taken?", lambda taken, p, a: np.where(taken, taken, -p)),
            Choice("the probability of the taken action subtracted everywhere", _OTHERS,
                   lambda taken, p, a: taken - p[a]),
            Choice("every probability times 1 − itself", "Of which action's probability is the logarithm?",
                   lambda taken, p, a: p * (1 - p)),
            Choice("the probabilities in the place of the gradient", "What is asked: π, or a slope?",
                   lambda taken, p, a: p),
            Choice("log π(action) in the place of its gradient", "What is asked: log π, or its slope?",
                   lambda taken, p, a: np.log(p[a])),
            Choice("the entry of the taken action alone", "How many logits are there?",
                   lambda taken, p, a: (taken - p)[a]))),
    ))


def _critic_cases(seed):
    rng = np.random.default_rng(seed)
    given = [("a step in the middle", 1.3, 0.7, 2.9, False, 0.9, 0.2),
             ("the last step of an episode", 1.7, 0.6, 2.8, True, 0.9, 0.3),
             ("numbers below 0", -1.2, -0.5, -2.3, False, 0.8, 0.25),
             ("γ = 1", 2.1, 1.4, 0.6, False, 1.0, 0.1), ("γ = 0", 1.1, 1.9, 2.7, False, 0.0, 0.4),
             ("α = 1", 2.3, 0.4, 1.6, False, 0.95, 1.0)]
    for label, terminated in (("another step", False), ("another last step", True)):
        given.append((label, *_tenths(rng, 3, 4).tolist(), terminated, float(rng.choice([0.7, 0.8, 0.9])),
                      float(rng.choice([0.05, 0.15, 0.35]))))
    names = ("value", "reward", "next_value", "terminated", "gamma", "alpha")
    return [Case(label, dict(zip(names, inputs))) for label, *inputs in given]


_FUTURE = "What is the next state worth where there is none?"
_SIZE = "With a very small step size, how far should the value move?"

CRITIC = Exercise(
    id="start.critic", notebook=NOTEBOOK, title="One update of the critic",
    function="critic_update", points=1, difficulty="easy", minutes=2,
    task="""The critic's estimates are `value` for this state and `next_value` for the next one; the step's reward
is `reward`. `terminated`, a bool, is True if the episode ended there; then nothing follows, whatever number
`next_value` is. Return the new value of this state after one TD update with the discount `gamma` and the step size
`alpha`. All but `terminated` are finite floats, and so is the answer.""",
    hints=("First the TD error δ: the reward and what the next state is worth now, minus the value of this state.",
           "A state after the end is worth 0. New value = old value + α·δ."),
    cases=_critic_cases,
    reference=lambda value, reward, next_value, terminated, gamma, alpha:
        (1 - alpha) * value + alpha * (reward if terminated else reward + gamma * next_value),
    compose=lambda g, future, target, delta, step: step(g, delta(g, target(g, future(g)))),
    slots=(
        Slot("future", lambda g: 0.0 if g.terminated else g.next_value, (
            Choice("an update that looks past the end", _FUTURE, lambda g: g.next_value),
            Choice("an update that looks past the end only", "On which of the steps does nothing follow?",
                   lambda g: g.next_value if g.terminated else 0.0),
            Choice("an update without the next state", "What is the future of a step worth, as far as we know?",
                   lambda g: 0.0),
            Choice("this state's value in the place of the next one's", "Which state follows the step?",
                   lambda g: 0.0 if g.terminated else g.value),
            Choice("a `~` before a Python bool", "What is `~True`, as a number?",
                   lambda g: g.next_value * ~int(g.terminated)))),
        Slot("target", lambda g, future: g.reward + g.gamma * future, (
            Choice("an update without γ", "How many steps away is the next state?",
                   lambda g, future: g.reward + future),
            Choice("an update that discounts the reward as well", "When does the reward of a step come?",
                   lambda g, future: g.gamma * (g.reward + future)),
            Choice("an update that discounts the reward in the place of the next state",
                   "Which of the two comes one step later?", lambda g, future: g.gamma * g.reward + future),
            Choice("an update without the reward", "What did the step itself bring?",
                   lambda g, future: g.gamma * future),
            Choice("an update with γ twice", "How many steps away is the next state?",
                   lambda g, future: g.reward + g.gamma**2 * future),
            Choice("an update without the reward where the episode ends", "Did the last step bring a reward?",
                   lambda g, future: g.gamma * future + (0.0 if g.terminated else g.reward)))),
        Slot("delta", lambda g, target: target - g.value, (
            Choice("a step away from the target", "Should the value rise or fall, if more came than it said?",
                   lambda g, target: g.value - target),
            Choice("a δ without V(s)", "With what is the target compared?", lambda g, target: target),
            Choice("a δ that discounts V(s) as well", "Which of the two states is one step away?",
                   lambda g, target: target - g.gamma * g.value),
            Choice("a δ that adds V(s) where it should be subtracted", "With what is the target compared?",
                   lambda g, target: target + g.value),
            Choice("a δ without V(s) where the episode ends", "With what is the last reward compared?",
                   lambda g, target: target if g.terminated else target - g.value))),
        Slot("step", lambda g, delta: g.value + g.alpha * delta, (
            Choice("δ in the place of the new value", "What is asked: the error, or the value after the update?",
                   lambda g, delta: delta),
            Choice("the change α·δ in the place of the new value",
                   "What is asked: the change, or the value after it?", lambda g, delta: g.alpha * delta),
            Choice("the target in the place of the new value", _SIZE, lambda g, delta: g.value + delta),
            Choice("the mean of the old value and the target", "Is every argument used?",
                   lambda g, delta: g.value + delta / 2),
            Choice("an exchange of α and 1 − α", _SIZE, lambda g, delta: g.value + (1 - g.alpha) * delta),
            Choice("γ as the step size", "Which argument is the step size?",
                   lambda g, delta: g.value + g.gamma * delta),
            Choice("a step size of α·γ", "Where in the update does γ stand?",
                   lambda g, delta: g.value + g.alpha * g.gamma * delta),
            Choice("a step size of α²", "How often is the step size taken?",
                   lambda g, delta: g.value + g.alpha**2 * delta),
            Choice("an update of the next state's value", "Which of the two values is updated?",
                   lambda g, delta: g.next_value + g.alpha * delta),
            Choice("a δ added to α times the value", "Which of the two is multiplied by the step size?",
                   lambda g, delta: g.alpha * g.value + delta),
            Choice("α times the target", "How much of the old value is kept?",
                   lambda g, delta: g.alpha * (g.value + delta)),
            Choice("the target in the place of an update where the episode ends",
                   "Does a last step move the value as far as it can?",
                   lambda g, delta: g.value + (1.0 if g.terminated else g.alpha) * delta),
            Choice("no update where the episode ends", "Did the last step bring a reward?",
                   lambda g, delta: g.value if g.terminated else g.value + g.alpha * delta))),
    ),
    misconceptions=(
        Misconception("an exchange of α and γ", "Which of the two is the step size?",
                      lambda v, r, nv, te, g, a: v + g * ((r if te else r + a * nv) - v)),
    ))


def _clip_cases(seed):
    rng = np.random.default_rng(seed)

    def drawn(label, clip):
        ratios = rng.choice([0.3, 0.45, 0.6, 0.75, 0.85, 1.05, 1.15, 1.35, 1.6, 2.1], 5, replace=False)
        return Case(label, dict(ratios=ratios, advantages=_tenths(rng, 5, 2), clip=clip))

    given = [("good actions and bad ones", [1.5, 0.6, 1.6, 0.15, 1.1], [1.0, 2.5, -0.7, -1.5, 0.8], 0.2),
             ("a smaller ε", [1.25, 0.85, 1.15, 0.95], [2.0, -2.0, -0.6, 0.9], 0.1),
             ("a bad action that has become four times as likely", [4.0, 0.9, 0.1], [-1.0, 0.5, -0.4], 0.2),
             ("an advantage of 0", [1.7, 0.4, 1.0], [0.0, 0.6, -0.3], 0.3),
             ("one sample", [1.45], [1.2], 0.3)]
    times = varied(seed)[0]
    return [*(Case(label, dict(ratios=np.array(ratios), advantages=times * np.array(advantages), clip=clip))
              for label, ratios, advantages, clip in given), drawn("drawn", 0.3), drawn("drawn", 0.15)]


CLIP = Exercise(
    id="start.clip", notebook=NOTEBOOK, title="PPO's clipped objective",
    function="clipped_objective", points=1, difficulty="medium", minutes=3,
    task="""Given the probability `ratios` and the `advantages`, both arrays of floats `(N,)`, and `clip` (ε),
return PPO's objective for each sample, `(N,)`: the quantity to be maximised, before averaging.""",
    hints=("Write both versions, with the ratio as it is and with the ratio kept inside 1 ± ε.",
           "Take the smaller of the two *products*: the pessimistic one."),
    cases=_clip_cases,
    reference=lambda ratios, advantages, clip: np.where(
        advantages > 0, np.minimum(ratios, 1 + clip), np.maximum(ratios, 1 - clip)) * advantages,
    compose=lambda g, bounded, choose, close: close(choose(g.ratios, bounded(g, g.ratios), g.advantages), g),
    slots=(
        BOUNDED, PESSIMISM,
        Slot("close", lambda each, g: each, (
            Choice("a loss: the sign turned", "Is this quantity to be raised, or lowered?", lambda each, g: -each),
            Choice("a mean over samples", "How many numbers are wanted?", lambda each, g: each.mean()),
            Choice("a sum over samples", "How many numbers are wanted?", lambda each, g: each.sum()))),
    ),
    misconceptions=(
        Misconception("a clip of the product in the place of the ratio", "What is kept inside 1 ± ε?",
                      lambda r, a, c: np.minimum(r * a, np.clip(r * a, 1 - c, 1 + c))),
        Misconception("a clip of the product in the place of the ratio", "What is kept inside 1 ± ε?",
                      lambda r, a, c: np.clip(r * a, 1 - c, 1 + c)),
        Misconception("the clipped ratio, without the advantage", "What makes an action good or bad?",
                      lambda r, a, c: np.clip(r, 1 - c, 1 + c)),
    ))

EXERCISES = (ADVANTAGE, SCORE, CRITIC, CLIP)
