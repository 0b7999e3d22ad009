"""Figures that a reader moves, through frames computed beforehand: they need no kernel and no network.

`slider` has one dial; `play` has any number of controls, and a frame for every
combination of their positions.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from itertools import product
from math import prod
from zlib import crc32

import numpy as np
from IPython.display import display
from matplotlib.ticker import MaxNLocator

from coursekit.figures import COLOURS


@dataclass(frozen=True)
class Panel:
    """One small plot."""

    title: str
    xlabel: str
    xlim: tuple
    ylim: tuple
    # {name: (x, y)}, the same in every frame
    lines: dict = field(default_factory=dict)
    # for each frame, heights at x = first, first + 1, …
    bars: list = field(default_factory=list)
    first: int = 0
    # {name: heights}: a mark across each bar, the same in every frame
    levels: dict = field(default_factory=dict)
    # for each frame, (x, y) points
    dots: list = field(default_factory=list)
    # for each frame, the x of an upright line
    now: list = field(default_factory=list)
    # {x: text} of the x axis; empty: round numbers
    ticks: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Strip:
    """A row of boxes, such as the steps of an episode or the tokens of a reply, with rows of text below."""

    title: str
    boxes: list  # for each frame, the texts in the boxes
    shades: list  # for each frame, the colour of each box
    rows: list  # for each frame, {name: texts, one for each box}
    # for each frame, (from, to): columns, drawn under the rows
    arrows: list = field(default_factory=list)
    arrows_name: str = ""


@dataclass(frozen=True)
class Dial:
    """A control with positions in an order: a range input, moved by mouse or arrow keys."""

    label: str
    values: list
    start: int = 0
    # {position: text} below the track; empty: taken from the values
    ticks: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A control with alternatives: radio buttons."""

    label: str
    values: list
    start: int = 0


def slider(label, values, panels, texts, *, start=0, ticks=None):
    """Show a figure that one range input moves: no kernel, no network.

    Args:
        label: what is moved.
        values: its positions, as text.
        panels: list of Panel or Strip.
        texts: one line of numbers for each position. start: index of the first shown.
        ticks: {position: text} below the track.
    """
    play([Dial(label, values, start, ticks or {})], panels, texts)


def play(controls, panels, texts):
    """Show a figure that a reader moves with several controls: no kernel, no network.

    Args:
        controls: list of Dial and Choice.
        panels: list of Panel and Strip.
        texts: one line for each frame. There is a frame for each combination of
            positions, in the order of `itertools.product`.
    """
    shown = _start(controls)
    values = ", ".join(control.values[control.start] for control in controls)
    display({"text/html": play_html(controls, panels, texts),
             "text/plain": f"[{_names(controls)}; {values}: {texts[shown]}]"}, raw=True)


def play_html(controls, panels, texts):
    """The HTML of `play`: inline SVG, one group per frame, labelled inputs, and a still image.

    The image has the attribute `hidden`. GitHub strips SVG, styles and scripts, and
    that attribute too: so it shows the image.
    """
    start = _start(controls)
    combinations = list(product(*(control.values for control in controls)))
    positions = [", ".join(values) for values in combinations]
    if len(texts) != len(positions):
        raise ValueError(
            f"texts has {len(texts)} lines; {len(positions)} combinations need one each")
    frames = range(len(texts))
    plots = "".join(_svg(panel, frames, start) for panel in panels)
    lines = "".join(
        f'<div data-frame="{i}"{_hidden(i, start)}>'
        f"<b>{escape(position)}</b>: {escape(text)}</div>"
        for i, (position, text) in enumerate(zip(positions, texts)))
    still = b64encode(_still(panels, start).encode()).decode()
    shown = f"{_names(controls)}, still: {positions[start]}, {texts[start]}"
    return (f'<figure class="ck-slider" oninput="{_ON_INPUT}">{_inputs(controls)}'
            f'<div role="status" style="font-variant-numeric:tabular-nums">{lines}</div>'
            f'<div style="{_GRID}">{plots}</div>'
            f'<img hidden alt="{escape(shown)}" '
            f'src="data:image/svg+xml;base64,{still}"></figure>')


_ON_INPUT = escape(
    "let i=0;this.querySelectorAll('[data-stride]').forEach(c=>{"
    "if(c.type==='range')"
    "c.setAttribute('aria-valuetext',c.dataset.values.split('|')[c.value]);"
    "if(c.type==='range'||c.checked)i+=c.value*c.dataset.stride});"
    "this.querySelectorAll('[data-frame]').forEach(e=>{"
    "e.style.display=+e.dataset.frame===i?'':'none'})")
_GRID = "display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:8px"
_MARK = ("transform:translateX(-50%);text-align:center;line-height:1;font-size:.8em;"
         "white-space:nowrap")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 210, 44, 8, 24, 38


def _start(controls):
    """The frame that is shown first."""
    frame = 0
    for control in controls:
        frame = frame * len(control.values) + control.start
    return frame


def _names(controls):
    return ", ".join(control.label for control in controls)


def _inputs(controls):
    name = f"ck-{crc32(repr(controls).encode()):08x}"
    parts = []
    for number, control in enumerate(controls):
        stride = prod(len(later.values) for later in controls[number + 1:])
        control_input = _radio if isinstance(control, Choice) else _range
        parts.append(control_input(control, stride, f"{name}-{number}"))
    return "".join(parts)


def _radio(choice, stride, name):
    """A Choice. stride: how many frames one position is worth."""
    buttons = "".join(
        '<label style="display:inline-block;margin-right:1em">'
        f'<input type="radio" name="{name}" value="{i}" data-stride="{stride}"'
        f'{" checked" * (i == choice.start)}> {escape(value)}</label>'
        for i, value in enumerate(choice.values))
    return ('<fieldset style="border:0;padding:0;margin:0 0 .4em">'
            '<legend style="font-size:1em;margin:0;float:none">'
            f"{escape(choice.label)}</legend>{buttons}</fieldset>")


def _range(dial, stride, name):
    """A Dial. stride: how many frames one position is worth."""
    last = len(dial.values) - 1
    ticks = dial.ticks or _marks(dial.values)
    marks = "".join(
        '<span style="position:absolute;'
        f'left:calc(8px + (100% - 16px)*{i / last:.4f});{_MARK}">'
        f'<span style="display:block;font-size:.6em">|</span>{escape(text)}</span>'
        for i, text in ticks.items())
    return (f'<label style="display:block;max-width:30em">{escape(dial.label)} '
            f'<input type="range" min="0" max="{last}" value="{dial.start}" step="1" '
            f'data-stride="{stride}" data-values="{escape("|".join(dial.values))}" '
            'style="display:block;width:100%;margin:0" '
            f'aria-valuetext="{escape(dial.values[dial.start])}"></label>'
            '<div aria-hidden="true" '
            f'style="position:relative;max-width:30em;height:2em">{marks}</div>')


def _marks(values):
    """{position: text} for at most nine positions, where the values are short: "λ = 0.95" is marked 0.95."""
    short = [value.rpartition("= ")[2] for value in values]
    if max(map(len, short)) > 6:
        return {}
    last = len(values) - 1
    step = -(-len(values) // 9)
    marked = [i for i in range(0, last, step) if last - i >= step]
    return {i: short[i] for i in [*marked, last]}


def _hidden(frame, start):
    return "" if frame == start else ' style="display:none"'


def _svg(panel, frames, start):
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{escape(panel.title)}" '
            'style="width:100%;max-width:420px" font-size="11" fill="currentColor">'
            f'{_drawing(panel, frames, start)}</svg>')


def _still(panels, start):
    """All panels in one frame, two in a row, as one SVG file on white."""
    width = _WIDTH * min(len(panels), 2)
    height = _HEIGHT * ((len(panels) + 1) // 2)
    placed = "".join(
        f'<g transform="translate({_WIDTH * (i % 2)} {_HEIGHT * (i // 2)})">'
        f"{_drawing(panel, [start], start)}</g>"
        for i, panel in enumerate(panels))
    return ('<svg xmlns="http://www.w3.org/2000/svg" '
            f'width="{width}" height="{height}" font-family="sans-serif" font-size="11">'
            f'<path fill="#fff" d="M0 0H{width}V{height}H0Z"/>{placed}</svg>')


def _drawing(panel, frames, start):
    """The inside of a panel: what stays, then one group for each of the frames."""
    if isinstance(panel, Strip):
        below, above = _text(_WIDTH / 2, 14, panel.title, weight="bold"), ""
        moved = _strip
    else:
        below, above = _axes(panel) + _lines(panel), _levels(panel)
        moved = _moved
    groups = [f'<g data-frame="{frame}"{_hidden(frame, start)}>{moved(panel, frame)}</g>'
              for frame in frames]
    return below + "".join(groups) + above


def _moved(panel, frame):
    return _now(panel, frame) + _bars(panel, frame) + _dots(panel, frame)


def _strip(strip, frame):
    """The boxes, the rows of text under them, the arrows under these."""
    boxes, left = strip.boxes[frame], 66
    wide = (_WIDTH - left - 4) / len(boxes)
    parts = []
    middles = [left + (x + 0.5) * wide for x in range(len(boxes))]
    for x, (text, shade) in enumerate(zip(boxes, strip.shades[frame])):
        parts.append(
            f'<rect x="{left + x * wide + 2:.1f}" y="28" width="{wide - 4:.1f}" '
            f'height="26" fill="{shade}" fill-opacity="0.35" stroke="currentColor"/>')
        parts.append(_text(middles[x], 45, text))
    y = 45
    for name, texts in strip.rows[frame].items():
        y += 28
        parts.append(_text(left - 4, y, name, anchor="end"))
        parts += [_text(middle, y, text) for middle, text in zip(middles, texts)]
    if strip.arrows:
        y += 26
        parts.append(_text(left - 4, y + 4, strip.arrows_name, anchor="end"))
        for start, end in strip.arrows[frame]:
            a, b = middles[start], middles[end]
            tip = 5 if a > b else -5
            parts.append(_line(a + tip * -0.6, y, b + tip, y, COLOURS[0]))
            head = f"M{b + tip * 0.4:.1f} {y}l{tip} -4v8z"
            parts.append(f'<path d="{head}" fill="{COLOURS[0]}"/>')
    return "".join(parts)


def _across(panel, x):
    low, high = panel.xlim
    return _LEFT + (x - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _up(panel, y):
    low, high = panel.ylim
    share = (np.clip(y, low, high) - low) / (high - low)
    return _HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM)


def _base(panel):
    """The height from which bars rise: 0, or the edge that is nearest to it."""
    return max(panel.ylim[0], min(0.0, panel.ylim[1]))


def _round(limits, count):
    """Round numbers within the limits of an axis."""
    low, high = limits
    ticks = MaxNLocator(count).tick_values(low, high)
    return [x + 0.0 for x in ticks if low - 1e-9 <= x <= high + 1e-9]


def _axes(panel):
    parts = [_text(_WIDTH / 2, 14, panel.title, weight="bold"),
             _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, panel.xlabel)]
    for y in _round(panel.ylim, 4):
        up = _up(panel, y)
        opacity = 0.5 if y == _base(panel) else 0.2
        parts.append(_line(_LEFT, up, _WIDTH - _RIGHT, up, opacity=opacity))
        parts.append(_text(_LEFT - 4, up + 4, f"{y:g}", anchor="end"))
    ticks = panel.ticks or {x: f"{x:g}" for x in _round(panel.xlim, 6)}
    if panel.bars and not panel.ticks:
        count = len(panel.bars[0])
        marked = range(panel.first, panel.first + count, 1 + count // 12)
        ticks = {x: f"{x:g}" for x in marked}
    for x, text in ticks.items():
        at, below = _across(panel, x), _HEIGHT - _BOTTOM
        parts.append(_line(at, below, at, below + 4, opacity=0.6))
        parts.append(_text(at, below + 15, text))
    return "".join(parts)


def _now(panel, frame):
    """Where the dial stands on the x axis."""
    if not panel.now:
        return ""
    x = _across(panel, panel.now[frame])
    return _line(x, _TOP, x, _HEIGHT - _BOTTOM, dash="3 3")


def _lines(panel):
    parts = []
    # the legend stands where the lines do not
    key = _LEFT + 8 if _starts_low(panel) else _WIDTH - 115
    for i, (name, (x, y)) in enumerate(panel.lines.items()):
        dash = ("", "6 3", "2 3")[i % 3]
        for piece in _within(panel.ylim, x, y):
            points = " ".join(
                f"{_across(panel, a):.1f},{_up(panel, b):.1f}" for a, b in piece)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" '
                         f'stroke-width="2" stroke-dasharray="{dash}"/>')
        row = _TOP + 8 + 14 * i
        parts.append(_line(key, row, key + 22, row, COLOURS[i], dash))
        parts.append(_text(key + 26, row + 4, name, anchor="start"))
    return "".join(parts)


def _within(limits, x, y):
    """The pieces of a line that lie between the limits of y: a line that leaves them ends at the edge."""
    low, high = limits
    pieces, joined = [], False
    for (a, b), (c, d) in zip(zip(x, y), zip(x[1:], y[1:])):
        if max(b, d) < low or min(b, d) > high:
            joined = False
            continue
        enters, leaves = 0.0, 1.0  # as shares of this segment
        if d != b:
            enters, leaves = sorted((edge - b) / (d - b) for edge in limits)
        start, stop = max(enters, 0.0), min(leaves, 1.0)  # the share that is drawn
        if start == stop:  # it only touches the edge, and leaves
            joined = False
            continue
        if not joined or start > 0:
            pieces.append([(a + start * (c - a), b + start * (d - b))])
        pieces[-1].append((a + stop * (c - a), b + stop * (d - b)))
        joined = stop == 1
    return pieces


def _bars(panel, frame):
    parts = []
    half = min(9.0, 0.4 * (_across(panel, 1) - _across(panel, 0)))
    heights = panel.bars[frame] if panel.bars else ()
    for x, height in enumerate(heights, panel.first):
        top, bottom = sorted((_up(panel, height), _up(panel, _base(panel))))
        parts.append(
            f'<rect x="{_across(panel, x) - half:.1f}" y="{top:.1f}" '
            f'width="{2 * half:.1f}" height="{bottom - top:.1f}" fill="{COLOURS[0]}"/>')
    return "".join(parts)


def _levels(panel):
    """What the bars are compared with: a mark across each, in a colour that is not the bars' own."""
    parts = []
    half = min(13.0, 0.48 * (_across(panel, 1) - _across(panel, 0)))
    named = zip(panel.levels.items(), COLOURS[1:])
    for i, ((name, heights), colour) in enumerate(named):
        key, line = _WIDTH - 100, _TOP + 8 + 14 * i
        at = [(_across(panel, x), _up(panel, height))
              for x, height in enumerate(heights, panel.first)]
        for x, y in [*at, (key + half, line)]:
            parts.append(f'<rect x="{x - half:.1f}" y="{y - 1.5:.1f}" '
                         f'width="{2 * half:.1f}" height="3" fill="{colour}"/>')
        parts.append(_text(key + 2 * half + 4, line + 4, name, anchor="start"))
    return "".join(parts)


def _dots(panel, frame):
    """Dots outside the frame are left out: the line of numbers has them."""
    parts = []
    low, high = panel.ylim
    dots = panel.dots[frame] if panel.dots else ()
    for i, (x, y) in enumerate(dots):
        if low <= y <= high:
            parts.append(
                f'<circle cx="{_across(panel, x):.1f}" cy="{_up(panel, y):.1f}" r="5" '
                f'fill="{COLOURS[i]}" stroke="currentColor"/>')
    return "".join(parts)


def _starts_low(panel):
    """Whether the lines are lower on the left than on the right, within the frame."""
    if not panel.lines:
        return True
    left = max(np.clip(y[0], *panel.ylim) for _, y in panel.lines.values())
    right = max(np.clip(y[-1], *panel.ylim) for _, y in panel.lines.values())
    return left < right


def _line(x1, y1, x2, y2, colour="currentColor", dash="", opacity=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'stroke="{colour}" stroke-dasharray="{dash}" stroke-opacity="{opacity}"/>')


def _text(x, y, text, anchor="middle", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{escape(text)}</text>')
