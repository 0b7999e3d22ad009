"""Decisions that several exercises share, with the wrong choices that people make. `g` is what is given, by
name."""

import numpy as np

from coursekit.exercises.base import Choice, Slot

# What adds up backwards, in whole or in part: refused where that sum is the exercise.
SCANS = tuple(f"_scans.{name}" for name in (
    "gae_by_parts", "discounted_sums", "_in_place", "_step_by_step", "_transposed", "_block_by_block", "_doubling",
    "_weighted_doubling"))


def shifted(flags, by):
    """Flags as code reads them that takes row t + by for row t; past the end they are False."""
    rows = np.arange(len(flags)) + by
    return np.where((rows >= 0) & (rows < len(flags)), flags[rows.clip(0, len(flags) - 1)], False)


def next_rows(g):
    """V of the next row; after the last row the value that was given for it."""
    return np.append(g.values[1:], g.next_values[-1])


def needs_the_next_row(g):
    """V of the next row, by an index that leaves the array at the last row, unless that step terminated."""
    if not g.terminated[-1]:
        raise IndexError
    return np.where(g.terminated, 0, np.append(g.values[1:], 0))


def with_flags(g, change):
    """What is given, with another reading of its flags."""
    flags = {name: change(given) for name, given in vars(g).items() if name in ("terminated", "truncated")}
    return type(g)(**vars(g) | flags)


def without_limits(slot):
    """A slot for an exercise that is not given `truncated`."""
    return slot._replace(wrong=tuple(c for c in slot.wrong if "truncated" not in c.value.__code__.co_names))


LATE = ("a reading of the flags one row late", "Does a flag at row t end step t, or step t − 1?")

FLAGS = Slot("flags", lambda g: g, (
    Choice(*LATE, lambda g: with_flags(g, lambda flags: shifted(flags, 1))),
    Choice(*LATE, lambda g: with_flags(g, lambda flags: np.append(flags[1:], flags[-1]))),
    Choice("a reading of the flags one row early", "Does a flag at row t end step t, or step t + 1?",
           lambda g: with_flags(g, lambda flags: shifted(flags, -1))),
    Choice("a confusion of the two flags", "Which of the two flags leaves a future?",
           lambda g: type(g)(**vars(g) | dict(terminated=g.truncated, truncated=g.terminated))),
))

BOOTSTRAP = Slot("bootstrap", lambda g: np.where(g.terminated, 0, g.next_values), (
    Choice("a time limit taken for a death", "Did the world stop at a truncated step, or did we?",
           lambda g: np.where(g.terminated | g.truncated, 0, g.next_values)),
    Choice("a bootstrap that lets truncated win where both flags are set",
           "Is there a future for a state that is dead at the time limit?",
           lambda g: np.where(g.terminated & ~g.truncated, 0, g.next_values)),
    Choice("a bootstrap that looks past a death", "What follows a terminated step?", lambda g: g.next_values),
    Choice("a mask by multiplication", "What is 0 times NaN?", lambda g: g.next_values * (1 - g.terminated)),
    Choice("a time limit taken for a death, in a mask by multiplication",
           "Did the world stop at a truncated step? And what is 0 times NaN?",
           lambda g: g.next_values * (1 - (g.terminated | g.truncated))),
    Choice("a last row without its bootstrap",
           "The rollout may stop where its episode goes on: what is that worth?",
           lambda g: np.append(np.where(g.terminated, 0, g.next_values)[:-1], 0)),
    Choice("a last row without its bootstrap",
           "The rollout may stop where its episode goes on: what is that worth?",
           lambda g: np.append(np.where(g.terminated, 0, g.next_values)[:-1],
                               g.next_values[-1] if g.truncated[-1] and not g.terminated[-1] else 0)),
    Choice("an answer without any bootstrap", "What is the future of a step worth, as far as we know?",
           lambda g: np.zeros(len(g.next_values))),
    Choice("a last row that always has its bootstrap", "What if the last row is terminated?",
           lambda g: np.append(np.where(g.terminated, 0, g.next_values)[:-1], g.next_values[-1])),
    Choice("a mask turned round: a bootstrap at a death alone", "Which steps have a future?",
           lambda g: np.where(g.terminated, g.next_values, 0)),
    Choice("a bootstrap at a time limit alone", "Which steps have a future?",
           lambda g: np.where(g.truncated & ~g.terminated, g.next_values, 0)),
    Choice("a bootstrap at a time limit alone", "Which steps have a future?",
           lambda g: np.where(g.truncated, g.next_values, 0)),
    Choice("a bootstrap at the ends alone", "Which steps have a future?",
           lambda g: np.where(g.terminated | g.truncated, g.next_values, 0)),
    Choice("a death that is overlooked unless the limit strikes as well",
           "May an episode end by itself before its limit?",
           lambda g: np.where(g.terminated & g.truncated, 0, g.next_values)),
    Choice("a death that is recognised by NaN alone", "May a dead state's value be a number?",
           lambda g: np.nan_to_num(g.next_values)),
    Choice("the next row of `next_values` in the place of this one", "Whose successor is `next_values[t]`?",
           lambda g: np.where(g.terminated, 0, np.append(g.next_values[1:], g.next_values[-1]))),
    Choice("the next row of `next_values` in the place of this one", "Whose successor is `next_values[t]`?",
           lambda g: np.where(g.terminated, 0, np.append(g.next_values[1:], 0))),
))

# For exercises that are given `values` as well: the next row may belong to another episode.
NEXT_ROW = (
    Choice("the next row's value taken for that of the next state", "Whose state is the next row after an end?",
           lambda g: np.where(g.terminated, 0, next_rows(g))),
    Choice("the next row's value taken for that of the next state, and 0 after the last row",
           "Whose state is the next row after an end? And what is the future of the last row worth?",
           lambda g: np.where(g.terminated, 0, np.append(g.values[1:], 0))),
    Choice("the next row's value taken for that of the next state", "Whose state is the next row after an end?",
           needs_the_next_row),
    Choice("the next row's value taken for that of the next state, and the first row's after the last row",
           "What does the end of an array wrap around to?",
           lambda g: np.where(g.terminated, 0, np.roll(g.values, -1))),
    Choice("the next row's value at every step, whatever ended", "Whose state is the next row after an end?",
           lambda g: np.append(g.values[1:], 0)),
    Choice("the next row's value at every step, whatever ended", "Whose state is the next row after an end?",
           next_rows),
    Choice("the next row's value at every step, whatever ended", "Whose state is the next row after an end?",
           lambda g: np.roll(g.values, -1)),
    Choice("the value of the state itself taken for that of the next state", "Which state follows step t?",
           lambda g: np.where(g.terminated, 0, g.values)),
)

STOP = Slot("stop", lambda g: g.terminated | g.truncated, (
    Choice("a sum that leaks across a time limit", "Whose steps follow the one at which the limit struck?",
           lambda g: g.terminated),
    Choice("a sum that leaks across a death", "Whose steps follow a terminated one?", lambda g: g.truncated),
    Choice("a sum that never stops at an end", "Where must the sum start anew?",
           lambda g: np.zeros(len(g.terminated), bool)),
    Choice("a sum that stops one step late", "At which step does the flag of step t stop the sum?",
           lambda g: shifted(g.terminated | g.truncated, 1)),
    Choice("a sum that stops one step early", "At which step does the flag of step t stop the sum?",
           lambda g: shifted(g.terminated | g.truncated, -1)),
))

DELTA = Slot("delta", lambda g, future: g.rewards + g.gamma * future - g.values, (
    Choice("a δ without γ", "How many steps away is the next state?",
           lambda g, future: g.rewards + future - g.values),
    Choice("a δ without V(s)", "What is an advantage measured against?",
           lambda g, future: g.rewards + g.gamma * future),
    Choice("a δ that discounts V(s) as well", "Which of the two states is one step away?",
           lambda g, future: g.rewards + g.gamma * (future - g.values)),
    Choice("a δ that adds V(s) where it should be subtracted", "What is an advantage measured against?",
           lambda g, future: g.rewards + g.gamma * future + g.values),
    Choice("a δ without the reward", "What did the step itself bring?",
           lambda g, future: g.gamma * future - g.values),
    Choice("a δ that discounts the reward as well", "When does the reward of a step come?",
           lambda g, future: g.gamma * (g.rewards + future) - g.values),
    Choice("a δ with γ twice", "How many steps away is the next state?",
           lambda g, future: g.rewards + g.gamma**2 * future - g.values),
    Choice("a δ that subtracts the next state's value", "Is it good or bad, if much is to follow?",
           lambda g, future: g.rewards - g.gamma * future - g.values),
    Choice("an exchange of V(s) and the value of the next state", "Which of the two states was left?",
           lambda g, future: g.rewards + g.gamma * g.values - future),
    Choice("a δ with the reward of the next row", "Which reward did step t bring?",
           lambda g, future: np.append(g.rewards[1:], 0) + g.gamma * future - g.values),
    Choice("a δ with the reward of the next row", "Which reward did step t bring?",
           lambda g, future: np.roll(g.rewards, -1) + g.gamma * future - g.values),
    Choice("a δ without its reward at a death", "Was the last step before the end played, or not?",
           lambda g, future: np.where(g.terminated, 0, g.rewards) + g.gamma * future - g.values),
    Choice("a δ without V(s) at a death", "With what is the last reward compared?",
           lambda g, future: g.rewards + g.gamma * future - np.where(g.terminated, 0, g.values)),
    Choice("a δ set to 0 at a time limit", "Was the step before the limit played, or not?",
           lambda g, future: np.where(g.truncated & ~g.terminated, 0, g.rewards + g.gamma * future - g.values)),
    Choice("a δ set to 0 at a death", "Was the last step before the end played, or not?",
           lambda g, future: np.where(g.terminated, 0, g.rewards + g.gamma * future - g.values)),
    Choice("a bootstrap counted twice at a time limit", "Is γV folded into the reward, and bootstrapped as well?",
           lambda g, future: g.rewards + g.gamma * np.where(g.truncated, 2, 1) * future - g.values),
))

DECAY = Slot("decay", lambda g: g.gamma * g.lam, (
    Choice("a trace without λ, which is Monte Carlo", "What does λ do to a later δ?", lambda g: g.gamma),
    Choice("a trace without γ", "How much is a δ worth one step earlier?", lambda g: g.lam),
    Choice("a trace with γ twice", "What does one step cost?", lambda g: g.gamma**2 * g.lam),
    Choice("a trace with λ twice", "What does one step cost?", lambda g: g.gamma * g.lam**2),
    Choice("a trace with 1 − λ in the place of λ", "Which λ should carry every later δ in full?",
           lambda g: g.gamma * (1 - g.lam)),
    Choice("the TD error alone", "What of the surprises that follow?", lambda g: 0),
    Choice("a trace without γ and λ", "How much is a δ worth one step earlier?", lambda g: 1),
))

def sum_back(x, stop, factor):
    """y_t = x_t + factor · [not stop_t] · y_{t+1}"""
    total, sums = 0.0, []
    for gain, ended in zip(x[::-1].tolist(), stop[::-1].tolist()):
        total = gain + factor * (0.0 if ended else total)
        sums.append(total)
    return np.array(sums[::-1])


# Batches of responses, padded on the right: `mask`, (B, R), is True at real tokens.


def at(columns, mask):
    """1.0 in one column of each row, 0.0 elsewhere; a column that is not there is in no row."""
    return 1.0 * (np.arange(mask.shape[1]) == np.asarray(columns)[:, None])


def needs_a_padding(mask):
    """The first column after each response, by an index that leaves the array where there is no padding."""
    if mask.all(1).any():
        raise IndexError
    return at(mask.sum(1), mask)


_COUNT = "Counted from 0, at which position does a reply of n tokens end?"

END = Slot("end", lambda mask: at(mask.sum(1) - 1, mask), (
    Choice("a score in the last column", "Does every reply end in the last column?",
           lambda mask: at([mask.shape[1] - 1], mask) + 0.0 * mask),
    Choice("a score on every token", "How often is the score given?", lambda mask: 1.0 * mask),
    Choice("a score at the first padding token", _COUNT, lambda mask: at(mask.sum(1), mask)),
    Choice("a score at the first padding token", _COUNT,
           lambda mask: at(np.minimum(mask.sum(1), mask.shape[1] - 1), mask)),
    Choice("a score at the first padding token", _COUNT, needs_a_padding),
    Choice("a score one token before the last", _COUNT,
           lambda mask: at((mask.sum(1) - 2) % mask.shape[1], mask)),
    Choice("a score one token before the last", _COUNT, lambda mask: at(mask.sum(1) - 2, mask)),
    Choice("a score at the first token", "When is the score of a reply known?",
           lambda mask: at([0], mask) + 0.0 * mask),
    Choice("a score divided among the tokens of its reply", "Is the score given in parts?",
           lambda mask: mask / mask.sum(1, keepdims=True)),
    Choice("an answer without the scores of replies that the length limit cut",
           "What does the text say of a reply that has no `<end>`?",
           lambda mask: at(mask.sum(1) - 1, mask) * ~mask.all(1, keepdims=True)),
))

MULTIPLIED = ("a mask by multiplication", "What is 0 times NaN?")

# How the real entries of a batch are standardised.


def mean(x):
    return x.sum() / np.float64(x.size)


def deviation(x, ddof=1):
    off = x - mean(x)
    return np.sqrt(off.dot(off) / np.float64(x.size - ddof))


CENTRE = Slot("centre", mean, (
    Choice("scaling without shifting", "What is the mean of what you return?", lambda x: 0.0),
    Choice("the median taken away in the place of the mean", "What is the mean of what you return?",
           lambda x: np.sort(x)[[(x.size - 1) // 2, x.size // 2]].mean() if x.size else 0.0),
))

SCALE = Slot("scale", deviation, (
    Choice("the standard deviation of a whole population", "What does your deviation divide by?",
           lambda x: deviation(x, 0)),
    Choice("shifting without scaling", "What is the standard deviation of what you return?", lambda x: 1.0),
    Choice("the variance in the place of the standard deviation", "In which units is what you divide by?",
           lambda x: deviation(x) ** 2),
    Choice("the variance of a whole population in the place of the standard deviation",
           "In which units is what you divide by?", lambda x: deviation(x, 0) ** 2),
    Choice("a deviation from 0 in the place of the deviation from the mean",
           "From where does a standard deviation count?",
           lambda x: np.sqrt((x**2).sum() / np.float64(x.size - 1))),
))

OVER = Slot("over", lambda x: [np.ones_like(x, bool)], (
    Choice("each reply standardised on its own", "Over which entries are mean and deviation taken?",
           lambda x: [np.arange(len(x))[:, None] == b for b in range(len(x))]),
    Choice("each position standardised on its own", "Over which entries are mean and deviation taken?",
           lambda x: [np.arange(x.shape[1]) == t for t in range(x.shape[1])]),
))

# (x, which of its entries count for mean and deviation)
COUNTED = Slot("counted", lambda x, mask: (x, mask), (
    Choice("a mean and a deviation that count the padding", "Which entries are real?",
           lambda x, mask: (x, np.ones_like(mask))),
    Choice("a mean and a deviation that count the padding as zeros", "Which entries are real?",
           lambda x, mask: (np.where(mask, x, 0.0), np.ones_like(mask))),
    Choice("a real advantage of 0 taken for padding", "How do you know what is real?",
           lambda x, mask: (np.where(mask, x, 0.0), np.where(mask, x, 0.0) != 0)),
))

REST = Slot("rest", lambda white, x, mask: np.where(mask, white, 0.0), (
    Choice("an answer with other numbers than 0 at the padding", "What is wanted at the padding?",
           lambda white, x, mask: white),
    Choice("an answer that leaves the padding as it was", "What is wanted at the padding?",
           lambda white, x, mask: np.where(mask, white, x)),
    Choice(*MULTIPLIED, lambda white, x, mask: white * mask),
))


def standardised(x, mask, over, counted, centre, scale, rest):
    held = x
    x, kept = counted(x, mask)
    with np.errstate(all="ignore"):
        white = [(part, (x - centre(inside)) / scale(inside)) for part in over(x) for inside in [x[part & kept]]]
    return rest(white[0][1] if len(white) == 1 else sum(np.where(*pair, 0.0) for pair in white), held, mask)


# PPO's clip: the ratio kept near 1, and which of the two products counts for a step.

BOUNDED = Slot("bounded", lambda g, ratios: np.clip(ratios, 1 - g.clip, 1 + g.clip), (
    Choice("a clip to ±ε", "Around which ratio is nothing changed?",
           lambda g, ratios: np.clip(ratios, -g.clip, g.clip)),
    Choice("a clip on the upper side only", "May a ratio fall as far as it likes?",
           lambda g, ratios: np.minimum(ratios, 1 + g.clip)),
    Choice("a clip on the lower side only", "May a ratio rise as far as it likes?",
           lambda g, ratios: np.maximum(ratios, 1 - g.clip)),
    Choice("a clip at a fixed ε of 0.2", "Is every argument used?",
           lambda g, ratios: np.clip(ratios, 0.8, 1.2)),
    Choice("a lower bound of 1/(1 + ε)", "How far below 1 may a ratio go?",
           lambda g, ratios: np.clip(ratios, 1 / (1 + g.clip), 1 + g.clip)),
    Choice("a lower bound of ε", "How far below 1 may a ratio go?",
           lambda g, ratios: np.clip(ratios, g.clip, 1 + g.clip)),
))

PESSIMISM = Slot("choose", lambda r, c, a: np.minimum(r * a, c * a), (
    Choice("an answer without the clip", "What keeps the policy near the old one?", lambda r, c, a: r * a),
    Choice("the clipped product alone", "What undoes a bad step that has become likelier?",
           lambda r, c, a: c * a),
    Choice("the larger of the two products", "Is PPO optimistic or pessimistic?",
           lambda r, c, a: np.maximum(r * a, c * a)),
    Choice("a clipped ratio that is not multiplied by the advantage", "Of which two products is one chosen?",
           lambda r, c, a: np.minimum(r * a, c)),
    Choice("the smaller ratio times the advantage", "Which is smaller, where the advantage is negative?",
           lambda r, c, a: np.minimum(r, c) * a),
    Choice("a second clip, at three times the advantage, for bad steps",
           "Does the formula have a third part?",
           lambda r, c, a: np.where(a < 0, np.maximum(np.minimum(r * a, c * a), 3 * a),
                                    np.minimum(r * a, c * a))),
))
