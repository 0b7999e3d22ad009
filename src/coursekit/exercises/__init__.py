"""The registry: every exercise of the course, with its cases, reference, hints and misconceptions.

The checks in the notebooks, the pytest plugin, the task cells and the tests all derive from it.
"""

from coursekit.exercises import (
    before_you_start,
    four_models,
    gae,
    gae_at_work,
    reward_models,
    sparse_credit,
    td_vs_mc,
    without_a_critic,
    without_a_reward_model,
)
from coursekit.exercises.base import Case, Choice, Exercise, Misconception, Slot
from coursekit.exercises.own import Own

CHAPTERS = (before_you_start, td_vs_mc, gae, gae_at_work, reward_models, sparse_credit, four_models,
            without_a_critic, without_a_reward_model)
EXERCISES = {exercise.id: exercise for chapter in CHAPTERS for exercise in chapter.EXERCISES}
OWN = Own(EXERCISES)  # an instructor's own are added to the same registry
OWN.add_what_is_named()

__all__ = ["CHAPTERS", "EXERCISES", "OWN", "Case", "Choice", "Exercise", "Misconception", "Slot", "get"]


def get(exercise_id):
    """The Exercise of that id; an unknown one is looked for in a folder `exercises` beside the notebook.

    Raises ValueError that lists the ids where there is none.
    """
    if exercise_id not in EXERCISES:
        OWN.add_beside(".")
    if exercise_id not in EXERCISES:
        raise ValueError(f"no exercise is called {exercise_id!r}. Was the notebook moved away from its folder "
                         f"`exercises`? Put that beside it. There are: {', '.join(EXERCISES)}")
    return EXERCISES[exercise_id]
