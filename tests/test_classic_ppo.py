"""The trainer in the open: exact, resumable, blind to dead rows, and good enough to balance a pole."""

import json
from dataclasses import asdict, replace

import gymnasium
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from coursekit import cli, saved
from coursekit.actor_critic import Agent, evaluate, film
from coursekit.classic_ppo import CARTPOLE, LUNARLANDER, Config, Minibatch, learn, losses, start, train
from coursekit.classic_resume import load_run, save_run
from coursekit.env_rollouts import begin, collect_env
from coursekit.rollouts import Rollout, Steps
from former import under_former_names

box2d_warns = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its bindings, on import


def weights(run):
    return torch.cat([p.detach().flatten() for p in run.agent.parameters()])


def a_rollout(run):
    return collect_env(run.play, run.agent.sampler(run.generator()), run.agent.critic_of, steps=64)


@pytest.mark.slow
def test_a_seed_fixes_a_run_exactly_and_another_seed_does_not_repeat_it():
    runs = [start(CARTPOLE, seed=seed) for seed in (3, 3, 4)]
    histories = [list(train(run, updates=3)) for run in runs]
    assert histories[0] == histories[1] != histories[2]
    assert torch.equal(weights(runs[0]), weights(runs[1]))


@pytest.mark.slow
def test_a_run_saved_between_any_two_updates_ends_bit_identical(tmp_path):
    straight, path = start(CARTPOLE, seed=0), tmp_path / "run.safetensors"
    expected = list(train(straight, updates=6))
    for stop in (1, 2, 5):
        run = start(CARTPOLE, seed=0)
        save_run(run, list(train(run, updates=stop)), path)
        again, history = load_run(path)
        assert again.play.dead.tolist() == run.play.dead.tolist() and again.config == CARTPOLE
        history += train(again, updates=6)
        assert history == expected and torch.equal(weights(again), weights(straight))


@pytest.mark.slow
def test_a_file_with_the_names_of_version_0_1_goes_on(tmp_path):
    run, path = start(CARTPOLE, seed=0), tmp_path / "run.safetensors"
    history = list(train(run, updates=2))
    save_run(run, history, path)
    under_former_names(path)
    again, _ = load_run(path)
    assert again.config == CARTPOLE and list(train(again, updates=3)) == list(train(run, updates=3))


class Death(gymnasium.vector.VectorWrapper):
    """Calls a time limit a death."""

    def step(self, actions):
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        return observations, rewards, terminated | truncated, np.zeros_like(truncated), info


def wrapped(limit=20):
    return Death(gymnasium.make_vec("CartPole-v1", 8, max_episode_steps=limit))


@pytest.mark.slow
def test_a_run_in_a_wrapped_environment_goes_on_in_one_like_it(tmp_path):
    straight, path = start(CARTPOLE, seed=0, env=wrapped()), tmp_path / "run.safetensors"
    expected, half = list(train(straight, updates=4)), start(CARTPOLE, seed=0, env=wrapped())
    save_run(half, list(train(half, updates=2)), path)
    again, history = load_run(path, env=wrapped())
    assert history + list(train(again, updates=4)) == expected and torch.equal(weights(again), weights(straight))


@pytest.mark.parametrize("env, got", [
    (None, r"CartPoleVectorEnv\(CartPole-v1, num_envs=8\) with a limit of 500 steps;"),
    (lambda: wrapped(50), "<Death, .*> with a limit of 50 steps;"),
    (lambda: wrapped().env, r"CartPoleVectorEnv\(CartPole-v1, num_envs=8\) with a limit of 20 steps;"),
])
def test_a_saved_run_does_not_go_on_elsewhere(env, got, tmp_path):
    save_run(start(CARTPOLE, seed=0, env=wrapped()), [], tmp_path / "run.safetensors")
    message = rf"env must be like the run's, <Death, .*> with a limit of 20 steps, got {got} .*load_run\(path, env="
    with pytest.raises(ValueError, match=message):
        load_run(tmp_path / "run.safetensors", env=env and env())


@pytest.mark.slow
@box2d_warns
def test_a_saved_lander_goes_on_with_new_episodes(tmp_path):
    config, path = replace(LUNARLANDER, num_steps=20, num_envs=3), tmp_path / "run.safetensors"
    run = start(config, seed=0)
    save_run(run, list(train(run, updates=2)), path)
    found = []
    for _ in range(2):
        again, history = load_run(path)
        assert torch.equal(weights(again), weights(run)) and again.update == 2 and len(history) == 2
        assert (again.play.running == 0).all() and (run.play.running != 0).any()
        list(train(again, updates=4))
        found.append(weights(again))
    assert torch.equal(*found)


@pytest.mark.parametrize("content", [b"", b"x" * 100, None])
def test_what_is_not_a_saved_run_is_refused(content, tmp_path):
    path = tmp_path / "run.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match="path must be a saved run"):
        load_run(path)


def test_the_numpy_policy_is_the_torch_policy():
    agent, rng = Agent(4, 3), np.random.default_rng(0)
    torch.nn.init.normal_(agent.actor[-1].weight)
    one = np.array([[0.1, -0.2, 0.3, 0.4]], np.float32)
    exact = torch.log_softmax(agent.actor(torch.from_numpy(one)), -1)[0].detach().numpy()
    actions, logprobs = agent.sampler(rng)(np.repeat(one, 40_000, axis=0))
    assert_allclose(logprobs, exact[actions], atol=1e-6)
    share = np.bincount(actions, minlength=3) / len(actions)
    assert (abs(share - np.exp(exact)) < 4 * np.sqrt(0.25 / len(actions))).all()
    assert agent.greedy(one)[0] == exact.argmax()
    assert_allclose(agent.critic_of(one), agent.values(torch.from_numpy(one)).detach(), atol=1e-6)


def test_dead_rows_teach_nothing():
    """Wild numbers in them change no bit of the update; `collect_env` has put 0 where a NaN could stand."""
    found = []
    for poison in (False, True):
        run = start(CARTPOLE, seed=0)
        rollout = a_rollout(run)
        dead = ~rollout.valid
        assert dead.any()
        if poison:
            steps = [np.where(dead, np.float32(1e9), x) for x in rollout.steps[:3]]
            rollout = Rollout(Steps(*steps, *rollout.steps[3:]),
                              np.where(dead[..., None], 1e9, rollout.observations),
                              np.where(dead, 7, rollout.actions), np.where(dead, 1e9, rollout.logprobs),
                              rollout.valid)
        metrics = learn(run.agent, run.optimiser, _float32(rollout), CARTPOLE, rng=run.generator())
        found.append((weights(run), metrics))
    assert torch.equal(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def _float32(rollout):
    return Rollout(rollout.steps, rollout.observations.astype(np.float32), rollout.actions,
                   rollout.logprobs.astype(np.float32), rollout.valid)


@pytest.mark.parametrize("change", [dict(lam=0.5), dict(gamma=0.9), dict(clip=0.01), dict(value_clip=0.01),
                                    dict(ent_coef=0.1), dict(epochs=2), dict(minibatch=64),
                                    dict(max_grad_norm=0.01)])
def test_each_number_of_the_recipe_moves_the_weights(change):
    found = []
    for config in (CARTPOLE, replace(CARTPOLE, **change)):
        run = start(config, seed=0)
        learn(run.agent, run.optimiser, a_rollout(run), config, rng=run.generator())
        found.append(weights(run))
    assert not torch.equal(*found)


def test_the_whole_loss_agrees_with_finite_differences():
    torch.manual_seed(0)
    agent = Agent(4, 2).double()
    torch.nn.init.normal_(agent.actor[-1].weight)
    advantages, old_values, returns = torch.randn(3, 12).double()
    batch = Minibatch(observations=torch.randn(12, 4).double(), actions=torch.randint(2, (12,)),
                      old_logprobs=-torch.rand(12).double(), advantages=advantages, old_values=old_values,
                      returns=returns)
    config = replace(CARTPOLE, ent_coef=0.1, value_clip=0.5)
    losses(agent, batch, config)[0].backward()
    for net in (agent.actor, agent.critic):
        weight, found = net[0].weight, net[0].weight.grad[0, 0].item()
        heights = []
        for step in (1e-6, -2e-6):
            with torch.no_grad():
                weight[0, 0] += step
                heights.append(losses(agent, batch, config)[0].item())
        assert_allclose((heights[0] - heights[1]) / 2e-6, found, rtol=1e-5)


def test_metrics_say_how_far_the_policy_has_moved():
    run = start(CARTPOLE, seed=0)
    (metrics,) = train(run, updates=1)
    assert 0.6 < metrics["entropy"] < np.log(2) and 0 < metrics["k3"] < 0.1
    assert 0 < metrics["clip_fraction"] < 1 and abs(metrics["explained_variance"]) < 0.1
    assert metrics["steps"] <= 8 * 128 and sum(metrics["returns"]) <= metrics["steps"]
    json.dumps(metrics)


def test_the_learning_rate_falls_in_a_line():
    run = start(replace(CARTPOLE, updates=4, num_steps=8), seed=0)
    rates = [run.optimiser.param_groups[0]["lr"] for _ in train(run)]
    assert_allclose(rates, CARTPOLE.lr * np.array([1, 0.75, 0.5, 0.25]))


@pytest.mark.slow
def test_cartpole_is_solved_within_30_updates_in_silence(capsys):
    run = start(CARTPOLE, seed=0)
    list(train(run, updates=30))
    assert evaluate(run.agent, "CartPole-v1").mean() >= 475
    assert capsys.readouterr() == ("", "")


def test_evaluation_counts_one_episode_of_each_copy():
    """While the longest goes on, the others begin again, which must not be counted."""
    torch.manual_seed(0)
    agent, env = Agent(4, 2), gymnasium.make_vec("CartPole-v1", 50)
    returns, play = evaluate(agent, "CartPole-v1", episodes=50, seed=3), begin(env, seed=3)
    rollout = collect_env(play, lambda x: (agent.greedy(x), np.zeros(50)), agent.critic_of, steps=500)
    assert_array_equal(returns, (rollout.steps.terminated | rollout.steps.truncated).argmax(-1) + 1)
    assert returns.min() < returns.max() / 2


def test_a_film_shows_the_first_and_the_last_step():
    pictures = film(Agent(4, 2), "CartPole-v1", frames=3)
    env = gymnasium.make("CartPole-v1", render_mode="rgb_array")
    env.reset(seed=0)
    assert pictures[0][0] == 0 and [p.shape for _, p in pictures] == [(400, 600, 3)] * 3
    assert_array_equal(pictures[0][1], env.render())
    env.close()


@pytest.mark.parametrize("name", ["updates", "num_envs", "num_steps", "epochs", "minibatch", "lr", "clip",
                                  "max_grad_norm"])
def test_numbers_that_are_not_positive_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be (more than 0|an integer of at least 1).*, got 0"):
        Config(**asdict(CARTPOLE) | {name: 0})


def command(tmp_path, *options):
    files = ["--out", str(tmp_path / "run.safetensors"), "--plot", str(tmp_path / "run.png")]
    return cli.main(["train", "cartpole", *options, *files])


@pytest.mark.slow
def test_the_command_trains_saves_and_draws(tmp_path, capsys):
    assert command(tmp_path, "--updates", "2", "--seed", "1") == 0
    out, err = capsys.readouterr()
    assert out.count("update ") == 2 and "greedy: " in out and "not solved (from 475)" in out and err == ""
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"
    run, history = load_run(tmp_path / "run.safetensors")
    assert (run.seed, run.update, run.config.updates, len(history)) == (1, 2, 2, 2)
    assert command(tmp_path, "--resume") == 0  # nothing left to do: says what it is worth, draws
    assert "run.safetensors holds all 2 updates" in capsys.readouterr().out


@pytest.mark.parametrize("options, message", [
    (["--updates", "0"], "--updates must be at least 1, got 0"),
    (["--seed", "-1"], "--seed must be at least 0, got -1"),
    (["--resume"], "--resume: there is no saved run at"),
    (["--resume", "--seed", "1"], "--seed is part of the run in"),
])
def test_the_command_says_in_one_line_what_stands_in_the_way(options, message, tmp_path, capsys):
    assert command(tmp_path, *options) == 2
    out, err = capsys.readouterr()
    assert message in err and err.count("\n") == 1 and out == ""


def test_the_command_refuses_a_missing_folder_and_another_task(tmp_path, capsys):
    assert command(tmp_path / "nowhere") == 2
    assert "there is no folder" in capsys.readouterr().err
    save_run(start(CARTPOLE, seed=0), [], tmp_path / "run.safetensors")
    assert cli.main(["train", "lunarlander", "--resume", "--out", str(tmp_path / "run.safetensors")]) == 2
    assert "is a run on CartPole-v1, not lunarlander" in capsys.readouterr().err


def test_more_updates_than_the_schedule_has_are_refused_and_nothing_is_lost():
    """Beyond its last update the learning rate would be below 0: training would climb the loss."""
    run = start(replace(CARTPOLE, updates=2, num_envs=2, num_steps=8), seed=0)
    list(train(run))
    before = weights(run)
    with pytest.raises(ValueError, match="updates must be at most those of the config, 2, .* got 45"):
        list(train(run, updates=45))
    assert torch.equal(weights(run), before) and run.optimiser.param_groups[0]["lr"] > 0


@pytest.mark.parametrize("change, message", [
    (dict(gamma=2), "gamma must be at least 0 and at most 1, got 2"), (dict(lam=-0.1), "lam must be at least 0"),
    (dict(value_clip=-1), "value_clip must be more than 0"), (dict(num_envs=2.5), "num_envs must be an integer"),
    (dict(lr=float("nan")), "lr must be a number, got nan"), (dict(clip="0.2"), "clip must be a number, got '0.2'"),
    (dict(lr=float("inf")), "lr must be more than 0 and finite"),
    (dict(ent_coef=-1), "ent_coef must be at least 0"),
    (dict(clip=None), "clip must be one number, got NoneType")])
def test_an_impossible_number_is_refused_at_construction(change, message):
    with pytest.raises(ValueError, match=message):
        replace(CARTPOLE, **change)


SPACES = gymnasium.spaces
OTHER_SPACES = [
    (SPACES.Discrete(5), SPACES.Discrete(2), "env must have a Box of one axis as its observations, got Discrete"),
    (SPACES.Box(0, 255, (8, 8, 3), np.uint8), SPACES.Discrete(2), "observations, got Box"),
    (SPACES.Dict(x=SPACES.Discrete(2)), SPACES.Discrete(2), "observations, got Dict"),
    (SPACES.Tuple([SPACES.Discrete(2)]), SPACES.Discrete(2), "observations, got Tuple"),
    (SPACES.Box(-1, 1, (3,)), SPACES.Box(-1, 1, (2,)), "as its actions, from 0, got Box"),
    (SPACES.Box(-1, 1, (3,)), SPACES.MultiDiscrete([2, 3]), "as its actions, from 0, got MultiDiscrete"),
    (SPACES.Box(-1, 1, (3,)), SPACES.Discrete(2, start=1), "as its actions, from 0, got Discrete")]


class Drift(gymnasium.Env):
    """A point that moves left or right, in float64 as MuJoCo has it; right is rewarded."""

    def __init__(self, observations=None, actions=None):
        self.observation_space = observations or SPACES.Box(-9, 9, (3,), np.float64)
        self.action_space = actions or SPACES.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.normal(size=3), 0
        return self.place, {}

    def step(self, action):
        self.place, self.steps = np.clip(self.place + 0.1 * (2 * action - 1), -9, 9), self.steps + 1
        return self.place, float(action), False, self.steps == 20, {}


def test_an_environment_in_float64_trains():
    env = gymnasium.vector.SyncVectorEnv([Drift] * 4)
    run = start(replace(CARTPOLE, updates=30, num_envs=4, num_steps=40), seed=0, env=env)
    history = list(train(run))
    assert run.play.observations.dtype == np.float64
    assert np.mean(history[0]["returns"]) < 13 and np.mean(history[-1]["returns"]) > 17  # of 20; seeds 0 to 2


def test_no_updates_are_refused():
    with pytest.raises(ValueError, match="updates must be an integer of at least 1, got 0"):
        next(train(start(CARTPOLE, seed=0), updates=0))


def test_a_single_environment_is_refused_by_name():
    with pytest.raises(ValueError, match="env must be a vector environment, got .*; make it with"):
        start(CARTPOLE, seed=0, env=gymnasium.make("CartPole-v1"))


@pytest.mark.parametrize("observations, actions, message", OTHER_SPACES)
def test_spaces_that_the_nets_cannot_take_are_refused_by_name(observations, actions, message):
    env = gymnasium.vector.SyncVectorEnv([lambda: Drift(observations, actions)] * 2)
    with pytest.raises(ValueError, match=message):
        start(CARTPOLE, seed=0, env=env)


@pytest.mark.parametrize("lost", ["agent.actor.0.weight", "adam.3.exp_avg", "adam.", "play.running"])
def test_a_saved_run_that_lacks_a_part_is_refused(lost, tmp_path):
    """Without Adam's moments a run went on in silence, and was another one."""
    run, path = start(replace(CARTPOLE, updates=2, num_envs=2, num_steps=8), seed=0), tmp_path / "run.safetensors"
    save_run(run, [], path)
    load_run(path)
    list(train(run))
    save_run(run, [], path)
    tensors, metadata = saved.read(path, Config)
    metadata["config"] = asdict(metadata["config"])
    saved.write({name: x for name, x in tensors.items() if not name.startswith(lost)}, metadata, path)
    with pytest.raises(ValueError, match=f"not whole: {lost}.* must be .*, and is absent"):
        load_run(path)
    saved.write(tensors | {"agent.more": torch.ones(1)}, metadata, path)
    with pytest.raises(ValueError, match=r"not whole: agent.more must be absent, and is \(1,\)"):
        load_run(path)
