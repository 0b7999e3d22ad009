"""Figures that a reader moves, through frames computed beforehand: they need no kernel and no network.

`slider` has one dial; `play` has any number of controls, and a frame for every combination of their positions.
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
    lines: dict = field(default_factory=dict)  # {name: (x, y)}, the same in every frame
    bars: list = field(default_factory=list)  # for each frame, heights at x = first, first + 1, …
    first: int = 0
    levels: dict = field(default_factory=dict)  # {name: heights}: a mark across each bar, the same in every frame
    dots: list = field(default_factory=list)  # for each frame, (x, y) points
    now: list = field(default_factory=list)  # for each frame, the x of an upright line
    ticks: dict = field(default_factory=dict)  # {x: text} of the x axis; empty: round numbers


@dataclass(frozen=True)
class Strip:
    """A row of boxes, such as the steps of an episode or the tokens of a reply, with rows of text below."""

    title: str
    boxes: list  # for each frame, the texts in the boxes
    shades: list  # for each frame, the colour of each box
    rows: list  # for each frame, {name: texts, one for each box}
    arrows: list = field(default_factory=list)  # for each frame, (from, to): columns, drawn under the rows
    arrows_name: str = ""


@dataclass(frozen=True)
class Dial:
    """A control with positions in an order: a range input, moved by mouse or arrow keys."""

    label: str
    values: list
    start: int = 0
    ticks: dict = field(default_factory=dict)  # {position: text} below the track; empty: taken from the values


@dataclass(frozen=True)
class Choice:
    """A control with alternatives: radio buttons."""

    label: str
    values: list
    start: int = 0


def slider(label, values, panels, texts, *, start=0, ticks=None):
    """Show a figure that one range input moves: no kernel, no network.

    Args:
        label: what is moved. values: its positions, as text. panels: list of Panel or Strip.
        texts: one line of numbers for each position. start: index of the first shown.
        ticks: {position: text} below the track.
    """
    play([Dial(label, values, start, ticks or {})], panels, texts)


def play(controls, panels, texts):
    """Show a figure that a reader moves with several controls: no kernel, no network.

    Args:
        controls: list of Dial and Choice. panels: list of Panel and Strip. texts: one line for each frame.
        There is a frame for each combination of positions, in the order of `itertools.product`.
    """
    shown = _start(controls)
    values = ", ".join(control.values[control.start] for control in controls)
    display({"text/html": play_html(controls, panels, texts),
             "text/plain": f"[{_names(controls)}; {values}: {texts[shown]}]"}, raw=True)


def play_html(controls, panels, texts):
    """The HTML of `play`: inline SVG, one group per frame, labelled inputs, and a still image.

    The image has the attribute `hidden`. GitHub strips SVG, styles and scripts, and that attribute too: so it shows
    the image.
    """
    start, combinations = _start(controls), list(product(*(control.values for control in controls)))
    if len(texts) != len(combinations):
        raise ValueError(f"texts has {len(texts)} lines; {len(combinations)} combinations need one each")
    frames = range(len(texts))
    plots = "".join(_svg(panel, frames, start) for panel in panels)
    lines = "".join(
        f'<div data-frame="{i}"{_hidden(i, start)}><b>{escape(", ".join(values))}</b>: {escape(text)}</div>'
        for i, (values, text) in enumerate(zip(combinations, texts)))
    still = b64encode(_still(panels, start).encode()).decode()
    name = f"ck-{crc32(repr(controls).encode()):08x}"
    inputs = "".join(_input(control, prod(len(c.values) for c in controls[k + 1:]), f"{name}-{k}")
                     for k, control in enumerate(controls))
    return (f'<figure class="ck-slider" oninput="{_ON_INPUT}">{inputs}'
            f'<div role="status" style="font-variant-numeric:tabular-nums">{lines}</div>'
            f'<div style="{_GRID}">{plots}</div>'
            f'<img hidden alt="{escape(_names(controls))}, still: {escape(", ".join(combinations[start]))}, '
            f'{escape(texts[start])}" src="data:image/svg+xml;base64,{still}"></figure>')


_ON_INPUT = escape(
    "let i=0;this.querySelectorAll('[data-stride]').forEach(c=>{if(c.type==='range')"
    "c.setAttribute('aria-valuetext',c.dataset.values.split('|')[c.value]);if(c.type==='range'||c.checked)i+=c.value*c.dataset.stride});"
    "this.querySelectorAll('[data-frame]').forEach(e=>{e.style.display=+e.dataset.frame===i?'':'none'})")
_GRID = "display:grid;grid-template-columns:repeat(auto-fit,minmax(260px,1fr));gap:8px"
_MARK = "transform:translateX(-50%);text-align:center;line-height:1;font-size:.8em;white-space:nowrap"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 210, 44, 8, 24, 38


def _start(controls):
    """The frame that is shown first."""
    frame = 0
    for control in controls:
        frame = frame * len(control.values) + control.start
    return frame


def _names(controls):
    return ", ".join(control.label for control in controls)


def _input(control, stride, name):
    """One control. stride: how many frames one position is worth."""
    if isinstance(control, Choice):
        buttons = "".join(
            f'<label style="display:inline-block;margin-right:1em"><input type="radio" name="{name}" value="{i}" '
            f'data-stride="{stride}"{" checked" * (i == control.start)}> {escape(value)}</label>'
            for i, value in enumerate(control.values))
        return (f'<fieldset style="border:0;padding:0;margin:0 0 .4em"><legend style="font-size:1em;margin:0;'
                f'float:none">{escape(control.label)}</legend>{buttons}</fieldset>')
    last = len(control.values) - 1
    marks = "".join(
        f'<span style="position:absolute;left:calc(8px + (100% - 16px)*{i / last:.4f});{_MARK}">'
        f'<span style="display:block;font-size:.6em">|</span>{escape(text)}</span>'
        for i, text in (control.ticks or _marks(control.values)).items())
    return (f'<label style="display:block;max-width:30em">{escape(control.label)} '
            f'<input type="range" min="0" max="{last}" value="{control.start}" step="1" data-stride="{stride}" '
            f'data-values="{escape("|".join(control.values))}" style="display:block;width:100%;margin:0" '
            f'aria-valuetext="{escape(control.values[control.start])}"></label>'
            f'<div aria-hidden="true" style="position:relative;max-width:30em;height:2em">{marks}</div>')


def _marks(values):
    """{position: text} for at most nine positions, where the values are short: "λ = 0.95" is marked 0.95."""
    short = [value.rpartition("= ")[2] for value in values]
    step = -(-len(values) // 9)
    if max(map(len, short)) > 6:
        return {}
    return {i: text for i, text in enumerate(short) if i % step == 0 and len(values) - 1 - i >= step or
            i == len(values) - 1}


def _hidden(frame, start):
    return "" if frame == start else ' style="display:none"'


def _svg(panel, frames, start):
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(panel.title)}" '
            'style="width:100%;max-width:420px" font-size="11" fill="currentColor">'
            f'{_drawing(panel, frames, start)}</svg>')


def _still(panels, start):
    """All panels in one frame, two in a row, as one SVG file on white."""
    width, height = _WIDTH * min(len(panels), 2), _HEIGHT * ((len(panels) + 1) // 2)
    placed = "".join(f'<g transform="translate({_WIDTH * (i % 2)} {_HEIGHT * (i // 2)})">'
                     f'{_drawing(panel, [start], start)}</g>' for i, panel in enumerate(panels))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="11"><path fill="#fff" d="M0 0H{width}V{height}H0Z"/>'
            f'{placed}</svg>')


def _drawing(panel, frames, start):
    """The inside of a panel: what stays, then one group for each of the frames."""
    fixed, moved = ((_strip_title, _strip) if isinstance(panel, Strip) else
                    (lambda panel: _axes(panel) + _lines(panel),
                     lambda panel, frame: _now(panel, frame) + _bars(panel, frame) + _dots(panel, frame)))
    groups = [f'<g data-frame="{frame}"{_hidden(frame, start)}>{moved(panel, frame)}</g>' for frame in frames]
    return fixed(panel) + "".join(groups) + ("" if isinstance(panel, Strip) else _levels(panel))


def _strip_title(strip):
    return _text(_WIDTH / 2, 14, strip.title, weight="bold")


def _strip(strip, frame):
    """The boxes, the rows of text under them, the arrows under these."""
    boxes, left = strip.boxes[frame], 66
    wide = (_WIDTH - left - 4) / len(boxes)
    parts = []
    for x, (text, shade) in enumerate(zip(boxes, strip.shades[frame])):
        parts.append(f'<rect x="{left + x * wide + 2:.1f}" y="28" width="{wide - 4:.1f}" height="26" '
                     f'fill="{shade}" fill-opacity="0.35" stroke="currentColor"/>')
        parts.append(_text(left + (x + 0.5) * wide, 45, text))
    y = 45
    for name, texts in strip.rows[frame].items():
        y += 28
        parts.append(_text(left - 4, y, name, anchor="end"))
        parts += [_text(left + (x + 0.5) * wide, y, text) for x, text in enumerate(texts)]
    if strip.arrows:
        y += 26
        parts.append(_text(left - 4, y + 4, strip.arrows_name, anchor="end"))
        for start, end in strip.arrows[frame]:
            a, b = left + (start + 0.5) * wide, left + (end + 0.5) * wide
            tip = 5 if a > b else -5
            parts.append(_line(a + tip * -0.6, y, b + tip, y, COLOURS[0]))
            parts.append(f'<path d="M{b + tip * 0.4:.1f} {y}l{tip} -4v8z" fill="{COLOURS[0]}"/>')
    return "".join(parts)


def _across(panel, x):
    low, high = panel.xlim
    return _LEFT + (x - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _up(panel, y):
    low, high = panel.ylim
    return _HEIGHT - _BOTTOM - (np.clip(y, low, high) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _base(panel):
    """The height from which bars rise: 0, or the edge that is nearest to it."""
    return max(panel.ylim[0], min(0.0, panel.ylim[1]))


def _round(limits, count):
    """Round numbers within the limits of an axis."""
    return [x + 0.0 for x in MaxNLocator(count).tick_values(*limits) if limits[0] - 1e-9 <= x <= limits[1] + 1e-9]


def _axes(panel):
    parts = [_text(_WIDTH / 2, 14, panel.title, weight="bold"),
             _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, panel.xlabel)]
    for y in _round(panel.ylim, 4):
        up = _up(panel, y)
        parts.append(_line(_LEFT, up, _WIDTH - _RIGHT, up, opacity=0.5 if y == _base(panel) else 0.2))
        parts.append(_text(_LEFT - 4, up + 4, f"{y:g}", anchor="end"))
    ticks = panel.ticks or {x: f"{x:g}" for x in _round(panel.xlim, 6)}
    if panel.bars and not panel.ticks:
        count = len(panel.bars[0])
        ticks = {x: f"{x:g}" for x in range(panel.first, panel.first + count, 1 + count // 12)}
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
    key = _LEFT + 8 if _starts_low(panel) else _WIDTH - 115  # the legend stands where the lines do not
    for i, (name, (x, y)) in enumerate(panel.lines.items()):
        dash = ("", "6 3", "2 3")[i % 3]
        for piece in _within(panel.ylim, x, y):
            points = " ".join(f"{_across(panel, a):.1f},{_up(panel, b):.1f}" for a, b in piece)
            parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="2" '
                         f'stroke-dasharray="{dash}"/>')
        parts.append(_line(key, _TOP + 8 + 14 * i, key + 22, _TOP + 8 + 14 * i, COLOURS[i], dash))
        parts.append(_text(key + 26, _TOP + 12 + 14 * i, name, anchor="start"))
    return "".join(parts)


def _within(limits, x, y):
    """The pieces of a line that lie between the limits of y: a line that leaves them ends at the edge."""
    low, high = limits
    pieces, joined = [], False
    for (a, b), (c, d) in zip(zip(x, y), zip(x[1:], y[1:])):
        if max(b, d) < low or min(b, d) > high:
            joined = False
            continue
        cuts = sorted((edge - b) / (d - b) for edge in limits) if d != b else (0.0, 1.0)
        start, stop = max(cuts[0], 0.0), min(cuts[1], 1.0)  # the share of this segment that is drawn
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
    for x, height in enumerate(panel.bars[frame] if panel.bars else (), panel.first):
        top, bottom = sorted((_up(panel, height), _up(panel, _base(panel))))
        parts.append(f'<rect x="{_across(panel, x) - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
                     f'height="{bottom - top:.1f}" fill="{COLOURS[0]}"/>')
    return "".join(parts)


def _levels(panel):
    """What the bars are compared with: a mark across each, in a colour that is not the bars' own."""
    parts, half = [], min(13.0, 0.48 * (_across(panel, 1) - _across(panel, 0)))
    for i, ((name, heights), colour) in enumerate(zip(panel.levels.items(), COLOURS[1:])):
        at = [(_across(panel, x), _up(panel, height)) for x, height in enumerate(heights, panel.first)]
        key, line = _WIDTH - 100, _TOP + 8 + 14 * i
        parts += [f'<rect x="{x - half:.1f}" y="{y - 1.5:.1f}" width="{2 * half:.1f}" height="3" fill="{colour}"/>'
                  for x, y in [*at, (key + half, line)]]
        parts.append(_text(key + 2 * half + 4, line + 4, name, anchor="start"))
    return "".join(parts)


def _dots(panel, frame):
    """Dots outside the frame are left out: the line of numbers has them."""
    parts = []
    for i, (x, y) in enumerate(panel.dots[frame] if panel.dots else ()):
        if panel.ylim[0] <= y <= panel.ylim[1]:
            parts.append(f'<circle cx="{_across(panel, x):.1f}" cy="{_up(panel, y):.1f}" r="5" '
                         f'fill="{COLOURS[i]}" stroke="currentColor"/>')
    return "".join(parts)


def _starts_low(panel):
    """Whether the lines are lower on the left than on the right, within the frame."""
    if not panel.lines:
        return True
    left, right = (max(np.clip(y[end], *panel.ylim) for _, y in panel.lines.values()) for end in (0, -1))
    return left < right


def _line(x1, y1, x2, y2, colour="currentColor", dash="", opacity=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-dasharray="{dash}" stroke-opacity="{opacity}"/>')


def _text(x, y, text, anchor="middle", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
