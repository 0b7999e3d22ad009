"""The slider carries every frame and its numbers."""

import re
from base64 import b64decode
from xml.etree import ElementTree

import pytest

from coursekit.slider import Panel, slider_html


def html():
    panel = Panel("Errors & such", "λ", (0, 1), (0, 2), lines={"bias": ([0, 1], [0, 2])},
                  bars=[[1.0, 2.0], [0.5, 9.0]], dots=[[(0, 1)], [(1, 2)]])
    return slider_html("λ", ["λ = 0", "λ = 1"], [panel], ["one <1>", "two"], start=1)


def test_the_slider_holds_a_frame_for_every_position():
    page = html()
    assert page.count('data-frame="0"') == page.count('data-frame="1"') == 2  # drawing and text
    hidden = re.findall(r'data-frame="(\d)" style="display:none"', page)
    assert set(hidden) == {"0"} and len(hidden) == 2
    assert 'max="1" value="1"' in page and "<label" in page
    assert "one &lt;1&gt;" in page and "Errors &amp; such" in page
    assert "<script" not in page and "http" not in page


def test_the_still_is_hidden_and_shows_the_start():
    page = html()
    image = re.search(r'<img hidden alt="([^"]*)" src="data:image/svg\+xml;base64,([^"]*)"', page)
    assert image[1] == "λ, still: λ = 1, two"
    drawn = ElementTree.fromstring(b64decode(image[2]))
    assert [group.get("data-frame") for group in drawn.iter() if group.get("data-frame")] == ["1"]
    assert len(image[2]) < len(page) and drawn.get("width") == "300"


def test_bars_end_inside_the_frame_and_scale_with_the_value():
    rects = re.findall(r'<rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', html())
    heights = [float(h) for _, h in rects]
    assert heights[0] == pytest.approx(heights[1] / 2, abs=0.2)   # 1 and 2 of 2
    assert heights[3] == heights[1]                               # 9 is cut at the frame's top


def test_two_calls_give_the_same_html():
    assert html() == html()
