"""coursekit: the library behind a course on advantage estimation and reward models.

By chapter:

    1   advantages, chains, rollouts
    2   advantages again, and its fast loops in _dispatch, _scans, _kernels
    2b  env_rollouts, actor_critic, classic_ppo, classic_resume
    3   preferences, preference_data, reward_model, linear_reward, hf
    4   tokens, credit, credit_learning
    5   helpdesk, lm, ppo, rlhf, resume, distributed, hf_roles, memory_budget,
        checkpoints
    6   groups
    7   direct, hf_direct
    all arrays, figures, slider, saved, progress, distribution, missing

`exercises` is the registry of what learners solve, `autograder` judges their answers,
`commands` has a module for each command, and `cli` runs them. Import by module path:
`from coursekit.advantages import gae`. The whole map is in CONTRIBUTING.md.
"""

from coursekit.missing import explain

explain()

__version__ = "0.1.0"
