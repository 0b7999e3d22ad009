"""How the critic's start and the first steps of the learning rate change PPO's first ten updates.

Five seeds of the whole pipeline (the models of `four_models.py`), four seeds of PPO each, the default settings
(β = 0.1) and four variants that differ in one thing: the critic starts as the reward model with its score head; its
head starts at zero; it is trained for five batches first, while the actor does not move; or the critic starts as in
the first variant, and the learning rate rises over the ten updates from a tenth to its full value.

    python experiments/critic_start.py       about 4 CPU minutes; writes results/critic_start.json
"""

import json
from pathlib import Path

import models as pipeline
import numpy as np
import torch

import coursekit
from coursekit import checkpoints, helpdesk, rlhf
from coursekit.ppo import clipped_value_loss, explained_variance
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "critic_start.json"
VARIANTS = ("score head", "head at zero", "trained first", "learning rate warmed up")
SEEDS, UPDATES, WARM_UP, TEST = range(4), 10, 5, 256


def draw(run, stream):
    """A batch of this update; `stream` keeps the batches of the warm-up apart from those of PPO."""
    rng = np.random.default_rng([run.seed, run.update, stream])
    complaints, prompts, mask = checkpoints.sample_prompts(rng, run.config.batch)
    batch = rlhf.collect(run.models, prompts, mask, run.config, end=helpdesk.END,
                         generator=torch.Generator().manual_seed(int(rng.integers(2**62))))
    return rng, complaints, batch


def train_critic_first(run):
    """WARM_UP batches on which only the critic learns, with an optimiser of its own."""
    trained = [p for p in run.models.critic.parameters() if p.requires_grad]
    optimiser = torch.optim.Adam(trained, lr=run.config.lr, eps=1e-5)
    for _ in range(WARM_UP):
        rng, _, batch = draw(run, 77)
        for rows in np.array_split(rng.permutation(run.config.batch), 2):
            part = batch.take(torch.as_tensor(rows))
            values = rlhf.response_values(run.models.critic, part.tokens, part.attention_mask, part.width)
            loss = clipped_value_loss(values, part.values, part.returns, clip=None, mask=part.response_mask)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimiser.step()
        run.update += 1
    run.update = 0


def one_run(supervised, reward, seed, variant):
    models = checkpoints.help_desk_models(supervised, reward)
    if variant == "head at zero":
        torch.nn.init.zeros_(models.critic.value_head.weight)
        torch.nn.init.zeros_(models.critic.value_head.bias)
    run = rlhf.start(models, rlhf.Config(), seed=seed)
    if variant == "trained first":
        train_critic_first(run)
    found = {key: [] for key in ("kl", "median_kl", "largest_eight", "unfinished", "explained_variance")}
    for run.update in range(UPDATES):
        if variant == "learning rate warmed up":
            run.optimiser.param_groups[0]["lr"] = run.config.lr * (run.update + 1) / UPDATES
        rng, _, batch = draw(run, 0)
        kl = np.sort(batch.kl.sum(-1).numpy())
        found["kl"].append(kl.mean())
        found["median_kl"].append(np.median(kl))
        found["largest_eight"].append(kl[-8:].sum() / kl.sum() if run.update else 0.0)  # KL is 0 before update 1
        found["unfinished"].append((~batch.ended).sum())
        found["explained_variance"].append(
            explained_variance(batch.values, batch.returns, mask=batch.response_mask))
        rlhf.learn(run.models, run.optimiser, batch, run.config, rng=rng)
    rng = np.random.default_rng(99)
    complaints = [helpdesk.sample_complaint(rng) for _ in range(TEST)]
    replies = checkpoints.write(run.models.actor, complaints, seed=99)
    gold = np.mean([helpdesk.rubric(c, r) for c, r in zip(complaints, replies)])
    return {"gold": round(float(gold), 3)} | {key: [round(float(x), 3) for x in xs] for key, xs in found.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    runs = []
    for models_seed in pipeline.SEEDS:
        supervised, reward = pipeline.supervised(models_seed), pipeline.reward(models_seed)
        for variant in VARIANTS:
            for seed in SEEDS:
                found = one_run(supervised, reward, seed, variant)
                runs.append({"pipeline": models_seed, "seed": seed, "variant": variant} | found)
            print(models_seed, variant, [(r["gold"], max(r["kl"]), r["explained_variance"][0])
                                         for r in runs[-len(SEEDS):]], flush=True)
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__,
                                    "updates": UPDATES, "warm_up": WARM_UP, "test": TEST, "runs": runs}) + "\n")
