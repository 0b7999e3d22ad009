"""The numbers that each figure that moves must show, computed from the library once more."""

import json
from itertools import product
from math import comb
from pathlib import Path

import gymnasium
import numpy as np
import torch

from coursekit import advantages, credit, helpdesk, preferences
from coursekit.exercises.base import running_example
from coursekit.ppo import clipped_policy_loss

RESULTS = Path(__file__).parent.parent / "experiments" / "results"


def objective():
    for ratio in np.arange(50, 151, 5) / 100:
        parts = []
        for advantage in (1.0, -1.0):
            old, new = torch.zeros(1), torch.tensor([ratio], dtype=torch.float32).log().requires_grad_()
            value = -clipped_policy_loss(new, old, torch.tensor([advantage]), clip=0.2)
            value.backward()
            parts.append(f"objective {value.item():.2f}, gradient {new.grad.item() + 0.0:.2f}")
        yield "good action: {}; bad action: {}".format(*parts)


def critic_updates():
    """A critic of the five-state walk: three episodes by themselves, then up to 2,000 updates, three step sizes."""
    critics = np.zeros((3, 7))
    state, rng = 3, np.random.default_rng(7)
    shown = {*range(1, 24), 50, 100, 200, 500, 1000, 2000}
    for update in range(1, 2001):
        following = state + rng.choice([-1, 1])
        target = {0: -1.0, 6: 1.0}.get(following, critics[:, following])
        critics[:, state] += np.array([0.02, 0.1, 0.5]) * (target - critics[:, state])
        if update in shown:
            rounded = critics[:, 1:-1].round(2) + 0.0
            yield from (f"values {' '.join(f'{v:.2f}' for v in critic)}; " for critic in rounded)
        state = 3 if following in (0, 6) else following


def n_steps():
    """The running example with one of its values changed, and n."""
    given = running_example()
    for step in range(5):
        for shift in (-0.4, -0.2, 0.0, 0.2, 0.4):
            values = given["values"] + shift * np.eye(5)[step]
            steps = dict(given, values=values, next_values=np.append(values[1:], 0.0))
            for n in range(1, 6):
                yield _line(advantages.n_step_advantages(**steps, gamma=1.0, n=n).round(2) + 0.0)


def ends():
    """Six steps, an end after each in turn, by a termination or a time limit, with four programs."""
    rewards, values = np.array([1.0, 0, 2, 0, 1, 3]), np.array([1.0, 2, 1.5, 0.5, 1, 2])
    for step in range(6):
        ended, going_on = np.arange(6) == step, np.append(values[1:], 2.5)
        here, never, next_row = np.where(ended, 4.0, going_on), np.zeros(6, bool), np.append(values[1:], 0.0)
        for died in (True, False):
            flags = (ended, never) if died else (never, ended)
            programs = [(here, *flags), (here, flags[0], never), (here, ended, never), (next_row, *flags)]
            found = [advantages.gae(rewards, values, *program, gamma=0.9, lam=0.8) for program in programs]
            yield from (_line(wrong) for wrong in found)


def dial():
    for lam in (0, 0.2, 0.37, 0.5, 0.6, 0.68, 0.75, 0.8, 0.84, 0.87, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98,
                0.985, 0.987, 0.99, 1):
        yield _line(advantages.gae(**running_example(), gamma=0.99, lam=lam))


def choices():
    """Weights of four properties after all answers to four questions, by Newton's method."""
    questions = (("right remedy", "today"), ("right remedy", "boast"), ("today", "best wishes"),
                 ("boast", "best wishes"))
    names = ("right remedy", "today", "boast", "best wishes")
    for answers in product((1, -1, 0), repeat=4):
        gaps = np.array([[sign * ((name == first) - (name == second)) for name in names]
                         for sign, (first, second) in zip(answers, questions)], float)
        weights = np.zeros(4)
        for _ in range(50):
            p = preferences.bradley_terry_probability(gaps @ weights, np.zeros(4))
            curvature = (gaps.T * (p * (1 - p))) @ gaps + 0.1 * np.eye(4)
            weights += np.linalg.solve(curvature, gaps.T @ (1 - p) - 0.1 * weights)
        rounded = weights.round(2) + 0.0
        yield "weights: " + ", ".join(f"{name} {w:.2f}" for name, w in zip(names, rounded)) + ". "


def replies_on_the_way():
    """Points of one reply, and gold and proxy of the batch, at seven updates of five policies."""
    for run in json.loads((RESULTS / "hacking.json").read_text())["runs"]:
        name, _, *words = run["prompts"][0].split()
        fine = words[1] if "but" in words else None
        item, fault = words[-6], words[-4]
        for update, replies in run["on_the_way"].items():
            points = helpdesk.rubric(helpdesk.Complaint(name, item, fault, fine), replies[0])
            batch = run["curve"][max(int(update) - 1, 0)]
            yield f"this reply {points:.2f} points; batch: gold {batch['gold']:.2f}, proxy {batch['proxy']:.2f}. "


def placed_scores():
    """The reward that counts and the advantages of two replies, the second padded, by the place of the score."""
    replies = [(1.0, [0.0, 0.5, 0.0, -0.2, 0.0], [0.1, 0.2, 0.3, 0.5, 0.8]),
               (2.0, [0.3, 0.0, 0.1], [1.0, 1.2, 1.1])]
    for (score, k1, values), place, lam in product(replies, range(5), (0.0, 0.5, 0.95, 1.0)):
        rewards = -0.1 * np.array(k1) + np.where(np.arange(len(k1)) == place, score, 0.0)
        end, never = np.arange(len(k1)) == len(k1) - 1, np.zeros(len(k1), bool)
        steps = rewards, np.array(values), np.append(values[1:], 9.0), end, never
        found = np.append(advantages.gae(*steps, gamma=1.0, lam=lam), np.zeros(5 - len(k1)))
        line = " ".join(f"{a + 0.0:.2f}" for a in found)
        yield f"rewards under the mask sum to {rewards.sum():.2f}; advantages {line}"


def shares():
    """The share of one reply's credit that reaches the token that decides: by its place, the critic, and λ."""
    for place in (2, 6, 10, 14, 17):
        world, rng = credit.World(20, (place,), weights=(2.0,)), np.random.default_rng(place)
        policy = world.uniform_policy()
        tokens, paid = credit.play(world, policy, 500, rng)
        critic = credit.fit_critic(world, *credit.play(world, policy, 300, rng))
        for values in (np.full(tokens.shape, paid.sum(1).mean()), critic(tokens),
                       credit.exact_values(world, policy, tokens)):
            for lam in (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.0):
                sizes = np.abs(credit.answer_gae(paid, values, lam=lam)).mean(0)
                yield f"share of credit on the token that decides {sizes[place] / sizes.sum():.2f} "


def restarts():
    """Four steps of CartPole and up to three more: three ends, three modes, three programs."""
    for ending in ("fall", "limit", "array"):
        first, after = _values_of_two_episodes()
        for next_row_is_dead in (True, False, False):
            for program in ("next_values", "next row", "limit is a termination"):
                future = first[1:].copy()
                if ending == "fall" or ending == "limit" and program == "limit is a termination":
                    future[-1] = 0
                elif ending == "limit" and program == "next row" and not next_row_is_dead:
                    future[-1] = after[0]
                shown = _rounded(first[:4], future)
                if ending != "array":
                    rows = 2 if next_row_is_dead else 3
                    shown += ["dead"] * next_row_is_dead + _rounded(after[:rows], after[1:rows + 1])
                yield f"advantages {' '.join(shown)}; "


def _values_of_two_episodes():
    """The linear critic of chapter 2b at the states of an episode of four steps, and of the next one, by hand."""
    env, found = gymnasium.make("CartPole-v1"), []
    for seed, steps in ((1, 4), (None, 3)):
        states = [env.reset(seed=seed)[0]]
        for _ in range(steps):
            states.append(env.step(int(states[-1][1] < 0.5))[0])
        found.append(10 + np.array(states) @ np.array([1.0, 2, 3, 4]))
    return found


def _rounded(values, future):
    never = np.zeros(len(values), bool)
    found = advantages.gae(np.ones(len(values)), values, future, never, never, gamma=0.99, lam=0.95)
    return [f"{a:.2f}" for a in found]


def on_the_way():
    """PPO without a penalty on three seeds: the batch after which each reply was written."""
    runs = json.loads((RESULTS / "hacking.json").read_text())["runs"]
    for seed, update in product((0, 2, 4), (0, 9, 19, 29, 39, 59, 79)):
        found = runs[seed]["curve"][update]
        yield f"gold {found['gold']:.2f}, proxy {found['proxy']:.2f}, KL {found['kl']:.1f} nats. "


def coefficients():
    """The ends of the runs of each seed, by β."""
    for run in json.loads((RESULTS / "four_models.json").read_text())["runs"]:
        for one in run["runs"]:
            gold, proxy, kl = (np.mean(one["curves"][key][-5:]) for key in ("gold", "proxy", "kl"))
            yield f"gold {gold:.2f}, proxy {proxy:.2f}, KL {kl:.1f} nats. {one['replies'][0]}"


def planted():
    runs = json.loads((RESULTS / "bugs.json").read_text())["runs"]
    for bug in ("none", "no KL penalty", "logits off by one", "score in the last column", "sign of the KL penalty",
                "score on every token", "score × 10", "credit leaks in from the padding"):
        for run in [run for run in runs if run["bug"] == bug][:3]:
            gold, kl = (np.mean(run["curves"][key][-5:]) for key in ("gold", "kl"))
            yield f"at the end gold {gold:.2f}, KL {kl:.2f} nats"


def payers():
    """Lines of the rubric after PPO, by what was paid, the KL coefficient and the seed."""
    runs = json.loads((RESULTS / "verifier.json").read_text())["runs"]
    after = {(r["paid_by"], r["beta"], r["seed"]): r["samples"]["lines"] for r in runs}
    for case in product(("check", "both", "rubric", "reward model"), (0, 0.1), range(5)):
        right = {"remedy": "right remedy", "item": "right item", "fault": "right fault", "date": "prompt",
                 "name": "right name"}
        shown = ", ".join(f"{name} {after[case][line]:.2f}" for name, line in right.items())
        rest = ", ".join(f"{line} {after[case][line]:.2f}"
                         for line in ("wrong name", "closing", "rude", "malformed"))
        yield f"right {shown}; a reply has {rest}"


def _line(advantages):
    return f"advantages {' '.join(f'{a:.2f}' for a in advantages)}; "


def prompts_by_group_size():
    """c(p, G) by counting: every group of G zeros and ones, by how many ones it holds."""
    def weight(p, group):
        ones = np.arange(group + 1)
        ways = np.array([comb(group, k) for k in ones], float)
        chances = ways * p**ones * (1 - p) ** (group - ones)
        return (chances * np.sqrt(ones * (group - ones)) / group).sum() / (p - p * p)
    for group in (2, 4, 6, 8, 10, 12, 14, 16, 32, 64):
        yield (f"weight at p = 0.01: {weight(0.01, group) / weight(0.5, group):.2f}; pull to word 0 "
               f"{0.016 * weight(0.03, group):.3f}, to word 1 {0.024 * weight(0.52, group):.3f}")


# One function for each figure of a chapter that moves, in their order on the page.
ORACLES = {"00_before_you_start": [critic_updates, objective], "01_td_vs_mc": [n_steps], "02_gae": [ends, dial],
           "02b_gae_at_work": [restarts], "03_reward_models": [choices, replies_on_the_way],
           "04_sparse_credit": [placed_scores, shares], "05_four_models": [on_the_way, coefficients, planted],
           "06_without_a_critic": [prompts_by_group_size],
           "07_without_a_reward_model": [payers]}
