"""Answers as people write them, right and wrong, with loops and with numpy: {exercise: [sources]}."""

ANSWERS = {
    "start.advantage": ['''
def advantage(q_values, policy):
    v = sum(p * q for p, q in zip(policy, q_values))
    return [q - v for q in q_values]
''', '''
import numpy as np
def advantage(q_values, policy):
    return q_values - np.average(q_values, weights=policy)
''', '''
def advantage(q_values, policy):
    return q_values - policy @ q_values
''', '''
def advantage(q_values, policy):
    value = np.dot(policy, q_values)
    print(f"V = {value:.3f}", policy, q_values.shape, [round(float(q), 2) for q in q_values])
    q_values -= value
    return q_values
''', '''
def advantage(q_values, policy):
    print("for {} values, {:.2f} first".format(len(q_values), q_values[0]), "f{x}", rf"{len(policy)}")
    print(f"{len(policy), 1} {policy[0]} {{}}")
    return q_values - (q_values * policy).sum()
''', '''
from __future__ import annotations
import copy, time
from collections import Counter, defaultdict, deque
from typing import List
import numpy as np
def advantage(q_values: np.ndarray, policy: List[float]) -> np.ndarray:
    seen, total = defaultdict(float), deque()
    for i, (q, p) in enumerate(zip(q_values, policy)):
        seen[i] += q * p
        total.append(seen[i])
    counted = Counter("abba")
    print(sorted(seen), len(seen), 0 in seen, len(list(seen.values())))
    print(counted["a"], counted["z"], total.popleft() > 9)
    return copy.copy(q_values) - sum(seen.values())
''', '''
def advantage(q_values, policy):
    n, i = len(q_values), 2
    print(2 == i < 3, 0 < i == 2 < n + 9, 1 == n < 9, i is i < 3, (i < 3) in [True], 1 != i < 3)
    above = 0
    for q in q_values:
        if ~(q <= q_values.mean()):
            above += 1
    flags = q_values > 0
    print(above, [1 for f in flags if ~f], ~n, -n + ~i, list(~flags[::-1]) == [not f for f in flags[::-1]])
    return q_values - np.bincount([0] * n, weights=q_values * policy)[0]
''', '''
def advantage(q_values, policy):
    return q_values - max(q_values)
'''],
    "start.score": ['''
import math
def score(logits, action):
    total = sum(math.exp(z) for z in logits)
    return [(1.0 if i == action else 0.0) - math.exp(z) / total for i, z in enumerate(logits)]
''', '''
def score(logits, action):
    p = np.exp(logits) / np.sum(np.exp(logits))
    one_hot = np.eye(len(logits))[action]
    return one_hot - p
''', '''
def score(logits, action):
    p = np.exp(logits - np.max(logits))
    p /= p.sum()
    return (np.arange(len(p)) == action) - p
''', '''
def score(logits, action):
    g = np.zeros_like(logits)
    g[action] = 1
    return g
'''],
    "start.critic": ['''
def critic_update(value, reward, next_value, terminated, gamma, alpha):
    delta = reward + gamma * next_value * (1 - terminated) - value
    value += alpha * delta
    return value
''', '''
def critic_update(value, reward, next_value, terminated, gamma, alpha):
    target = reward if terminated else reward + gamma * next_value
    return (1 - alpha) * value + alpha * target
'''],
    "start.clip": ['''
def clipped_objective(ratios, advantages, clip):
    out = []
    for r, a in zip(ratios, advantages):
        c = min(max(r, 1 - clip), 1 + clip)
        out.append(min(r * a, c * a))
    return np.array(out)
''', '''
def clipped_objective(ratios, advantages, clip):
    bounded = ratios.copy()
    bounded[ratios < 1 - clip] = 1 - clip
    bounded[1 + clip < ratios] = 1 + clip
    return np.minimum(ratios * advantages, bounded * advantages)
''', '''
def clipped_objective(ratios, advantages, clip):
    too_far = np.where(advantages > 0, ratios > 1 + clip, ratios < 1 - clip)
    edge = 1 + clip * np.sign(advantages)
    return np.where(too_far, edge, ratios) * advantages
''', '''
def clipped_objective(ratios, advantages, clip):
    return np.clip(ratios, 1 - clip, 1 + clip) * advantages
'''],
    "td.error": ['''
def td_error(rewards, values, next_values, terminated, gamma):
    deltas = np.zeros(len(rewards))
    for t in range(len(rewards)):
        future = 0 if terminated[t] else next_values[t]
        deltas[t] = rewards[t] + gamma * future - values[t]
    return deltas
''', '''
def td_error(rewards, values, next_values, terminated, gamma):
    future = next_values.copy()
    future[terminated] = 0
    return rewards + gamma * future - values
''', '''
def td_error(rewards, values, next_values, terminated, gamma):
    return rewards + gamma * next_values * ~terminated - values
'''],
    "td.bootstrap": ['''
def bootstrap(next_values, terminated, truncated):
    result = []
    for v, dead in zip(next_values, terminated):
        if ~dead:
            result.append(v)
        else:
            result.append(0)
    return result
''', '''
def bootstrap(next_values, terminated, truncated):
    return np.nan_to_num(next_values) * np.logical_not(terminated)
''', '''
def bootstrap(next_values, terminated, truncated):
    return np.where(np.logical_or(terminated, truncated), 0, next_values)
'''],
    "td.mc_returns": ['''
def mc_return(rewards, next_values, terminated, truncated, gamma):
    T = len(rewards)
    G = np.empty(T)
    for t in range(T - 1, -1, -1):
        if terminated[t]:
            G[t] = rewards[t]
        elif truncated[t] or t == T - 1:
            G[t] = rewards[t] + gamma * next_values[t]
        else:
            G[t] = rewards[t] + gamma * G[t + 1]
    return G
''', '''
def mc_return(rewards, next_values, terminated, truncated, gamma):
    returns = np.zeros_like(rewards)
    running = next_values[-1]
    for t, (r, nv, te, tr) in reversed(list(enumerate(zip(rewards, next_values, terminated, truncated)))):
        running = 0.0 if te else nv if tr else running
        running = r + gamma * running
        returns[t] = running
    return returns
'''],
    "td.n_step": ['''
def n_step_advantage(rewards, values, n, gamma):
    T = len(rewards)
    padded = np.concatenate([values, np.zeros(n)])
    out = np.zeros(T)
    for t in range(T):
        window = rewards[t:t + n]
        out[t] = (gamma ** np.arange(len(window)) * window).sum() + gamma ** n * padded[t + n] - values[t]
    return out
'''],
    "td.bias": ['''
def td_bias(errors, gamma):
    following = np.roll(errors, -1)
    following[-1] = 0
    return gamma * following - errors
''', '''
def td_bias(errors, gamma):
    return [gamma * b - a for a, b in zip(errors, list(errors[1:]) + [0.0])]
'''],
    "td.error_parts": ['''
def error_parts(estimates, truth):
    bias = np.mean(estimates) - truth
    return bias, np.var(estimates), np.mean((estimates - truth) ** 2)
''', '''
def error_parts(estimates, truth):
    n = len(estimates)
    mean = sum(estimates) / n
    variance = sum((x - mean) ** 2 for x in estimates) / n
    return [mean - truth, variance, variance + (mean - truth) ** 2]
'''],
    "gae.weights": ['''
def mixture_weights(lam, steps):
    w = [(1 - lam) * lam ** k for k in range(steps)]
    w[-1] = 1 - sum(w[:-1])
    return w
''', '''
def mixture_weights(lam, steps):
    return (1 - lam) * lam ** np.arange(steps)
''', '''
def mixture_weights(lam, steps):
    powers = np.power(float(lam), np.arange(steps))
    return np.append(-np.diff(powers), powers[-1])
'''],
    "gae.recursion": ['''
def gae_recursion(rewards, values, next_values, terminated, truncated, gamma, lam):
    adv = np.zeros(len(rewards))
    last = 0
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + gamma * (0 if terminated[t] else next_values[t]) - values[t]
        last = delta + gamma * lam * (1 - (terminated[t] or truncated[t])) * last
        adv[t] = last
    return adv
''', '''
def gae_recursion(rewards, values, next_values, terminated, truncated, gamma, lam):
    deltas = rewards + gamma * np.where(terminated, 0, next_values) - values
    ended = terminated | truncated
    out = deltas.copy()
    for t in range(len(out) - 2, -1, -1):
        if not ended[t]:
            out[t] += gamma * lam * out[t + 1]
    return out
''', '''
def gae_recursion(rewards, values, next_values, terminated, truncated, gamma, lam):
    return gae(rewards, values, next_values, terminated, truncated, gamma=gamma, lam=lam)
'''],
    "gae.targets": ['''
def targets(advantages, values):
    a = np.array(advantages)
    return (a - np.mean(a)) / np.std(a, ddof=1), a + values
''', '''
def targets(advantages, values):
    advantages -= advantages.mean()
    advantages /= advantages.std(ddof=1)
    return advantages, advantages + values
'''],
    "gae.constant_error": ['''
def constant_error_bias(error, steps, gamma, lam):
    deltas = np.ones(steps) * error * (gamma - 1)
    deltas[steps - 1] = -error
    total, out = 0.0, []
    for d in deltas[::-1]:
        total = d + gamma * lam * total
        out.insert(0, total)
    return out
'''],
    "gae.best_lambda": ['''
def best_lambda(lams, bias, variance):
    best, least = None, np.inf
    for lam, b, v in zip(lams, bias, variance):
        mse = np.mean(b ** 2 + v)
        if mse < least:
            best, least = lam, mse
    return best
''', '''
def best_lambda(lams, bias, variance):
    mse = np.mean(np.square(bias) + variance, axis=-1)
    order = np.argsort(mse)
    return lams[order][0]
'''],
    "gae_at_work.valid": ['''
def valid_rows(terminated, truncated, dead):
    ended = np.logical_or(terminated, truncated)
    valid = np.ones_like(ended)
    for n in range(ended.shape[0]):
        valid[n, 0] = not dead[n]
        for t in range(1, ended.shape[1]):
            valid[n, t] = not ended[n, t - 1]
    return valid, ended[:, -1]
''', '''
def valid_rows(terminated, truncated, dead):
    ended = terminated | truncated
    before = np.hstack([dead.reshape(-1, 1), ended])
    return ~before[:, :-1], before[:, -1]
'''],
    "gae_at_work.same_step": ['''
def same_step_next_values(values, last_value, final_values, terminated, truncated):
    nxt = np.zeros_like(values)
    nxt[:-1], nxt[-1] = values[1:], last_value
    nxt[truncated] = final_values[truncated]
    nxt[terminated] = 0
    return nxt
'''],
    "rm.probability": ['''
def preference_probability(first_scores, second_scores):
    return 1 / (1 + np.exp(second_scores - first_scores))
''', '''
import math
def sigmoid(x):
    return 1 / (1 + math.exp(-x)) if x > 0 else math.exp(x) / (1 + math.exp(x))
def preference_probability(first_scores, second_scores):
    return np.array([sigmoid(a - b) for a, b in zip(first_scores, second_scores)])
''', '''
def preference_probability(first_scores, second_scores):
    return np.exp(-np.logaddexp(0, second_scores - first_scores))
'''],
    "rm.loss": ['''
def reward_loss(chosen_scores, rejected_scores):
    d = chosen_scores - rejected_scores
    return np.mean(np.log1p(np.exp(-np.abs(d))) + np.maximum(-d, 0))
''', '''
def reward_loss(chosen_scores, rejected_scores):
    return -np.log(1 / (1 + np.exp(rejected_scores - chosen_scores))).mean()
'''],
    "rm.accuracy": ['''
def pair_accuracy(chosen_scores, rejected_scores):
    right = 0
    for c, r in zip(chosen_scores, rejected_scores):
        right += 1 if c > r else 0.5 if c == r else 0
    return right / len(chosen_scores)
''', '''
def pair_accuracy(chosen_scores, rejected_scores):
    return np.mean(0.5 * (1 + np.sign(chosen_scores - rejected_scores)))
''', '''
def pair_accuracy(chosen_scores, rejected_scores):
    return np.mean(chosen_scores > rejected_scores)
'''],
    "rm.last_token": ['''
def reply_scores(token_scores, mask):
    return [row[m][-1] for row, m in zip(token_scores, mask)]
''', '''
def reply_scores(token_scores, mask):
    return np.take_along_axis(token_scores, mask.sum(axis=1, keepdims=True) - 1, axis=1)[:, 0]
''', '''
def reply_scores(token_scores, mask):
    return token_scores[:, -1]
'''],
    "rm.calibration": ['''
def calibration_error(probabilities, outcomes, bins):
    total = 0
    edges = np.linspace(0, 1, bins + 1)
    for i, (low, high) in enumerate(zip(edges[:-1], edges[1:])):
        inside = (low <= probabilities) & (probabilities < high)
        if i == bins - 1:
            inside |= probabilities == 1
        if inside.sum() > 0:
            total += inside.sum() * abs(np.mean(probabilities[inside]) - np.mean(outcomes[inside]))
    return total / len(probabilities)
'''],
    "rm.bias": ['''
def longer_wins(words_gap, gold_gap, first_wins):
    wins = n = 0
    for words, gold, first in zip(words_gap, gold_gap, first_wins):
        if gold != 0 or words == 0:
            continue
        n += 1
        wins += first == (words > 0)
    return wins / n
'''],
    "rm.shift": ['''
def first_alarm(said, rounds, tolerance):
    for r in dict.fromkeys(rounds.tolist()):
        p = said[rounds == r]
        if np.maximum(p, 1. - p).mean() - (p > 0.5).mean() > tolerance:
            return r
    return -1
''', '''
from itertools import groupby
from statistics import fmean

def first_alarm(said, rounds, tolerance):
    """Rounds and confidences in pairs, sorted, with ties in the first place."""
    for r, group in groupby(sorted(zip(rounds, said)), key=lambda pair: pair[0]):
        ps = [p for _, p in group]
        confidence = fmean(max(p, 1 - p) for p in ps)
        if confidence - fmean(float(p > .5) for p in ps) > tolerance:
            return r
    return -1
''', '''
def first_alarm(said, rounds, tolerance):
    for r in sorted(set(rounds)):
        p = said[rounds == r]
        if np.maximum(p, 1 - p).mean() - np.mean(p > 0.5) > tolerance:
            return int(r)
    return -1
'''],
    "credit.place": ['''
def place_score(scores, mask):
    rewards = np.zeros(mask.shape)
    for row, m, s in zip(rewards, mask, scores):
        row[np.where(m)[0][-1]] = s
    return rewards
''', '''
def place_score(scores, mask):
    return np.where(mask, scores[:, np.newaxis], 0) * (np.arange(mask.shape[1]) == mask.sum(1)[:, None] - 1)
'''],
    "credit.token_rewards": ['''
def token_rewards(scores, logprobs, ref_logprobs, mask, beta):
    rewards = -beta * np.where(mask, logprobs - ref_logprobs, 0.)
    ends = mask.shape[1] - 1 - mask[:, ::-1].argmax(axis=1)
    np.add.at(rewards, (np.arange(len(ends)), ends), scores)
    return rewards
''', '''
def token_rewards(scores, logprobs, ref_logprobs, mask, beta):
    r = -beta * (logprobs - ref_logprobs) * mask
    for i, s in enumerate(scores):
        r[i, int(mask[i].sum()) - 1] += s
    return r
'''],
    "credit.whiten": ['''
def whiten_advantages(advantages, mask):
    mean, sd = advantages.mean(where=mask), np.std(advantages, where=mask, ddof=1)
    return np.where(mask, (advantages - mean) / sd, 0)
''', '''
def whiten_advantages(advantages, mask):
    n = mask.sum()
    mean = (advantages * mask).sum() / n
    var = ((advantages - mean) ** 2 * mask).sum() / (n - 1)
    return (advantages - mean) / np.sqrt(var) * mask
'''],
    "credit.responsible": ['''
def responsible_token(score, values):
    jumps = [b - a for a, b in zip(values, list(values[1:]) + [score])]
    return max(range(len(jumps)), key=lambda i: abs(jumps[i]))
'''],
    "ppo.logprobs": ['''
def aligned_logprobs(logits, tokens):
    out = []
    for t in range(len(tokens) - 1):
        row = logits[t]
        out.append(row[tokens[t + 1]] - np.log(np.sum(np.exp(row))))
    return np.array(out)
'''],
    "ppo.kl": ['''
def kl_three_ways(logprobs, ref_logprobs):
    d = logprobs - ref_logprobs
    return np.stack([d, 0.5 * d * d, np.expm1(-d) + d])
'''],
    "ppo.value_loss": ['''
def clipped_value_loss(values, old_values, returns, clip):
    a = (values - returns) ** 2
    b = (old_values + (values - old_values).clip(-clip, clip) - returns) ** 2
    return 0.5 * np.mean(np.max([a, b], axis=0))
'''],
    "ppo.beta": ['''
def next_beta(beta, kl, target, replies, horizon):
    e = max(-0.2, min(0.2, kl / target - 1))
    return beta * (1 + e * replies / horizon)
'''],
    "ppo.diagnosis": ['''
def diagnose(kl, clip_fraction, explained_variance, proxy, length):
    if any(k < -2 for k in kl):
        return "Logits off by one "
    return "none"
'''],
    "group.rloo": ['''
def rloo_advantages(rewards):
    G = rewards.shape[1]
    return (rewards - rewards.mean(axis=1, keepdims=True)) * G / (G - 1)
''', '''
def rloo_advantages(rewards):
    out = []
    for group in rewards:
        out.append([r - (sum(group) - r) / (len(group) - 1) for r in group])
    return np.array(out)
''', '''
def rloo_advantages(rewards):
    return rewards - rewards.mean(axis=1, keepdims=True)
'''],
    "group.grpo": ['''
def standardised_groups(rewards):
    out = np.zeros(rewards.shape)
    for i, group in enumerate(rewards):
        if max(group) - min(group) >= 1e-6:
            out[i] = (group - group.mean()) / group.std()
    return out
''', '''
def standardised_groups(rewards):
    return (rewards - rewards.mean(1, keepdims=True)) / (rewards.std(1, keepdims=True) + 1e-8)
'''],
    "group.weight": ['''
import math
def weight_of_prompt(p, group):
    total = 0
    for k in range(group + 1):
        m = k / group
        total += math.comb(group, k) * p**k * (1 - p) ** (group - k) * math.sqrt(m * (1 - m))
    return total / (p * (1 - p))
'''],
    "group.ess": ['''
def effective_replies(old_logprobs, logprobs, mask):
    s = ((logprobs - old_logprobs) * mask).sum(axis=1)
    w = np.exp(s - np.max(s))
    return w.sum() ** 2 / np.sum(w * w)
''', '''
def effective_replies(old_logprobs, logprobs, mask):
    s = np.where(mask, logprobs - old_logprobs, 0).mean(axis=1)
    w = np.exp(s - s.max())
    return w.sum() ** 2 / (w * w).sum()
'''],
    "group.diagnosis": ['''
def which_setting(rewards, kl, advantages, beta):
    return "loss, divided" if advantages.std() < 1.01 else "loss"
'''],
    "group.filter": ['''
def groups_needed(p, group, kept):
    q = 1 - p
    mixed = 1 - p ** group - q ** group
    return kept * (1 / mixed)
''', '''
def groups_needed(p, group, kept):
    return kept / (1 - (1 - p) ** group)
'''],
    "group.weights": ['''
def token_weights(mask, limit):
    B = len(mask)
    out = np.zeros((3, B))
    for i, row in enumerate(mask):
        out[0, i] = 1 / sum(row) / B
        out[1, i] = 1 / np.sum(mask)
        out[2, i] = 1 / (B * limit)
    return out
''', '''
def token_weights(mask, limit):
    n = mask.sum(axis=1)
    B = len(mask)
    return np.array([1 / (B * n), np.full(B, 1 / mask.size), np.full(B, 1 / (B * limit))])
'''],
    "group.kl_loss": ['''
def kl_coefficients(logprobs, ref_logprobs):
    d = logprobs - ref_logprobs
    return np.vstack([0 * d + 1, d, 1 - np.exp(ref_logprobs) / np.exp(logprobs)])
''', '''
def kl_coefficients(logprobs, ref_logprobs):
    d = logprobs - ref_logprobs
    return np.array([d, d ** 2 / 2, np.exp(-d) - 1 + d])
'''],
    "direct.implicit": ['''
def implicit_reward(logprobs, ref_logprobs, mask, beta):
    out = []
    for new, old, real in zip(logprobs, ref_logprobs, mask):
        out.append(beta * sum(n - o for n, o, m in zip(new, old, real) if m))
    return np.array(out)
''', '''
def implicit_reward(logprobs, ref_logprobs, mask, beta):
    return beta * ((logprobs - ref_logprobs) * mask).sum(axis=1) / mask.sum(axis=1)
'''],
    "direct.dpo": ['''
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    x = -beta * ((chosen - rejected) - (ref_chosen - ref_rejected))
    return np.mean(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))
''', '''
def dpo_loss(chosen, rejected, ref_chosen, ref_rejected, beta):
    return np.logaddexp(0, -beta * (chosen - rejected)).mean()
'''],
    "direct.weight": ['''
def dpo_gradient(chosen, rejected, ref_chosen, ref_rejected, beta):
    d = beta * (chosen - ref_chosen - rejected + ref_rejected)
    return -beta * (1 - np.exp(-np.logaddexp(0, -d))) / chosen.size
''', '''
def dpo_gradient(chosen, rejected, ref_chosen, ref_rejected, beta):
    d = beta * (chosen - ref_chosen - rejected + ref_rejected)
    return -np.exp(-np.logaddexp(0, d)) / len(chosen)
'''],
    "direct.ipo": ['''
def ipo_loss(chosen, rejected, ref_chosen, ref_rejected, tau):
    total = 0.0
    for c, r, rc, rr in zip(chosen, rejected, ref_chosen, ref_rejected):
        total += (c - rc - (r - rr) - 0.5 / tau) ** 2
    return total / len(chosen)
''', '''
def ipo_loss(chosen, rejected, ref_chosen, ref_rejected, tau):
    lead = chosen - ref_chosen - (rejected - ref_rejected)
    return np.mean(np.maximum(1 / (2 * tau) - lead, 0) ** 2)
'''],
    "direct.ensemble": ['''
def pessimistic_score(scores, known):
    rows = [(s - np.mean(k)) / np.std(k) for s, k in zip(scores, known)]
    return np.min(rows, axis=0)
''', '''
def pessimistic_score(scores, known):
    return scores.min(axis=0)
'''],
    "direct.stale": ['''
def reweighted(logprobs, sampler_logprobs, advantages, mask, cap):
    out = np.zeros(mask.shape)
    for i in range(mask.shape[0]):
        for j in range(mask.shape[1]):
            if mask[i, j]:
                rho = np.exp(logprobs[i, j] - sampler_logprobs[i, j])
                out[i, j] = min(rho, cap) * advantages[i, j]
    return out
''', '''
def reweighted(logprobs, sampler_logprobs, advantages, mask, cap):
    rho = np.exp(sampler_logprobs - logprobs)
    return np.where(mask, np.minimum(rho, cap) * advantages, 0)
'''],
    "direct.verify": ['''
import re

def verified(reply, remedy):
    promise = re.compile(r"we will (?P<what>\\S+) it (?:today|tomorrow|soon|someday)")
    hits = [m["what"] for s in reply.split(" . ") if (m := promise.fullmatch(s.strip()))]
    return float(hits == [remedy])
''', '''
def verified(reply, remedy):
    found = []
    for sentence in reply.split(" . "):
        w = sentence.strip().split(" ")
        if len(w) == 5 and w[0] == "we" and w[1] == "will" and w[3] == "it":
            if w[4] in ["today", "tomorrow", "soon", "someday"]:
                found.append(w[2])
    return 1.0 if len(found) == 1 and found[0] == remedy else 0.0
''', '''
def verified(reply, remedy):
    return float(remedy in reply.split())
'''],
    "direct.progress": ['''
def progress_rewards(worth):
    out, last = [], 0
    for w in worth:
        out.append(w - last)
        last = w
    return out
''', '''
def progress_rewards(worth):
    return worth
'''],
    "credit.loss": ['''
def policy_loss(logprobs, advantages, mask):
    return np.mean(-advantages * logprobs, where=mask)
'''],
    "ppo.update": ['''
from coursekit.advantages import gae
from coursekit.tokens import token_rewards as rewards_of, token_steps

def what_to_learn_from(scores, kl, values, mask, beta, lam):
    kl, values = np.where(mask, kl, 0.0), np.where(mask, values, 0.0)
    steps = token_steps(rewards_of(scores, kl, mask, beta=beta), values, mask)
    a = gae(*steps, gamma=1.0, lam=lam)
    return np.where(mask, np.stack([(a - a[mask].mean()) / a[mask].std(ddof=1), a + values]), 0.0)
''']}
