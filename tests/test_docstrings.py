"""The examples in docstrings: each gives what it shows, and reaches the page as it stands."""

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
import torch

import docstrings

SOURCE = Path(__file__).parent.parent / "src"
MODULES = sorted(".".join(path.relative_to(SOURCE).with_suffix("").parts)
                 for path in SOURCE.rglob("*.py") if ">>> " in path.read_text())


@pytest.mark.parametrize("name", MODULES)
def test_every_example_gives_what_it_shows(name):
    done = doctest.testmod(importlib.import_module(name), extraglobs={"np": np, "torch": torch})
    assert done.attempted and not done.failed


def test_the_functions_that_are_used_most_show_an_example():
    used_most = {"advantages": ["gae", "lambda_returns"], "tokens": ["kl_estimates", "token_rewards"],
                 "reward_model": ["bradley_terry_loss"]}
    for module, functions in used_most.items():
        for name in functions:
            assert ">>> " in getattr(importlib.import_module(f"coursekit.{module}"), name).__doc__, name


def test_the_page_shows_an_example_as_it_stands():
    lines = ["Multiply `a` by b*.", "", ">>> f(a=`1`, *b)  # (book: eq-f)", "[1 * 2]", "", "Then a * b."]
    docstrings.plain(None, "function", "f", None, None, lines)
    assert lines == ["Multiply ``a`` by b\\*.", "", ">>> f(a=`1`, *b)  # (book: eq-f)", "[1 * 2]", "",
                     "Then a \\* b."]


def test_a_line_that_names_no_argument_stays_a_line():
    """napoleon would take "(N,) floats, scores:" for two arguments, called "(N" and "floats"."""
    for line in ("Args: (N,) floats, scores: under one prompt.", "Args: as there; n: at least 1.",
                 "Raises: ValueError as above."):
        lines = [line]
        docstrings.plain(None, "function", "f", None, None, lines)
        assert lines == [line]
    lines = ["Args: a, b: floats.", "Raises: ValueError: none are given."]
    docstrings.plain(None, "function", "f", None, None, lines)
    assert lines == ["", "Args:", "    a, b: floats.", "", "Raises:", "    ValueError: none are given."]
