"""The self-checks of the warm-up: one small function for each of its four screens."""

import numpy as np

from coursekit.exercises.base import Case, Exercise, Misconception


def _action_cases(seed):
    rng = np.random.default_rng(seed)
    cases = [Case("two actions", dict(q_values=np.array([1.0, 3.0]), policy=np.array([0.25, 0.75])))]
    for actions in (3, 4):
        policy = rng.dirichlet(np.ones(actions)).round(2)
        policy[-1] = 1 - policy[:-1].sum()
        cases.append(Case(f"{actions} actions",
                          dict(q_values=rng.uniform(-2, 2, actions).round(1), policy=policy)))
    return cases


ADVANTAGE = Exercise(
    id="start.advantage", notebook="00_before_you_start", title="The advantage of each action",
    function="advantage", points=1, difficulty="easy", minutes=2,
    task="""In one state you know `q_values`, what each action is worth, and `policy`, how likely the policy
takes it; both have one entry for each action. Return the advantage of each action, the same shape.""",
    hints=("V(s) is the worth of the state before the action is drawn: an average over the policy's draws.",
           "V = Σ π(a)·Q(a). Then subtract it from every Q."),
    cases=_action_cases,
    reference=lambda q_values, policy: q_values - (policy * q_values).sum(),
    refuses=("chains.gradient_bias",),
    misconceptions=(
        Misconception("Q less a plain mean", "Is every action equally likely under this policy?",
                      lambda q, policy: q - q.mean()),
        Misconception("Q less the best Q", "V is what the policy gets on average, not the best it could get.",
                      lambda q, policy: q - q.max()),
        Misconception("V − Q, the sign turned round", "A good action should come out positive.",
                      lambda q, policy: (policy * q).sum() - q),
    ))


def _softmax(logits):
    exp = np.exp(logits - logits.max())
    return exp / exp.sum()


def _one_hot(logits, action):
    return np.eye(len(logits))[action]


def _score_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("equal logits", dict(logits=np.zeros(2), action=0))] + [
        Case(f"{n} actions", dict(logits=rng.normal(size=n).round(1), action=int(rng.integers(n))))
        for n in (3, 4, 4)]


SCORE = Exercise(
    id="start.score", notebook="00_before_you_start", title="The gradient of a log-probability",
    function="score", points=1, difficulty="medium", minutes=3,
    task="""A softmax policy has `logits`, one for each action, and took `action` (an int). Return the gradient of
log π(action) with respect to the logits, the same shape.""",
    hints=("log π(a) = logit_a − log Σ exp(logits). Differentiate both terms.",
           "The first term gives 1 at the action taken; the second gives minus the softmax everywhere."),
    cases=_score_cases,
    reference=lambda logits, action: _one_hot(logits, action) - _softmax(logits),
    misconceptions=(
        Misconception("the gradient of −log π, a loss", "Which way should the logit of the taken action go?",
                      lambda logits, action: _softmax(logits) - _one_hot(logits, action)),
        Misconception("the gradient of π, without the log", "Divide by π(action): that is what the log does.",
                      lambda logits, action: _softmax(logits)[action] * (
                          _one_hot(logits, action) - _softmax(logits))),
        Misconception("the gradient divided by π once more", "log already divides by π(action).",
                      lambda logits, action: (_one_hot(logits, action) - _softmax(logits))
                      / _softmax(logits)[action]),
        Misconception("the gradient for the taken action only", "The other logits share in the normalisation.",
                      lambda logits, action: _one_hot(logits, action) * (1 - _softmax(logits))),
        Misconception("the one-hot less the logits", "Less the probabilities: softmax of the logits.",
                      lambda logits, action: _one_hot(logits, action) - logits),
        Misconception("the first term only", "Raising one logit lowers the share of all the others.",
                      lambda logits, action: _one_hot(logits, action)),
    ))


def _critic_cases(seed):
    rng = np.random.default_rng(seed)

    def case(label, terminated, gamma, alpha):
        value, reward, next_value = rng.uniform(0.5, 3, 3).round(1).tolist()
        return Case(label, dict(value=value, reward=value + reward, next_value=next_value,
                                terminated=terminated, gamma=gamma, alpha=alpha))
    return [case("a step in the middle", False, 0.9, 0.5), case("the last step of an episode", True, 0.9, 0.2),
            case("another step", False, 0.8, 0.1)]


CRITIC = Exercise(
    id="start.critic", notebook="00_before_you_start", title="One update of the critic",
    function="critic_update", points=1, difficulty="easy", minutes=2,
    task="""The critic says `value` for this state and `next_value` for the next one. The step paid `reward`;
`terminated` tells whether the episode ended there, so that nothing follows. Return the new value of this state
after one TD update with step size `alpha`.""",
    hints=("First the TD error δ: what the step paid and promises next, less what was promised before.",
           "A state after the end is worth 0. New value = old value + α·δ."),
    cases=_critic_cases,
    reference=lambda value, reward, next_value, terminated, gamma, alpha:
        value + alpha * (reward + gamma * next_value * (not terminated) - value),
    misconceptions=(
        Misconception("an update that looks past the end", "What is the next state worth where there is none?",
                      lambda v, r, nv, te, g, a: v + a * (r + g * nv - v)),
        Misconception("a step away from the target", "A positive surprise should raise the value.",
                      lambda v, r, nv, te, g, a: v - a * (r + g * nv * (not te) - v)),
        Misconception("an update without the old promise", "δ is a difference: what was promised before?",
                      lambda v, r, nv, te, g, a: v + a * (r + g * nv * (not te))),
        Misconception("an update that discounts the old promise as well", "Which state is one step away?",
                      lambda v, r, nv, te, g, a: v + a * (r + g * (nv * (not te) - v))),
        Misconception("no update where the episode ends", "The last step paid something: learn from it.",
                      lambda v, r, nv, te, g, a: v + a * (r + g * nv - v) * (not te)),
        Misconception("an update with α and 1 − α exchanged", "With a small α the value should hardly move.",
                      lambda v, r, nv, te, g, a: a * v + (1 - a) * (r + g * nv * (not te))),
        Misconception("an update with γ forgotten", "The next state is one step away.",
                      lambda v, r, nv, te, g, a: v + a * (r + nv * (not te) - v)),
    ))


def _clip_cases(seed):
    rng = np.random.default_rng(seed)
    return [Case("good actions", dict(ratios=np.array([0.5, 1.0, 1.1, 1.5]), advantages=np.ones(4), clip=0.2)),
            Case("bad actions", dict(ratios=np.array([0.5, 1.0, 1.1, 1.5]), advantages=-np.ones(4), clip=0.2)),
            Case("a smaller ε", dict(ratios=np.array([0.5, 0.85, 1.15, 1.5]),
                                     advantages=np.array([-1.0, -2.0, 2.0, 1.0]), clip=0.1)),
            Case("a mix", dict(ratios=rng.uniform(0.4, 1.8, 4).round(1),
                               advantages=rng.normal(size=4).round(1), clip=0.3))]


CLIP = Exercise(
    id="start.clip", notebook="00_before_you_start", title="PPO's clipped objective",
    function="clipped_objective", points=1, difficulty="medium", minutes=3,
    task="""Given the probability `ratios` and the `advantages`, both `(N,)`, and `clip` (ε), return PPO's
objective for each sample, `(N,)`: the quantity to be raised, before any mean.""",
    hints=("Write both versions, with the ratio as it is and with the ratio kept inside 1 ± ε.",
           "Take the smaller of the two *products*: the pessimistic one."),
    cases=_clip_cases,
    reference=lambda ratios, advantages, clip: np.minimum(
        ratios * advantages, ratios.clip(1 - clip, 1 + clip) * advantages),
    misconceptions=(
        Misconception("the clipped product alone", "A bad action made likelier must still be pushed down.",
                      lambda r, a, c: r.clip(1 - c, 1 + c) * a),
        Misconception("the larger of the two products", "PPO takes the pessimistic one.",
                      lambda r, a, c: np.maximum(r * a, r.clip(1 - c, 1 + c) * a)),
        Misconception("the smaller ratio times the advantage", "Take the minimum of the products instead: "
                      "with a negative advantage the order turns round.",
                      lambda r, a, c: np.minimum(r, r.clip(1 - c, 1 + c)) * a),
        Misconception("ε taken for .2 whatever it is", "Use the argument `clip`.",
                      lambda r, a, c: np.minimum(r * a, r.clip(0.8, 1.2) * a)),
        Misconception("the ratio never clipped", "Where does ε come in?", lambda r, a, c: r * a),
    ))

EXERCISES = (ADVANTAGE, SCORE, CRITIC, CLIP)
