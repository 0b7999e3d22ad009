"""Figures draw what they are given."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402

from coursekit import figures  # noqa: E402


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_lines_carry_the_data_and_the_axes_their_units(ax):
    figures.plot_advantages(ax, {"TD": np.arange(5.0), "MC": np.ones(5)})
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0, 1, 2, 3, 4], [1] * 5]
    assert ax.get_ylabel() == "advantage (reward)" and ax.get_xlabel() == "step t"
    assert len({(line.get_color(), line.get_marker()) for line in ax.lines}) == 2


def test_a_band_spans_the_runs(ax):
    runs = np.array([[1.0, 2.0], [3.0, 6.0]])
    figures.plot_bands(ax, [0, 1], {"a": runs}, xlabel="x", ylabel="y (reward)")
    assert ax.lines[0].get_ydata().tolist() == [2.0, 4.0]
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 1.0 and band[:, 1].max() == 6.0


def test_a_film_is_its_pictures_side_by_side_each_with_its_step(ax):
    pictures = [(step, np.full((4, 6, 3), step, np.uint8)) for step in (0, 7, 9)]
    figures.plot_film(ax, pictures, "after")
    strip = ax.images[0].get_array()
    assert strip.shape == (4, 18, 3) and strip[0, ::6, 0].tolist() == [0, 7, 9]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["step 0", "step 7", "step 9"]
    assert ax.get_xticks().tolist() == [3, 9, 15] and ax.get_ylabel() == "after"
