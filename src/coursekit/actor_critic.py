"""The two nets of classic PPO, their play (sampled, or greedy), and a strip of film of an episode.

Acting is done in numpy, on the memory of torch's weights: for nets this small, torch's
calls cost more than its arithmetic.
"""

import os

import gymnasium
import numpy as np
import torch

from coursekit.arrays import positive_int


class Agent(torch.nn.Module):
    """An actor that gives logits of the actions and a critic that gives values, two hidden layers of 64 each."""

    def __init__(self, inputs, actions):
        super().__init__()
        self.actor, self.critic = _net(inputs, actions, 0.01), _net(inputs, 1, 1.0)

    def values(self, observations):
        """(..., inputs) torch floats to (...), units of reward."""
        return self.critic(observations).squeeze(-1)

    def critic_of(self, observations):
        """The same in numpy, for `collect_env`."""
        return _forward(self.critic, observations)[:, 0]

    def sampler(self, rng):
        """The actor as a policy for `collect_env`: observations to sampled actions and log-probabilities, nats."""
        def policy(observations):
            logits = _forward(self.actor, observations)
            logits = logits - logits.max(-1, keepdims=True)
            logprobs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
            # the largest of logits + Gumbel noise is a draw from softmax(logits)
            actions = (logits + rng.gumbel(size=logits.shape)).argmax(-1)
            return actions, np.take_along_axis(logprobs, actions[:, None], -1)[:, 0]
        return policy

    def greedy(self, observations):
        """The most likely action for each observation, (N,) ints."""
        return _forward(self.actor, observations).argmax(-1)


def evaluate(agent, env_name, *, episodes=100, seed=0):
    """Greedy play: the returns of one episode in each of `episodes` copies, (episodes,), units of reward."""
    env = gymnasium.make_vec(env_name, positive_int(episodes=episodes))
    observations, _ = env.reset(seed=seed)
    returns = np.zeros(episodes)
    running = np.ones(episodes, bool)  # a copy's first episode alone counts
    while running.any():
        actions = agent.greedy(observations)
        observations, rewards, terminated, truncated, _ = env.step(actions)
        returns += rewards * running
        running &= ~(terminated | truncated)
    env.close()
    return returns


def film(agent, env_name, *, frames=6, seed=0):
    """One greedy episode as `frames` pictures, evenly spaced, the last step included: [(step, (H, W, 3) bytes)]."""
    # pygame draws into memory, and needs no screen
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    env = gymnasium.make(env_name, render_mode="rgb_array")

    def play(wanted=()):
        """The length of the episode, and pictures of the wanted steps."""
        observation, _ = env.reset(seed=seed)
        ended, step, pictures = False, 0, []
        while not ended:
            if step in wanted:
                pictures.append((step, env.render()))
            action = int(agent.greedy(observation[None])[0])
            observation, _, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
            step += 1
        return step, pictures

    length, _ = play()
    wanted = np.linspace(0, length - 1, positive_int(frames=frames)).round().astype(int)
    _, pictures = play(set(wanted.tolist()))
    env.close()
    return pictures


def _net(inputs, outputs, scale):
    layers = [torch.nn.Linear(a, b) for a, b in ((inputs, 64), (64, 64), (64, outputs))]
    for layer, gain in zip(layers, (2**0.5, 2**0.5, scale)):
        torch.nn.init.orthogonal_(layer.weight, gain)
        torch.nn.init.zeros_(layer.bias)
    first, second, last = layers
    return torch.nn.Sequential(first, torch.nn.Tanh(), second, torch.nn.Tanh(), last)


def _forward(net, x):
    x = np.asarray(x, np.float32)  # of the weights: a sum with float64 would be float64
    *hidden, last = net[::2]
    for layer in hidden:
        x = np.tanh(_linear(layer, x))
    return _linear(last, x)


def _linear(layer, x):
    return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
