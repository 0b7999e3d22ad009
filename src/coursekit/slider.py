"""A figure that a range input moves through frames computed beforehand: it needs no kernel and no network."""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape

import numpy as np
from IPython.display import display

from coursekit.figures import COLOURS


@dataclass(frozen=True)
class Panel:
    """One small plot of a slider."""

    title: str
    xlabel: str
    xlim: tuple
    ylim: tuple
    lines: dict = field(default_factory=dict)  # {name: (x, y)}, the same at every position
    bars: list = field(default_factory=list)  # for each position, heights at x = first, first + 1, …
    first: int = 0
    dots: list = field(default_factory=list)  # for each position, (x, y) points


def slider(label, values, panels, texts, *, start=0):
    """Show a figure that a range input moves through frames computed here: no kernel, no network.

    Args:
        label: what is moved. values: its positions, as text. panels: list of Panel.
        texts: one line of numbers for each position. start: index of the first shown.
    """
    display({"text/html": slider_html(label, values, panels, texts, start=start),
             "text/plain": f"[slider over {label}; {values[start]}: {texts[start]}]"}, raw=True)


def slider_html(label, values, panels, texts, *, start=0):
    """The HTML of `slider`: inline SVG, one group per frame, a labelled range input, and a still image.

    The image has the attribute `hidden`. GitHub strips SVG, styles and scripts, and that attribute too: so it shows
    the image.
    """
    frames = range(len(values))
    plots = "".join(_svg(panel, frames, start) for panel in panels)
    lines = "".join(
        f'<div data-frame="{i}"{_hidden(i, start)}><b>{escape(values[i])}</b>: {escape(texts[i])}</div>'
        for i in frames)
    still = b64encode(_still(panels, start).encode()).decode()
    return (f'<figure class="ck-slider">'
            f'<label style="display:block">{escape(label)} <input type="range" min="0" max="{len(values) - 1}" '
            f'value="{start}" step="1" style="width:min(24em,70%)" aria-valuetext="{escape(values[start])}" '
            f'oninput="{_ON_INPUT}"></label>'
            f'<div role="status" style="font-variant-numeric:tabular-nums">{lines}</div>'
            f'<div style="display:flex;flex-wrap:wrap;gap:8px">{plots}</div>'
            f'<img hidden alt="{escape(label)}, still: {escape(values[start])}, {escape(texts[start])}" '
            f'src="data:image/svg+xml;base64,{still}"></figure>')


_ON_INPUT = escape(
    "const f=this.closest('figure');f.querySelectorAll('[data-frame]').forEach(e=>{"
    "e.style.display=e.dataset.frame===this.value?'':'none'});this.setAttribute('aria-valuetext',"
    "f.querySelector('div[data-frame=\"'+this.value+'\"] b').textContent)")
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 300, 210, 44, 8, 24, 38


def _hidden(frame, start):
    return "" if frame == start else ' style="display:none"'


def _svg(panel, frames, start):
    return (f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(panel.title)}" '
            'style="flex:1 1 260px;max-width:420px" font-size="11" fill="currentColor">'
            f'{_drawing(panel, frames, start)}</svg>')


def _still(panels, start):
    """All panels at one position, two in a row, as one SVG file on white."""
    width, height = _WIDTH * min(len(panels), 2), _HEIGHT * ((len(panels) + 1) // 2)
    placed = "".join(f'<g transform="translate({_WIDTH * (i % 2)} {_HEIGHT * (i // 2)})">'
                     f'{_drawing(panel, [start], start)}</g>' for i, panel in enumerate(panels))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'font-family="sans-serif" font-size="11"><path fill="#fff" d="M0 0H{width}V{height}H0Z"/>'
            f'{placed}</svg>')


def _drawing(panel, frames, start):
    """The inside of a panel: what stays, then one group for each of the frames."""
    groups = [f'<g data-frame="{frame}"{_hidden(frame, start)}>{_bars(panel, frame)}{_dots(panel, frame)}</g>'
              for frame in frames]
    return _axes(panel) + _lines(panel) + "".join(groups)


def _across(panel, x):
    low, high = panel.xlim
    return _LEFT + (x - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)


def _up(panel, y):
    low, high = panel.ylim
    return _HEIGHT - _BOTTOM - (np.clip(y, low, high) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)


def _base(panel):
    """The height from which bars rise: 0, or the edge that is nearest to it."""
    return max(panel.ylim[0], min(0.0, panel.ylim[1]))


def _axes(panel):
    parts = [_text(_WIDTH / 2, 14, panel.title, weight="bold"),
             _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, panel.xlabel)]
    for y in sorted({panel.ylim[0], _base(panel), panel.ylim[1]}):
        up = _up(panel, y)
        parts.append(_line(_LEFT, up, _WIDTH - _RIGHT, up, opacity=0.35))
        parts.append(_text(_LEFT - 4, up + 4, f"{y:g}", anchor="end"))
    ticks = np.linspace(*panel.xlim, 3)
    if panel.bars:
        count = len(panel.bars[0])
        ticks = range(panel.first, panel.first + count, 1 + count // 12)
    parts += [_text(_across(panel, x), _HEIGHT - _BOTTOM + 15, f"{x:g}") for x in ticks]
    return "".join(parts)


def _lines(panel):
    parts = []
    key = _LEFT + 8 if _starts_low(panel) else _WIDTH - 115  # the legend stands where the lines do not
    for i, (name, (x, y)) in enumerate(panel.lines.items()):
        points = " ".join(f"{_across(panel, a):.1f},{_up(panel, b):.1f}" for a, b in zip(x, y))
        dash = ("", "6 3", "2 3")[i % 3]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="2" '
                     f'stroke-dasharray="{dash}"/>')
        parts.append(_line(key, _TOP + 8 + 14 * i, key + 22, _TOP + 8 + 14 * i, COLOURS[i], dash))
        parts.append(_text(key + 26, _TOP + 12 + 14 * i, name, anchor="start"))
    return "".join(parts)


def _bars(panel, frame):
    parts = []
    half = min(9.0, 0.4 * (_across(panel, 1) - _across(panel, 0)))
    for x, height in enumerate(panel.bars[frame] if panel.bars else (), panel.first):
        top, bottom = sorted((_up(panel, height), _up(panel, _base(panel))))
        parts.append(f'<rect x="{_across(panel, x) - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
                     f'height="{bottom - top:.1f}" fill="{COLOURS[0]}"/>')
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
