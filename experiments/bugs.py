"""The catalogue of bugs: plant one at a time in PPO with four models, and measure its fingerprint.

Every row: 30 updates on the help desk, three seeds (five for the run without a bug; "nothing", three more healthy
seeds, says what chance does). Fingerprints are the measures
of the first update and the means of the last five. The check of log-probabilities at the first batch is switched
off, so that the bugs it would catch can show themselves; `caught` says which those are.

    python experiments/bugs.py        about 8 minutes on two cores; writes results/bugs.json
and the histories of the exercise on diagnosis.
"""

import json
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

import coursekit
from coursekit import arrays, checkpoints, helpdesk, lm, ppo, rlhf, tokens

RESULTS = Path(__file__).parent / "results" / "bugs.json"
HISTORIES = Path(coursekit.__file__).parent / "exercises" / "histories.json"  # for the exercise on diagnosis
SICK = ["none", "logits off by one", "sign of the KL price", "no price for KL", "score in the last column"]
UPDATES, RIGHT = 30, {name: getattr(rlhf, name) for name in
                      ("reply_logprobs", "reply_values", "token_rewards", "token_steps", "whiten", "kl_estimates",
                       "clipped_policy_loss", "clipped_value_loss", "appraise", "collect", "sample", "update")}
BUGS = {}


def bug(name, **recipe):
    """Register a bug: a function from the four models to {where to patch: wrong function}, or None."""
    def register(plant):
        BUGS[name] = (plant, recipe)
        return plant
    return register


def recomputing(logprobs_of):
    """`appraise`, but with old log-probabilities computed anew instead of kept from sampling."""
    def appraise(four, toks, mask, reply, old, recipe, *, end):
        old = logprobs_of(four.actor, toks, mask, reply.shape[1])[0]
        return RIGHT["appraise"](four, toks, mask, reply, torch.where(reply, old, 0.0), recipe, end=end)
    return appraise


for name, recipe in {"none": {}, "nothing": {}, "λ = 1": dict(lam=1.0), "λ = 0": dict(lam=0.0),
                     "γ = .95": dict(gamma=0.95),
                     "no price for KL": dict(beta=0.0), "learning rate × 5": dict(lr=5e-3),
                     "eight epochs": dict(epochs=8), "no price for a missing end": dict(missing_end=0.0),
                     "no value clip": dict(value_clip=None)}.items():
    bug(name, **recipe)(lambda models: {})


@bug("logits off by one")
def _(models):
    def wrong(model, toks, mask, width, temperature=1.0):
        logits = model.logits(model(toks, mask)[0])[:, -width:] / temperature
        return logits.log_softmax(-1).gather(-1, toks[:, -width:, None])[..., 0], logits
    return {"rlhf.reply_logprobs": wrong, "rlhf.appraise": recomputing(wrong)}


@bug("values read one token late")
def _(models):
    return {"rlhf.reply_values": lambda critic, toks, mask, width: critic.values(critic(toks, mask)[0][:, -width:])}


@bug("sign of the KL price")
def _(models):
    return {"rlhf.token_rewards": lambda s, kl, mask, *, beta: RIGHT["token_rewards"](s, kl, mask, beta=-beta)}


@bug("KL added to the loss as a number")
def _(models):  # no gradient: the price is paid by nobody
    return {"rlhf.token_rewards": lambda s, kl, mask, *, beta: RIGHT["token_rewards"](s, 0 * kl, mask, beta=beta)}


@bug("reference is the actor itself")
def _(models):
    return {"reference": models.actor}


@bug("score in the last column")
def _(models):
    def wrong(scores, kl, mask, *, beta):
        rewards = torch.where(mask, -beta * kl, 0.0)
        rewards[:, -1] += scores
        return rewards
    return {"rlhf.token_rewards": wrong}


@bug("score on every token")
def _(models):
    return {"rlhf.token_rewards": lambda s, kl, mask, *, beta: torch.where(mask, s[:, None] - beta * kl, 0.0)}


@bug("score shared out evenly")
def _(models):
    return {"rlhf.token_rewards": lambda s, kl, mask, *, beta:
            torch.where(mask, (s / mask.sum(-1))[:, None] - beta * kl, 0.0)}


@bug("score read before <end>")
def _(models):
    def early(self, hidden, mask):
        return lm.TinyLM.scores(self, hidden, mask & ~tokens.last_token(mask))
    return {"reward.scores": early}


@bug("score × 10")
def _(models):
    return {"reward.scores": lambda self, hidden, mask: 10 * lm.TinyLM.scores(self, hidden, mask)}


@bug("score × 0.1")
def _(models):
    return {"reward.scores": lambda self, hidden, mask: 0.1 * lm.TinyLM.scores(self, hidden, mask)}


@bug("score not centred")
def _(models):
    return {"reward.scores": lambda self, hidden, mask: 3 + lm.TinyLM.scores(self, hidden, mask)}


@bug("k2 as the reward")
def _(models):
    return {"rlhf.kl_estimates": lambda a, b: RIGHT["kl_estimates"](a, b, kind="k2")}


@bug("k3 as the reward")
def _(models):
    return {"rlhf.kl_estimates": lambda a, b: RIGHT["kl_estimates"](a, b, kind="k3")}


@bug("no mask in losses and whitening")
def _(models):
    return {"rlhf.whiten": lambda x, mask, **kw: arrays.whiten(x, **kw),
            "rlhf.clipped_policy_loss": lambda *a, mask, count, **kw: ppo.clipped_policy_loss(*a, **kw),
            "rlhf.clipped_value_loss": lambda *a, mask, count, **kw: ppo.clipped_value_loss(*a, **kw),
            "rlhf.ratio_diagnostics": lambda *a, mask, **kw: ppo.ratio_diagnostics(*a, **kw)}


@bug("whitening over the padding")
def _(models):
    return {"rlhf.whiten": lambda x, mask, **kw: torch.where(mask, arrays.whiten(x), 0.0)}


@bug("no whitening")
def _(models):
    return {"rlhf.whiten": lambda x, mask, **kw: x}


@bug("credit leaks in from the padding")
def _(models):
    def wrong(rewards, values, mask):
        steps = RIGHT["token_steps"](rewards, values, mask)
        return steps._replace(next_values=torch.cat([values[:, 1:], values[:, :1]], 1),
                              terminated=torch.zeros_like(mask))
    return {"rlhf.token_steps": wrong}


@bug("prompt padding attended")
def _(models):
    def draw(rng, n):
        things, toks, mask = checkpoints.help_desk(rng, n)
        return things, toks, torch.ones_like(mask)
    return {"draw": draw}


@bug("positions count the padding")
def _(models):
    return {"lm.positions": lambda mask: torch.arange(mask.shape[1]).expand(mask.shape)}


@bug("pad equals <end>: the end is masked out")
def _(models):
    def wrong(*args, **kw):
        toks, mask, logprobs = RIGHT["sample"](*args, **kw)
        return toks, mask & ((toks != helpdesk.END) | (torch.arange(mask.shape[1]) == 0)), logprobs
    return {"rlhf.sample": wrong}


@bug("prompts padded on the right")
def _(models):
    def draw(rng, n):
        complaints, _, _ = checkpoints.help_desk(rng, n)
        return complaints, *lm.pad([helpdesk.encode(c.text()) for c in complaints], side="right")
    return {"draw": draw}


@bug("dropout left on")
def _(models):
    return {"actor.logits": lambda self, hidden: lm.TinyLM.logits(self, torch.dropout(hidden, 0.1, True))}


@bug("sampled at temperature .7, scored at 1")
def _(models):
    def wrong(*args, **kw):
        toks, mask, _ = RIGHT["sample"](*args, **(kw | {"temperature": 0.7}))
        return toks, mask, torch.zeros(mask.shape)

    return {"rlhf.sample": wrong, "rlhf.appraise": recomputing(RIGHT["reply_logprobs"])}


@bug("old log-probabilities taken anew: the ratio is always 1", epochs=4)
def _(models):
    return {"rlhf.clipped_policy_loss": lambda new, old, adv, **kw:
            RIGHT["clipped_policy_loss"](new, new.detach(), adv, **kw)}


@bug("sign of the advantage")
def _(models):
    return {"rlhf.whiten": lambda x, mask, **kw: -RIGHT["whiten"](x, mask, **kw)}


@bug("one advantage for the whole reply")
def _(models):
    def wrong(x, mask, **kw):
        mean = torch.where(mask, x, 0.0).sum(-1) / mask.sum(-1)
        return RIGHT["whiten"](mean[:, None].expand_as(x).contiguous(), mask, **kw)
    return {"rlhf.whiten": wrong}


@bug("critic from the supervised model, λ = 0", lam=0.0)
def _(models):
    models.critic.load_state_dict(models.reference.state_dict())
    torch.nn.init.zeros_(models.critic.value_head.weight)
    return {}


@bug("critic never trained")
def _(models):
    return {"rlhf.clipped_value_loss": lambda v, *a, **kw: 0 * v.sum()}


def planted(stack, models, where):
    """Apply {place: wrong function}: "rlhf.name", "reward.method", "reference", "draw" or "lm.positions"."""
    draw = where.pop("draw", checkpoints.help_desk)
    if "reference" in where:
        models = replace(models, reference=where.pop("reference"))
    for place, wrong in where.items():
        owner, name = place.split(".")
        if owner in ("reward", "actor"):
            model = getattr(models, owner)
            model.__class__ = type("Wrong", (lm.TinyLM,), {name: wrong})
        else:
            stack.enter_context(patch(f"coursekit.{owner}.{name}", wrong))
    return models, draw


def one_run(job):
    name, seed = job
    torch.set_num_threads(1)
    models = checkpoints.help_desk_models()
    plant, changes = BUGS[name]
    with ExitStack() as stack:
        models, draw = planted(stack, models, plant(models))
        caught = is_caught(models, draw)
        stack.enter_context(patch("coursekit.rlhf.collect", lambda *a, check, **kw: RIGHT["collect"](*a, **kw)))
        run = rlhf.start(models, rlhf.Recipe(**changes), seed=seed)
        history = list(rlhf.train(run, draw, updates=UPDATES, end=helpdesk.END, judge=checkpoints.gold))
    keys = ("gold", "proxy", "kl", "length", "ended", "explained_variance", "clip_fraction", "k3", "entropy")
    curves = {key: [round(float(h[key]), 4) for h in history] for key in keys}
    print(f"{name:60} {seed} " + " ".join(f"{k} {np.mean(v[-5:]):.2f}" for k, v in curves.items()), flush=True)
    return {"bug": name, "seed": seed, "caught": caught, "curves": curves}


def is_caught(models, draw):
    """Does the check at the first batch refuse to go on?"""
    _, prompts, mask = draw(np.random.default_rng(0), 16)
    try:
        rlhf.collect(models, prompts, mask, rlhf.Recipe(), end=helpdesk.END, check=True,
                     generator=torch.Generator().manual_seed(0))
    except RuntimeError:
        return True
    return False


def histories(runs):
    """What five kinds of run look like every fifth update: {bug: [one dict of series a seed]}."""
    keys = ("kl", "clip_fraction", "explained_variance", "proxy", "length")
    return {bug: [{key: [round(run["curves"][key][i], 2) for i in (0, 5, 10, 15, 20, 29)] for key in keys}
                  for run in runs if run["bug"] == bug][:3] for bug in SICK}


if __name__ == "__main__":
    seeds = {"none": range(5), "nothing": range(5, 8)}
    jobs = [(name, seed) for name in BUGS for seed in seeds.get(name, range(3))]
    with ProcessPoolExecutor(2) as pool:
        runs = list(pool.map(one_run, jobs))
    RESULTS.write_text(json.dumps({"version": coursekit.__version__, "torch": torch.__version__,
                                   "updates": UPDATES, "runs": runs}) + "\n")
    HISTORIES.write_text(json.dumps(histories(runs)) + "\n")
