"""Figures draw what they are given."""

import re
import subprocess
import sys

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
    assert [line.get_ydata().tolist() for line in ax.lines[1:]] == runs.tolist()  # each run as a thin line


def grounds(ax):
    legends = [legend.get_frame().get_alpha() for legend in (ax.get_legend(), *ax.figure.legends) if legend]
    return {ax.figure.get_facecolor()[3], ax.get_facecolor()[3], *legends}


def test_figures_have_no_ground(ax):
    figures.plot_advantages(ax, {"TD": np.arange(5.0)})
    ax.figure.legend(*ax.get_legend_handles_labels())
    assert grounds(ax) == {1.0, 0.8}  # a figure of the user's own stays as matplotlib makes it
    figures.style(ax)
    assert grounds(ax) == {0}


@pytest.mark.parametrize("picture", [
    lambda ax: figures.plot_grid(ax, [[1.0]], ["a"], ["b"], label="x"),
    lambda ax: figures.plot_tokens(ax, ["a"], {"r": [1.0]}),
    lambda ax: figures.plot_film(ax, [(0, np.zeros((4, 6, 3), np.uint8))], "after"),
    lambda ax: figures.plot_triangle(ax, [0.2, 0.8]),
    lambda ax: figures.plot_timeline(ax, [0.1], [1]),
    lambda ax: figures.plot_backups(ax, [1], ["TD"]),
    lambda ax: figures.plot_rollout(ax, ["terminated"])])
def test_pictures_have_no_ground(ax, picture):
    picture(ax)
    assert grounds(ax) == {0}


def test_the_settings_of_matplotlib_stay_as_they_are():
    code = ("import matplotlib; before = dict(matplotlib.rcParams); import coursekit.figures; "
            "assert dict(matplotlib.rcParams) == before")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_grid_shows_every_number_and_the_larger_is_the_darker(ax):
    figures.plot_grid(ax, [[1.0, np.nan], [0.25, 3.0]], ["a", "b"], ["c", "d"], label="x (reward)")
    assert [text.get_text() for text in ax.texts] == ["1.00", "", "0.25", "3.00"]
    shade = ax.images[0].cmap(ax.images[0].norm(ax.images[0].get_array()))[..., :3].sum(-1)
    assert shade[1, 0] > shade[0, 0] > shade[1, 1]


def test_a_scatter_marks_every_run_and_the_median(ax):
    figures.plot_scatter(ax, {"a": ([1, 2, 9], [3, 5, 4])}, xlabel="x", ylabel="y")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2, 9], [2.0]]
    assert [line.get_ydata().tolist() for line in ax.lines] == [[3, 5, 4], [4.0]]


def test_dots_stand_in_the_row_of_their_name(ax):
    figures.plot_dots(ax, {"a": [1, 3], "b": [2]}, xlabel="x")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[0, 0], [1]] and ax.yaxis_inverted()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["a", "b"]


def test_linked_dots_join_the_runs_of_one_seed(ax):
    figures.plot_dots(ax, {"a": [1, 3], "b": [2, 5]}, xlabel="x", linked=True)
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2], [3, 5], [1, 3], [2, 5]]


def test_the_axis_of_lambda_spreads_what_is_near_1(ax):
    ax.plot([0, 0.5, 0.9, 0.99, 1], range(5))
    figures.lambda_axis(ax)
    x = ax.transData.transform([[lam, 0] for lam in (0, 0.5, 0.9, 0.99, 1)])[:, 0]
    assert (np.diff(x) > 0.1 * (x[-1] - x[0])).all()


def test_a_triangle_sums_to_the_decay(ax):
    """The weights of all n > k sum to λ^k: that is how often δ at distance k is counted."""
    weights = np.append(0.2 * 0.8 ** np.arange(3), 0.8**3)
    figures.plot_triangle(ax, weights)
    assert [text.get_text() for text in ax.texts][-4:] == ["1.000", "0.800", "0.640", "0.512"]


def test_a_rollout_bootstraps_with_0_after_a_termination_and_its_trace_stops_at_every_end(ax):
    figures.plot_rollout(ax, ["", "truncated", "", "terminated", ""])
    arrows = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert [arrow.get_text() for arrow in arrows if arrow.get_text()] == ["V", "V", "V", "0", "V"]
    assert [arrow.xy[0] for arrow in arrows if not arrow.get_text()] == [0.05, 2.05]


def test_a_timeline_has_a_state_a_reward_and_an_arc_for_each(ax):
    figures.plot_timeline(ax, [0.1, 0.8], [0, 1], [(0, 1, "Monte Carlo")])
    assert {"0.1", "0.8", "r = 0", "r = 1", "end", "Monte Carlo"} <= {text.get_text() for text in ax.texts}


def test_a_backup_asks_the_critic_at_its_last_state_or_ends_with_the_episode(ax):
    figures.plot_backups(ax, [1, None], ["TD", "Monte Carlo"])
    last = [line for line in ax.lines if line.get_marker() == "s" or line.get_markerfacecolor() == "#56B4E9"]
    assert [line.get_marker() for line in last] == ["o", "s"]
    assert [text.get_text() for text in ax.texts] == ["TD", "Monte Carlo"]


def test_where_one_run_is_far_off_the_median_is_bold_and_there_is_no_band(ax):
    runs = np.array([[1.0, 2.0], [3.0, 6.0], [-90.0, 5.0]])
    figures.plot_bands(ax, [0, 1], {"a": runs}, xlabel="x", ylabel="y (reward)", median=True)
    bold, *thin = ax.lines
    assert [line.get_ydata().tolist() for line in thin] == runs.tolist()
    assert bold.get_ydata().tolist() == [1.0, 5.0] and bold.get_linewidth() > thin[0].get_linewidth()
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a"] and not ax.collections


def test_a_sign_stands_where_a_number_differs_from_0_and_is_stronger_further_away():
    table = figures.signs_table({"a": (["1 to 2"], [0.0, 2.0]), "<end>": (["3"], [-300.0, 0.5])}, ["x", "y"],
                                heads=["bug", "gold"])
    head, *rows = re.findall(r"<tr>(.*?)</tr>", table)
    assert re.findall(r">([^<>]+)<", head) == ["bug", "gold", "x", "y"]
    assert [re.findall(r">([^<>]*)</t[dh]>", row) for row in rows] == [["a", "1 to 2", "", "▲"],
                                                                       ["&lt;end&gt;", "3", "▼", "▲"]]
    up, down, little = (float(alpha) for alpha in re.findall(r"background:rgba\([\d,]+,([\d.]+)\)", table))
    assert little < up < down


def test_a_film_is_its_pictures_side_by_side_each_with_its_step(ax):
    pictures = [(step, np.full((4, 6, 3), step, np.uint8)) for step in (0, 7, 9)]
    figures.plot_film(ax, pictures, "after")
    strip = ax.images[0].get_array()
    assert strip.shape == (4, 18, 3) and strip[0, ::6, 0].tolist() == [0, 7, 9]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["step 0", "step 7", "step 9"]
    assert ax.get_xticks().tolist() == [3, 9, 15] and ax.get_ylabel() == "after"
