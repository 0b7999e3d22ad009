"""Advantages, weights of tokens and the k3 penalty without a critic, against the code of TRL, verl and OpenRLHF.

On 200 random batches (M prompts, G replies each, uneven lengths, float64) ours must equal theirs to 1e-6:
advantages of RLOO, GRPO and the group mean; the loss, and its gradient in every log-probability, under each
normalisation and with k3 in it. Theirs is their own source. It stands in trainers that want a cluster, so that the
functions, or the statements, are read from the packages and executed by themselves.

    pip install -e '.[torch]'
    pip download --no-deps trl==1.11.0 verl==0.9.1 openrlhf==0.11.2 -d peers
    python benchmarks/groups.py peers
"""

import argparse
import ast
import itertools
import zipfile
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch

from coursekit.groups import group_mean, group_standardised, leave_one_out, token_weights
from coursekit.ppo import clipped_policy_loss
from coursekit.tokens import kl_estimates

BATCHES, LIMIT, CLIP, BETA, TOLERANCE = 200, 12, 0.2, 0.1, 1e-6


class Source:
    """A module's source, read from a wheel that is not installed."""

    def __init__(self, folder, package, module):
        wheel, = Path(folder).glob(f"{package}-*.whl")
        with zipfile.ZipFile(wheel) as file:
            name, = (n for n in file.namelist() if n.endswith(module))
            self.tree = ast.parse(file.read(name))

    def find(self, name):
        return next(node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef) and node.name == name)

    def functions(self, *names, **known):
        """The functions of these names, in a world that knows torch, numpy and `known`."""
        world = {"torch": torch, "np": np, "defaultdict": defaultdict} | known
        exec("from typing import *", world)
        for name in names:
            function = self.find(name)
            function.decorator_list, function.returns = [], None
            for argument in function.args.args + function.args.kwonlyargs:
                argument.annotation = None
            run([function], world)
        return SimpleNamespace(**{name: world[name] for name in names})

    def statements(self, function, first, last):
        """Those of a function from the one that begins with `first` to the one that begins with `last`."""
        body = self.find(function).body
        texts = [ast.unparse(node) for node in body]
        start, stop = (next(i for i, text in enumerate(texts) if text.startswith(x)) for x in (first, last))
        return body[start:stop + 1]


def run(statements, world):
    exec(compile(ast.fix_missing_locations(ast.Module(statements, [])), "peer", "exec"), world)
    return world


def trl(folder):
    """{what: function of a batch}; its GRPO and RLOO trainers."""
    grpo, rloo = (Source(folder, "trl", f"trl/trainer/{name}_trainer.py") for name in ("grpo", "rloo"))
    nanstd = Source(folder, "trl", "trl/trainer/utils.py").functions("nanstd").nanstd
    known = {"torch": torch, "nanstd": nanstd}

    def grpo_advantages(b, scale):
        """The branch of one reward, sum_then_normalize."""
        steps = grpo.statements("_generate_and_score_completions", "if self.multi_objective_aggregation",
                                "advantages = torch.nan_to_num")
        rewards = b.rewards.flatten()
        trainer = SimpleNamespace(multi_objective_aggregation="sum_then_normalize", scale_rewards=scale,
                                  reward_weights=torch.ones(1, dtype=rewards.dtype))
        return run(steps, known | dict(
            self=trainer, rewards_per_func=rewards[:, None], device="cpu", num_generations=b.rewards.shape[1],
            unscorable_mask=torch.zeros(len(rewards), dtype=torch.bool)))["advantages"]

    def rloo_advantages(b):
        """With beta · KL in the reward."""
        steps = rloo.statements("_generate_and_score_completions", "if self.beta != 0.0:\n    per_token_kl",
                                "advantages = torch.nan_to_num")
        trainer = SimpleNamespace(beta=BETA, normalize_advantages=False)
        return run(steps, known | dict(
            self=trainer, rewards=b.rewards.flatten(), num_generations=b.rewards.shape[1], gather=lambda x: x,
            old_per_token_logps=b.old, ref_per_token_logps=b.ref, completion_mask=b.mask))["advantages"]

    def loss(kind):
        def of(b):
            steps = grpo.statements("_compute_loss", "advantages = inputs['advantages']",
                                    "if self.loss_type in ['grpo'")
            args = SimpleNamespace(use_bias_correction_kl=False, delta=None)
            trainer = SimpleNamespace(
                off_policy_mask_threshold=None, importance_sampling_level="token", beta=BETA, args=args,
                loss_type=kind, epsilon_low=CLIP, epsilon_high=CLIP, use_vllm=False, max_completion_length=LIMIT,
                model=SimpleNamespace(training=True), current_gradient_accumulation_steps=1)
            inputs = {"advantages": b.advantages, "old_per_token_logps": b.old, "ref_per_token_logps": b.ref}
            return run(steps, known | dict(self=trainer, inputs=inputs, per_token_logps=b.new, entropy_mask=None,
                                           mask=b.mask.double()))["loss"]
        return of
    return {"RLOO": rloo_advantages, "GRPO": lambda b: grpo_advantages(b, "group"),
            "group mean": lambda b: grpo_advantages(b, "none"), "sequence": loss("grpo"), "batch": loss("bnpo"),
            "constant": loss("dr_grpo")}, 1e-4


def verl(folder):
    """Its functions in core_algos; a loss without KL is its vanilla loss, written out in one line here."""
    helpers = Source(folder, "verl", "verl/utils/torch_functional.py").functions("masked_sum")
    source = Source(folder, "verl", "verl/trainer/ppo/core_algos.py")
    names = ("compute_rloo_outcome_advantage", "compute_grpo_outcome_advantage", "agg_loss", "kl_penalty_forward",
             "kl_penalty")
    its = source.functions(*names, verl_F=helpers)

    def advantages(function, **options):
        def of(b):
            rewards = torch.zeros_like(b.old)
            rewards[:, 0] = b.rewards.flatten()
            index = np.arange(len(b.mask)) // b.rewards.shape[1]
            return function(rewards, b.mask.double(), index, **options)[0][:, 0]
        return of

    def loss(mode):
        def of(b):
            ratio, adv = (b.new - b.old).exp(), b.advantages[:, None]
            losses = -torch.minimum(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv)
            losses = losses + BETA * its.kl_penalty(b.new, b.ref, "low_var_kl")
            return its.agg_loss(losses, b.mask.double(), mode, loss_scale_factor=LIMIT)
        return of
    grpo = its.compute_grpo_outcome_advantage
    return {"RLOO without KL": advantages(its.compute_rloo_outcome_advantage), "GRPO": advantages(grpo),
            "group mean": advantages(grpo, norm_adv_by_std_in_grpo=False),
            "sequence": loss("seq-mean-token-mean"), "batch": loss("token-mean"),
            "constant": loss("seq-mean-token-sum-norm")}, 1e-6


def openrlhf(folder):
    """Its method of the experience maker, on one experience, without a KL penalty; and its aggregate_loss."""
    utils = Source(folder, "openrlhf", "openrlhf/models/utils.py").functions(
        "compute_approx_kl", "compute_reward", "masked_mean")
    losses = Source(folder, "openrlhf", "openrlhf/models/loss.py").functions(
        "aggregate_loss", masked_mean=utils.masked_mean)
    maker = Source(folder, "openrlhf", "openrlhf/trainer/ppo_utils/experience_maker.py").functions(
        "compute_advantages_and_returns", "get_cumulative_returns", compute_reward=utils.compute_reward,
        apply_length_penalties=lambda *_: None, itertools=itertools)

    def advantages(estimator):
        def of(b):
            args = SimpleNamespace(
                rollout=SimpleNamespace(n_samples_per_prompt=b.rewards.shape[1]),
                reward=SimpleNamespace(clip_range=None),
                algo=SimpleNamespace(advantage=SimpleNamespace(estimator=estimator, gamma=1.0)))
            self = SimpleNamespace(strategy=SimpleNamespace(args=args), kl_ctl=SimpleNamespace(value=0.0),
                                   advantage_estimator=estimator)
            self.get_cumulative_returns = lambda *a, **k: maker.get_cumulative_returns(self, *a, **k)
            experience = SimpleNamespace(index=list(range(len(b.mask))), rewards=b.rewards.flatten(), info={},
                                         kl=torch.zeros_like(b.old), action_mask=b.mask)
            return maker.compute_advantages_and_returns(self, [experience])[0].advantages[:, 0]
        return of

    def loss(token_level):
        def of(b):
            ratio, adv = (b.new - b.old).exp(), b.advantages[:, None]
            each = -torch.minimum(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv)
            each = each + BETA * utils.compute_approx_kl(b.new, b.ref, kl_estimator="k3")
            return losses.aggregate_loss(each, b.mask.double(), token_level)
        return of
    return {"RLOO without KL": advantages("rloo"), "GRPO": advantages("group_norm"),
            "group mean": advantages("dr_grpo"), "sequence": loss(False), "batch": loss(True)}, 1e-9


def ours(what, b, eps):
    """The same from coursekit; a loss with its gradient in b.new."""
    if what == "RLOO":
        kl = torch.where(b.mask, kl_estimates(b.old, b.ref), 0.0).sum(-1).view(b.rewards.shape)
        return leave_one_out(b.rewards - BETA * kl).flatten()
    if what == "RLOO without KL":
        return leave_one_out(b.rewards).flatten()
    if what == "GRPO":
        return group_standardised(b.rewards, ddof=1, eps=eps).flatten()
    if what == "group mean":
        return group_mean(b.rewards).flatten()
    weights = token_weights(b.mask, what, group=b.rewards.shape[1], limit=LIMIT)
    policy = clipped_policy_loss(b.new, b.old, b.advantages[:, None] * weights, clip=CLIP, mask=b.mask, count=1)
    return policy + BETA * (kl_estimates(b.new, b.ref, kind="k3") * weights).sum()


def draw(rng):
    """A random batch: rewards (M, G), log-probabilities and mask (B, R), advantages of its own (B,)."""
    M, G = rng.integers(1, 6), rng.integers(2, 9)
    lengths = rng.integers(1, LIMIT + 1, M * G)
    old = -rng.exponential(1.0, (M * G, lengths.max()))
    new, ref = (old + rng.normal(0, 0.3, old.shape) for _ in range(2))
    mask = np.arange(lengths.max()) < lengths[:, None]
    arrays = dict(rewards=rng.normal(0, 2, (M, G)), old=old, new=new, ref=ref, mask=mask,
                  advantages=rng.normal(0, 1, M * G))
    return SimpleNamespace(**{name: torch.as_tensor(x) for name, x in arrays.items()})


def gap(what, theirs, b, eps):
    """Largest difference; of a loss, of its value and of its gradient in every log-probability."""
    found = []
    for function in (theirs, lambda b: ours(what, b, eps)):
        b.new = b.new.detach().requires_grad_()
        x = function(b)
        found.append([x.detach(), *(torch.autograd.grad(x, b.new) if x.ndim == 0 else ())])
    return max((a - b).abs().max().item() for a, b in zip(*found))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="where the three wheels lie")
    folder = parser.parse_args().folder
    worst = {}
    for peer in (trl, verl, openrlhf):
        table, eps = peer(folder)
        rng = np.random.default_rng(0)
        for b in (draw(rng) for _ in range(BATCHES)):
            for what, theirs in table.items():
                key = peer.__name__, what
                worst[key] = max(worst.get(key, 0.0), gap(what, theirs, b, eps))
    for (peer, what), size in worst.items():
        print(f"{peer:10} {what:16} largest difference {size:.1e}  {'equal' if size <= TOLERANCE else 'DIFFERS'}")
    if max(worst.values()) > TOLERANCE:
        raise SystemExit(f"some differ by more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
