"""The slider carries every frame and its numbers."""

import re
from base64 import b64decode
from xml.etree import ElementTree

import pytest

from coursekit.slider import Choice, Dial, Panel, Strip, _within, play_html


def html():
    panel = Panel("Errors & such", "λ", (0, 1), (0, 2), lines={"bias": ([0, 1], [0, 2])},
                  bars=[[1.0, 2.0], [0.5, 9.0]], dots=[[(0, 1)], [(1, 2)]])
    return play_html([Dial("λ", ["λ = 0", "λ = 1"], start=1)], [panel], ["one <1>", "two"])


@pytest.mark.parametrize("y, pieces", [
    ([0, 0.5, 1], [[(0, 0), (1, 0.5), (2, 1)]]),
    ([5, 5, 6], []),
    ([0, 0, 2, 0], [[(0, 0), (1, 0), (1.5, 1)], [(2.5, 1), (3, 0)]]),
    ([2, 0, -1], [[(0.5, 1), (1, 0)]])])
def test_a_line_ends_where_it_leaves_its_panel(y, pieces):
    assert _within((0, 1), range(len(y)), y) == pieces


def test_the_slider_holds_a_frame_for_every_position():
    page = html()
    assert page.count('data-frame="0"') == page.count('data-frame="1"') == 2  # drawing and text
    hidden = re.findall(r'data-frame="(\d)" style="display:none"', page)
    assert set(hidden) == {"0"} and len(hidden) == 2
    assert 'max="1" value="1"' in page and "<label" in page
    assert page.count("left:calc(8px + (100% - 16px)*") == 2  # a mark at each end of the track
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


def test_a_level_lies_at_its_height_over_the_bars_in_another_colour_once_for_all_frames():
    panel = Panel("t", "line", (-0.5, 1.5), (0, 1), bars=[[1.0, 0.5], [0.0, 1.0]], levels={"before": [0.5, 0.0]})
    page = play_html([Dial("λ", ["0", "1"])], [panel], ["a", "b"]).partition("<img")[0]
    rects = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill="([^"]*)"', page)
    first, second, _, full, *marks, key = [[float(n) for n in rect[:4]] + [rect[4]] for rect in rects]
    assert page.rindex('fill="#0072B2"') < page.index('fill="#D55E00"')  # drawn last
    assert [mark[4] for mark in marks] == ["#D55E00"] * 2 and key[4] == "#D55E00" and ">before</text>" in page
    assert [mark[1] + 1.5 for mark in marks] == [second[1], full[1] + full[3]]  # 0.5, and 0
    for mark, bar in zip(marks, (first, second)):
        assert mark[0] + mark[2] / 2 == pytest.approx(bar[0] + bar[2] / 2, abs=0.1) and mark[2] > bar[2]


def test_two_calls_give_the_same_html():
    assert html() == html()


def controls():
    return [Dial("step", ["0", "1", "2"], start=1), Choice("how", ["on", "off"])]


def strip_html(texts):
    strip = Strip("Steps", boxes=[["a", "b"]] * 6, shades=[["#fff", "#000"]] * 6,
                  rows=[{"V": [f"{i}", "x"]} for i in range(6)],
                  arrows=[[(1, 0)]] * 3 + [[]] * 3, arrows_name="trace")
    return play_html(controls(), [strip], texts)


def test_there_is_a_frame_for_every_combination_and_a_stride_for_every_control():
    page = strip_html([f"frame {i}" for i in range(6)])
    assert set(re.findall(r'data-frame="(\d)" style="display:none"', page)) == set("01345")  # 1 · 2 + 0 is shown
    assert re.findall(r'data-stride="(\d)"', page) == ["2", "1", "1"]
    lines = re.findall(r"<b>([^<]*)</b>: (frame \d)", page)
    assert lines == [(f"{step}, {how}", f"frame {2 * step + i}")
                     for step in range(3) for i, how in enumerate(("on", "off"))]
    assert page.count('type="radio"') == 2 and page.count(" checked") == 1
    assert page.count(f'fill="{"#0072B2"}"') == 3  # the heads of the arrows


def test_a_missing_line_is_named():
    with pytest.raises(ValueError, match="texts has 5 lines; 6 combinations"):
        strip_html(["x"] * 5)


def test_an_upright_line_stands_where_the_dial_stands():
    panel = Panel("t", "λ", (0, 2), (0, 1), now=[0, 1, 2], ticks={0: "0", 1: "0.9", 2: "1"})
    page = play_html([Dial("λ", ["0", "0.9", "1"])], [panel], ["a", "b", "c"])
    at = [float(x) for x in re.findall(r'<line x1="([\d.]+)"[^>]*stroke-dasharray="3 3"', page)]
    assert at == [44, 168, 292]  # of a frame from 44 to 292
    assert ">0.9</text>" in page
