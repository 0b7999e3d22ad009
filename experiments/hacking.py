"""What optimising an honest reward model does, three seeds of the whole pipeline.

Per seed: the supervised model, a reward model of 4,000 comparisons, best-of-n with it (and with one of 250
comparisons), a policy trained on its score alone (clipped policy gradient, no KL penalty), and how well the reward
model judges that policy's replies, before and after relabelling; then a policy paid by the relabelled model.

    python experiments/hacking.py        about 10 minutes on two cores; writes results/hacking.json
"""

import json
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch

import coursekit
from coursekit import helpdesk
from coursekit.arrays import whiten
from coursekit.checkpoints import compare, train_reward, train_supervised, write
from coursekit.lm import pad, sample
from coursekit.ppo import clipped_policy_loss
from coursekit.preferences import Annotator, Pairs, accuracy, best_of_n, calibration_error, noise_ceiling
from coursekit.reward_model import normalise, score, score_pairs, train_reward_model

RESULTS = Path(__file__).parent / "results" / "hacking.json"
NS = [1, 2, 4, 8, 16, 32, 64]


def sampled_logprobs(model, tokens, mask, width):
    """Log-probabilities of the last `width` tokens of every row."""
    logits = model.logits(model(tokens, mask)[0])[:, -width - 1:-1]
    return logits.log_softmax(-1).gather(-1, tokens[:, -width:, None])[..., 0]


def optimise(policy, reward, seed, *, iterations=60, batch=128, lr=7e-4):
    """Train a policy on the reward model's score alone. Yields (iteration, policy, measures) before each update."""
    rng, reference = np.random.default_rng(seed), policy.copy()
    policy = policy.copy()
    optimiser = torch.optim.Adam(policy.parameters(), lr=lr, fused=True)
    generator = torch.Generator().manual_seed(seed)
    for iteration in range(iterations + 1):
        complaints = [helpdesk.sample_complaint(rng) for _ in range(batch)]
        prompts, prompt_mask = pad([helpdesk.encode(c.text()) for c in complaints], side="left")
        tokens, mask, old = sample(policy, prompts, prompt_mask, max_tokens=48, end=helpdesk.END,
                                   generator=generator)
        replies = [helpdesk.decode(row[real]) for row, real in zip(tokens, mask)]
        proxy = score(reward, [c.text() for c in complaints], replies)
        everything, real, width = torch.cat([prompts, tokens], 1), torch.cat([prompt_mask, mask], 1), mask.shape[1]
        with torch.no_grad():
            gap = (old - sampled_logprobs(reference, everything, real, width)).where(mask, torch.tensor(0.0))
        gold = np.mean([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)])
        yield iteration, policy, {"iteration": iteration, "gold": float(gold), "proxy": float(proxy.mean()),
                                  "kl": float(gap.sum(-1).mean()), "words": float(mask.sum(-1).double().mean())}
        advantages = whiten(torch.as_tensor(proxy, dtype=torch.float32))[:, None].expand_as(old)
        for _ in range(2):
            for rows in np.array_split(rng.permutation(batch), 2):
                logprobs = sampled_logprobs(policy, everything[rows], real[rows], width)
                loss = clipped_policy_loss(logprobs, old[rows], advantages[rows].contiguous(), clip=0.2,
                                           mask=mask[rows])
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
                optimiser.step()


def judged(reward, pairs):
    chosen, rejected = score_pairs(reward, pairs)
    return {"accuracy": accuracy(chosen, rejected), "ece": calibration_error(chosen, rejected),
            "ceiling": noise_ceiling(Annotator().probability(pairs.gaps))}


def join(a, b):
    return Pairs(a.prompts + b.prompts, a.chosen + b.chosen, a.rejected + b.rejected)


def one_seed(seed):
    torch.set_num_threads(1)
    supervised = train_supervised(seed)
    models = {4000: train_reward(supervised, seed), 250: train_reward(supervised, seed, pairs=250)}
    rng = np.random.default_rng(seed)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(150)]
    many = [c for c in complaints for _ in range(max(NS))]
    replies = write(supervised, many, seed=seed)
    gold = np.array([helpdesk.rubric(c, r) for c, r in zip(many, replies)]).reshape(150, -1)
    found = {"seed": seed, "best_of_n": {}}
    for pairs, model in models.items():
        proxy = score(model, [c.text() for c in many], replies).reshape(150, -1)
        found["best_of_n"][pairs] = {"gold": best_of_n(proxy, gold, NS).mean(-1).tolist(),
                                     "proxy": best_of_n(proxy, proxy, NS).mean(-1).tolist()}
    found["best_of_n"]["gold itself"] = {"gold": best_of_n(gold, gold, NS).mean(-1).tolist()}
    reference = compare(supervised, 1000, seed=1000 + seed)
    paid = normalise(models[4000].copy(), reference.prompts * 2, reference.chosen + reference.rejected)
    curve, shift = [], {}
    for iteration, policy, measures in optimise(supervised, paid, seed):
        curve.append(measures)
        if iteration in (0, 10, 20, 30, 40, 60):
            shift[iteration] = judged(models[4000], compare(policy, 800, seed=2000 + seed, other=supervised))
    found |= {"curve": curve, "shift": shift}
    test = [helpdesk.sample_complaint(rng) for _ in range(200)]
    last = write(policy, test, seed=seed)
    found["samples"] = [f"{c.text()} {r}" for c, r in zip(test[:5], last)]
    counts = [helpdesk.features(c, r) for c, r in zip(test, last)]
    found["rubric_after"] = {line: float(np.mean([c[line] for c in counts])) for line in helpdesk.RUBRIC}
    before = [helpdesk.features(c, r) for c, r in zip(test, write(supervised, test, seed=seed))]
    found["rubric_before"] = {line: float(np.mean([c[line] for c in before])) for line in helpdesk.RUBRIC}
    old_pairs = compare(supervised, 4000, seed=1000 + seed)
    fresh = compare(policy, 800, seed=3000 + seed, other=supervised)
    for extra in (250, 1000):
        new = compare(policy, extra, seed=4000 + seed, other=supervised)
        again, _ = train_reward_model(supervised, join(old_pairs, new), epochs=4, lr=2e-3, seed=seed)
        found[f"relabelled_{extra}"] = judged(again, fresh)
    paid_again = normalise(again.copy(), reference.prompts * 2, reference.chosen + reference.rejected)
    found["second_curve"] = [measures for _, _, measures in optimise(supervised, paid_again, 100 + seed)]
    print(seed, [round(c["gold"], 2) for c in curve[::5]], [round(c["proxy"], 2) for c in curve[::5]], flush=True)
    return found


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(one_seed, range(3)))
    RESULTS.write_text(json.dumps({"version": coursekit.__version__, "torch": torch.__version__, "ns": NS,
                                   "runs": runs}) + "\n")
