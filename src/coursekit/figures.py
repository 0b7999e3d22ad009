"""One function per family of figures, drawing on a given ax; and a slider that needs no kernel."""

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape

import numpy as np
from IPython.display import display

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe-Ito
MARKERS, DASHES = "os^Dv*P", ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def style(axes):
    """Light grid, no box: call once on the axes of a figure."""
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)


def plot_advantages(ax, advantages_by_name):
    """One line per estimator: x is the step t, y the advantage in units of reward."""
    for (name, advantages), colour, marker in zip(advantages_by_name.items(), COLOURS, MARKERS):
        ax.plot(advantages, color=colour, marker=marker, label=name)
    ax.set(xlabel="step t", ylabel="advantage (reward)", xticks=range(len(advantages)))
    ax.legend()


def plot_curves(ax, x, curves, *, xlabel, ylabel, dots=None):
    """One line per curve over x, told apart by dash as well; dots: {name: (x, y, half-widths)} on top."""
    for (name, y), colour, dash in zip(curves.items(), COLOURS, DASHES):
        ax.plot(x, y, color=colour, linestyle=dash, label=name)
        if dots and name in dots:
            at, height, error = dots[name]
            ax.errorbar(at, height, yerr=error, fmt="o", color=colour, capsize=3, markersize=4)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_bands(ax, x, runs_by_name, *, xlabel, ylabel):
    """Mean over runs as a line, smallest to largest run as a band. runs: (seeds, len(x)) per name. Lines are told
    apart by marker where points are few, else by dash."""
    for (name, runs), colour, marker, dash in zip(runs_by_name.items(), COLOURS, MARKERS, DASHES):
        looks = dict(marker=marker, markersize=4) if len(x) <= 40 else dict(linestyle=dash)
        runs = np.asarray(runs)
        ax.plot(x, runs.mean(0), color=colour, label=name, **looks)
        ax.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.2)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_growth(ax, table, names=None):
    """Time against elements, both on log scales, one line per method. table: dicts of steps, rows and seconds, a
    dict by method (benchmarks/gae.py); names: which methods, in which order."""
    names = list(dict.fromkeys(name for row in table for name in row["seconds"])) if names is None else names
    for i, name in enumerate(names):
        points = [(row["steps"] * row["rows"], row["seconds"][name]) for row in table if name in row["seconds"]]
        ax.loglog(*zip(*points), color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], markersize=4,
                  linestyle=DASHES[i // len(COLOURS)], label=name)
    ax.set(xlabel="elements (steps of one row)", ylabel="CPU time (s)")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def plot_film(ax, pictures, name):
    """Pictures of one episode in a row. pictures: [(step, (H, W, 3) bytes)]."""
    strip = np.concatenate([picture for _, picture in pictures], axis=1)
    width = strip.shape[1] / len(pictures)
    ax.imshow(strip)
    ax.set(yticks=[], ylabel=name, xticks=(np.arange(len(pictures)) + 0.5) * width,
           xticklabels=[f"step {step}" for step, _ in pictures])
    ax.tick_params(length=0)


def plot_tokens(ax, tokens, rows):
    """A reply as a strip: one column a token, one row a quantity, numbers in the cells. rows: {name: (T,) floats};
    colour runs from blue (below 0) over white to red, on one scale for all rows."""
    table = np.array([np.asarray(row, float) for row in rows.values()])
    reach = np.abs(table).max()
    ax.imshow(table, cmap="RdBu_r", vmin=-1.3 * reach, vmax=1.3 * reach, aspect="auto")
    for (y, x), number in np.ndenumerate(table):
        ax.text(x, y, f"{round(number, 1) + 0.0:.1f}", ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)


@dataclass(frozen=True)
class Panel:
    """One small plot of a slider. lines: {name: (x, y)} that stay. bars, dots: what moves, one array for
    each slider value: heights at x = first, first + 1, …, or (x, y) points."""

    title: str
    xlabel: str
    xlim: tuple
    ylim: tuple
    lines: dict = field(default_factory=dict)
    bars: list = field(default_factory=list)
    first: int = 0
    dots: list = field(default_factory=list)


def slider(label, values, panels, texts, *, start=0):
    """Show a figure that a range input moves through frames computed here: no kernel, no network.

    Args:
        label: what is moved. values: its positions, as text. panels: list of Panel.
        texts: one line of numbers for each position. start: index of the first shown.
    """
    display({"text/html": slider_html(label, values, panels, texts, start=start),
             "text/plain": f"[slider over {label}; {values[start]}: {texts[start]}]"}, raw=True)


def slider_html(label, values, panels, texts, *, start=0):
    """The HTML of `slider`: inline SVG, one hidden group per frame, a labelled range input; and a still image,
    `hidden` until a reader that strips SVG, styles and scripts (GitHub's) strips that word with them."""
    frames = range(len(values))
    plots = "".join(_svg(panel, frames, start) for panel in panels)
    lines = "".join(f'<div data-frame="{i}"{_hidden(i, start)}><b>{escape(values[i])}</b>: '
                    f'{escape(texts[i])}</div>' for i in frames)
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
    "f.querySelector('div[data-frame=&quot;'+this.value+'&quot;] b').textContent)".replace("&quot;", '"'))
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
    def across(x):
        low, high = panel.xlim
        return _LEFT + (x - low) / (high - low) * (_WIDTH - _LEFT - _RIGHT)

    def up(y):
        low, high = panel.ylim
        return _HEIGHT - _BOTTOM - (np.clip(y, low, high) - low) / (high - low) * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_text(_WIDTH / 2, 14, panel.title, weight="bold"),
             _text((_LEFT + _WIDTH) / 2, _HEIGHT - 4, panel.xlabel)]
    base = max(panel.ylim[0], min(0.0, panel.ylim[1]))
    for y in sorted({panel.ylim[0], base, panel.ylim[1]}):
        parts.append(_line(_LEFT, up(y), _WIDTH - _RIGHT, up(y), opacity=0.35))
        parts.append(_text(_LEFT - 4, up(y) + 4, f"{y:g}", anchor="end"))
    count = len(panel.bars[0]) if panel.bars else 0
    ticks = range(panel.first, panel.first + count, 1 + count // 12) if count else np.linspace(*panel.xlim, 3)
    half = min(9.0, 0.4 * (across(1) - across(0)))
    parts += [_text(across(x), _HEIGHT - _BOTTOM + 15, f"{x:g}") for x in ticks]
    key = _LEFT + 8 if _starts_low(panel) else _WIDTH - 115  # the legend stands where the lines do not
    for i, (name, (x, y)) in enumerate(panel.lines.items()):
        points = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in zip(x, y))
        dash = ("", "6 3", "2 3")[i % 3]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{COLOURS[i]}" stroke-width="2" '
                     f'stroke-dasharray="{dash}"/>')
        parts.append(_line(key, _TOP + 8 + 14 * i, key + 22, _TOP + 8 + 14 * i, COLOURS[i], dash))
        parts.append(_text(key + 26, _TOP + 12 + 14 * i, name, anchor="start"))
    for frame in frames:
        moving = []
        for k, height in enumerate(panel.bars[frame] if panel.bars else (), panel.first):
            top, bottom = sorted((up(height), up(base)))
            moving.append(f'<rect x="{across(k) - half:.1f}" y="{top:.1f}" width="{2 * half:.1f}" '
                          f'height="{bottom - top:.1f}" fill="{COLOURS[0]}"/>')
        for i, (x, y) in enumerate(panel.dots[frame] if panel.dots else ()):
            if not panel.ylim[0] <= y <= panel.ylim[1]:
                continue  # outside the frame; the line of numbers has it
            moving.append(f'<circle cx="{across(x):.1f}" cy="{up(y):.1f}" r="5" fill="{COLOURS[i]}" '
                          'stroke="currentColor"/>')
        parts.append(f'<g data-frame="{frame}"{_hidden(frame, start)}>{"".join(moving)}</g>')
    return "".join(parts)


def _starts_low(panel):
    """Whether the lines are lower on the left than on the right, within the frame."""
    sides = [(np.clip(y[0], *panel.ylim), np.clip(y[-1], *panel.ylim)) for _, y in panel.lines.values()]
    return not sides or max(left for left, _ in sides) < max(right for _, right in sides)


def _line(x1, y1, x2, y2, colour="currentColor", dash="", opacity=1):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
            f'stroke-dasharray="{dash}" stroke-opacity="{opacity}"/>')


def _text(x, y, text, anchor="middle", weight="normal"):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">{escape(text)}</text>'
