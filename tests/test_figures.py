"""Figures draw what they are given; the slider carries every frame and its numbers."""

import re
from base64 import b64decode
from xml.etree import ElementTree

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


def slider():
    panel = figures.Panel("Errors & such", "λ", (0, 1), (0, 2), lines={"bias": ([0, 1], [0, 2])},
                          bars=[[1.0, 2.0], [0.5, 9.0]], dots=[[(0, 1)], [(1, 2)]])
    return figures.slider_html("λ", ["λ = 0", "λ = 1"], [panel], ["one <1>", "two"], start=1)


def test_the_slider_holds_a_frame_for_every_position():
    html = slider()
    assert html.count('data-frame="0"') == html.count('data-frame="1"') == 2  # drawing and text
    hidden = re.findall(r'data-frame="(\d)" style="display:none"', html)
    assert set(hidden) == {"0"} and len(hidden) == 2
    assert 'max="1" value="1"' in html and "<label" in html
    assert "one &lt;1&gt;" in html and "Errors &amp; such" in html
    assert "<script" not in html and "http" not in html


def test_the_still_is_hidden_and_shows_the_start():
    html = slider()
    image = re.search(r'<img hidden alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', html)
    assert image[1] == "λ, still: λ = 1, two"
    drawn = ElementTree.fromstring(b64decode(image[2]))
    assert [group.get("data-frame") for group in drawn.iter() if group.get("data-frame")] == ["1"]
    assert len(image[2]) < len(html) and drawn.get("width") == "300"


def test_bars_end_inside_the_frame_and_scale_with_the_value():
    rects = re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', slider())
    heights = [float(h) for _, h in rects]
    assert heights[0] == pytest.approx(heights[1] / 2, abs=0.2)   # 1 and 2 of 2
    assert heights[3] == heights[1]                               # 9 is cut at the frame's top


def test_two_calls_give_the_same_html():
    assert slider() == slider()
