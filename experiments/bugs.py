"""The catalogue of bugs: plant one at a time in PPO with four models, and measure its fingerprint.

Every row: 30 updates on the help desk, three seeds (five for the run without a bug; "nothing", three more healthy
seeds, says what chance does). Fingerprints are the metrics of the first update and the means of the last five. The
check of log-probabilities at the first batch is switched off, so that the bugs it would catch can show themselves;
`caught` says which those are. A run fails if nobody called what was planted.

    python experiments/bugs.py        writes results/bugs.json
and the histories of the exercise on diagnosis, which has runs of other seeds as well.
"""

import json
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import models
import numpy as np
import torch

import coursekit
from coursekit import arrays, checkpoints, helpdesk, lm, ppo, rlhf, tokens
from coursekit.saved import write_text

RESULTS = Path(__file__).parent / "results" / "bugs.json"
HISTORIES = Path(coursekit.__file__).parent / "exercises" / "histories.json"  # for the exercise on diagnosis
SICK = ["none", "logits off by one", "sign of the KL penalty", "no KL penalty", "score in the last column"]
UPDATES = 30
# Seeds that only the exercise has. Without a penalty more of them: not every run has drifted after 30 updates.
HELD_OUT = {bug: range(10, 20 if bug == "no KL penalty" else 15) for bug in SICK}
RIGHT = {name: getattr(rlhf, name) for name in (
    "response_logprobs", "token_rewards", "token_steps", "whiten", "kl_estimates", "clipped_policy_loss",
    "make_experience", "collect", "sample")}
BUGS = {}


def bug(name, **changes):
    """Register a bug: a function from the four models to what `planted` takes, under a changed config or not."""
    def register(plant):
        BUGS[name] = (plant, changes)
        return plant
    return register


def padded_logprobs(model, tokens, attention_mask, width, temperature=1.0):
    """`response_logprobs`, but whatever the model says at padding stands there in place of 0."""
    logits = model.logits(model(tokens, attention_mask)[0]) / temperature
    return lm.token_logprobs(logits, tokens)[:, -width:], logits[:, -width - 1:-1][attention_mask[:, -width:]]


def padded_values(critic, tokens, attention_mask, width):
    """`response_values`, but with the value of what follows the last token at the first place of the padding."""
    return critic.values(critic(tokens, attention_mask)[0][:, -width - 1:-1])


def recomputing(logprobs_of):
    """`make_experience`, but with old log-probabilities computed anew instead of kept from sampling."""
    def wrong(models, tokens, attention_mask, response_mask, _, *rest, **end):
        again, _ = logprobs_of(models.actor, tokens, attention_mask, response_mask.shape[1])
        again = torch.where(response_mask, again, 0.0)
        return RIGHT["make_experience"](models, tokens, attention_mask, response_mask, again, *rest, **end)
    return wrong


for name, changes in {"none": {}, "nothing": {}, "λ = 1": dict(lam=1.0), "λ = 0": dict(lam=0.0),
                     "γ = 0.95": dict(gamma=0.95), "no KL penalty": dict(beta=0.0),
                     "learning rate × 5": dict(lr=5e-3),
                     "four epochs": dict(epochs=4), "eight epochs": dict(epochs=8),
                     "no penalty for a missing end": dict(missing_eos_penalty=0.0),
                     "no value clip": dict(value_clip=None)}.items():
    bug(name, **changes)(lambda models: {})


@bug("logits off by one")
def _(models):
    def wrong(model, tokens, attention_mask, width, temperature=1.0):
        logits = model.logits(model(tokens, attention_mask)[0])[:, -width:] / temperature
        logprobs = logits.log_softmax(-1).gather(-1, tokens[:, -width:, None])[..., 0]
        return logprobs, logits[attention_mask[:, -width:]]
    return {"rlhf.response_logprobs": wrong, "rlhf.make_experience": recomputing(wrong)}


@bug("values read one token late")
def _(models):
    def wrong(critic, tokens, attention_mask, width):
        return critic.values(critic(tokens, attention_mask)[0][:, -width:])
    return {"rlhf.response_values": wrong}


@bug("sign of the KL penalty")
def _(models):
    return {"rlhf.token_rewards": lambda s, kl, mask, *, beta: RIGHT["token_rewards"](s, kl, mask, beta=-beta)}


@bug("KL added to the loss as a number")
def _(models):  # a number has no gradient: nothing pulls the actor back
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
    def wrong(reward, text, attention_mask):
        hidden, _ = reward(text, attention_mask)
        return reward.scores(hidden, attention_mask & ~tokens.last_token(attention_mask))
    return {"rlhf.text_scores": wrong}


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
    return {"rlhf.response_logprobs": padded_logprobs,
            "rlhf.response_values": padded_values,
            "rlhf.whiten": lambda x, mask, **kw: arrays.whiten(x, **kw),
            "rlhf.loss_weights": lambda mask, config: torch.ones_like(mask),
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
    return {"rlhf.token_steps": wrong, "rlhf.response_values": padded_values}


@bug("prompt padding attended")
def _(models):
    def wrong(rng, n):
        complaints, prompts, mask = checkpoints.sample_prompts(rng, n)
        return complaints, prompts, torch.ones_like(mask)
    return {"sample_prompts": wrong}


@bug("positions count the padding")
def _(models):
    return {"lm.positions": lambda mask: torch.arange(mask.shape[1]).expand(mask.shape)}


@bug("pad equals <end>: the end is masked out")
def _(models):
    def wrong(*args, **kw):
        responses, mask, logprobs = RIGHT["sample"](*args, **kw)
        kept = (responses != helpdesk.END) | (torch.arange(mask.shape[1]) == 0)  # a response has a first token
        return responses, mask & kept, logprobs
    return {"rlhf.sample": wrong}


@bug("prompts padded on the right")
def _(models):
    def wrong(rng, n):
        complaints, _, _ = checkpoints.sample_prompts(rng, n)
        return complaints, *lm.pad([helpdesk.encode(c.text()) for c in complaints], side="right")
    return {"sample_prompts": wrong, "lm.check_padding": lambda prompt_mask: None}  # which would refuse it


@bug("dropout left on")
def _(models):
    return {"actor.logits": lambda self, hidden: lm.TinyLM.logits(self, torch.dropout(hidden, 0.1, True))}


@bug("sampled at temperature 0.7, scored at 1")
def _(models):
    def wrong(*args, **kw):
        responses, mask, _ = RIGHT["sample"](*args, **(kw | {"temperature": 0.7}))
        return responses, mask, torch.zeros(mask.shape)

    return {"rlhf.sample": wrong, "rlhf.make_experience": recomputing(RIGHT["response_logprobs"])}


@bug("old log-probabilities recomputed: the ratio is always 1", epochs=4)
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


@contextmanager
def planted(models, where):
    """Plant {place: wrong function}, a place being "module.name", "actor.method", "reward.method", "reference" or
    "sample_prompts"; within it, the models and the function that samples prompts.

    Raises: AssertionError: nobody called a wrong function, so it stands where the library does not look.
    """
    where = dict(where)
    models = replace(models, reference=where.pop("reference", models.reference))
    wrongs = {place: counting(wrong) for place, wrong in where.items()}
    with ExitStack() as stack:
        for place, wrong in wrongs.items():
            owner, _, name = place.partition(".")
            if owner in ("actor", "reward"):
                getattr(models, owner).__class__ = type("Wrong", (lm.TinyLM,), {name: wrong})
            elif name:
                stack.enter_context(patch(f"coursekit.{owner}.{name}", wrong))
        yield models, wrongs.get("sample_prompts", checkpoints.sample_prompts)
    for place, wrong in wrongs.items():
        assert wrong.calls, f"nobody called the wrong function at {place}"


def counting(function):
    def counted(*args, **options):
        counted.calls += 1
        return function(*args, **options)
    counted.calls = 0
    return counted


def one_run(job):
    name, seed, updates = job
    torch.set_num_threads(1)
    models = checkpoints.help_desk_models()
    plant, changes = BUGS[name]
    unchecked = patch("coursekit.rlhf.collect", lambda *a, check, **kw: RIGHT["collect"](*a, **kw))
    with planted(models, plant(models)) as (models, sample_prompts):
        caught = is_caught(models, sample_prompts)
        run = rlhf.start(models, rlhf.Config(**changes), seed=seed)
        with unchecked:
            history = list(rlhf.train(run, sample_prompts, updates=updates, end=helpdesk.END,
                                      gold_fn=checkpoints.gold))
    keys = ("gold", "proxy", "kl", "length", "ended", "explained_variance", "clip_fraction", "k3", "entropy")
    curves = {key: [round(float(h[key]), 4) for h in history] for key in keys}
    print(f"{name:60} {seed} " + " ".join(f"{k} {np.mean(v[-5:]):.2f}" for k, v in curves.items()), flush=True)
    return {"bug": name, "seed": seed, "caught": caught, "curves": curves}


def is_caught(models, sample_prompts):
    """Does the check at the first batch refuse to go on?"""
    _, prompts, mask = sample_prompts(np.random.default_rng(0), 16)
    try:
        rlhf.collect(models, prompts, mask, rlhf.Config(), end=helpdesk.END, check=True,
                     generator=torch.Generator().manual_seed(0))
    except RuntimeError:
        return True
    return False


def histories(runs):
    """What five kinds of run look like: {bug: {"shown" or "held out": [one dict of series a seed]}}.

    Held out are the seeds of which the chapter shows nothing.
    """
    keys = ("kl", "clip_fraction", "explained_variance", "proxy", "length")

    def series(bug, seeds):
        return [{key: [round(x, 2) + 0.0 for x in run["curves"][key]] for key in keys}
                for run in runs if run["bug"] == bug and run["seed"] in seeds]
    return {bug: {"shown": series(bug, range(3)), "held out": series(bug, HELD_OUT[bug])} for bug in SICK}


if __name__ == "__main__":
    seeds = {"none": range(5), "nothing": range(5, 8)}
    jobs = [(name, seed, UPDATES) for name in BUGS for seed in seeds.get(name, range(3))]
    held_out = [(name, seed, UPDATES) for name in SICK for seed in HELD_OUT[name]]
    done = models.run_jobs(one_run, jobs + held_out)
    runs, unseen = done[:len(jobs)], done[len(jobs):]
    write_text(RESULTS, json.dumps({"version": coursekit.__version__, "torch": torch.__version__,
                                    "updates": UPDATES, "runs": runs}) + "\n")
    write_text(HISTORIES, json.dumps(histories(runs + unseen)) + "\n")
