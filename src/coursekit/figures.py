"""One function per family of figures, each drawing on a given ax.

Figures of the book have no ground of their own: a page by night inverts them, a page by
day shows through. `style` takes it away, and so does each function that draws a picture
without a grid.
"""

from html import escape

import numpy as np

# Okabe and Ito's
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "os^Dv*P"
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


def style(axes):
    """Light grid, no box, no ground: call once on the axes of a figure, when all is drawn."""
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(alpha=0.25)
    without_ground(axes)


def without_ground(axes):
    """Make what is behind the lines transparent: figure, axes and legends."""
    for ax in np.ravel(axes):
        ax.figure.set_facecolor("none")
        ax.set_facecolor("none")
        for legend in filter(None, [ax.get_legend(), *ax.figure.legends]):
            legend.get_frame().set_alpha(0)


def plot_advantages(ax, advantages_by_name):
    """One line per estimator: x is the step t, y the advantage in units of reward."""
    looks = zip(COLOURS, MARKERS)
    for (name, advantages), (colour, marker) in zip(advantages_by_name.items(), looks):
        ax.plot(advantages, color=colour, marker=marker, label=name)
    ax.set(xlabel="step t", ylabel="advantage (reward)", xticks=range(len(advantages)))
    ax.legend()


def plot_curves(ax, x, curves, *, xlabel, ylabel, dots=None):
    """One line per curve over x, each with its own colour and dash; dots: {name: (x, y, half-widths)} on top."""
    for (name, y), colour, dash in zip(curves.items(), COLOURS, DASHES):
        ax.plot(x, y, color=colour, linestyle=dash, label=name)
        if dots and name in dots:
            at, height, error = dots[name]
            ax.errorbar(
                at, height, yerr=error, fmt="o", color=colour, capsize=3, markersize=4)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_bands(ax, x, runs_by_name, *, xlabel, ylabel, median=False):
    """Every run as a thin line, their mean as a bold one, smallest to largest as a band.

    Bold lines differ by marker as well where points are few, else by dash.

    runs: (seeds, len(x)).
    median: where one run lies far from the others, the bold line is the median, and
    there is no band, which would show that run alone.
    """
    looks = zip(COLOURS, MARKERS, DASHES)
    for (name, runs), (colour, marker, dash) in zip(runs_by_name.items(), looks):
        few = len(x) <= 40
        mark = dict(marker=marker, markersize=4) if few else dict(linestyle=dash)
        runs = np.asarray(runs)
        middle = np.median(runs, 0) if median else runs.mean(0)
        ax.plot(x, middle, color=colour, label=name, linewidth=2, **mark)
        if not median:
            low, high = runs.min(0), runs.max(0)
            ax.fill_between(x, low, high, color=colour, alpha=0.1, linewidth=0)
        ax.plot(x, runs.T, color=colour, linewidth=0.7, alpha=0.6)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_growth(ax, table, names=None):
    """Time against elements, both on log scales, one line per method.

    Args:
        table: dicts of steps, rows and seconds, a dict by method (benchmarks/gae.py).
        names: which methods, in which order; None: all.
    """
    if names is None:
        names = list(dict.fromkeys(name for row in table for name in row["seconds"]))
    for i, name in enumerate(names):
        rows = [row for row in table if name in row["seconds"]]
        elements = [row["steps"] * row["rows"] for row in rows]
        seconds = [row["seconds"][name] for row in rows]
        ax.loglog(elements, seconds, color=COLOURS[i % len(COLOURS)], markersize=4,
                  marker=MARKERS[i % len(MARKERS)], linestyle=DASHES[i // len(COLOURS)],
                  label=name)
    ax.set(xlabel="elements (steps of one row)", ylabel="CPU time (s)")
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)


def signs_table(rows, columns, *, heads):
    """A table as HTML: ▲ where a number is above 0, ▼ where it is below; the stronger the colour, the further.

    It scrolls sideways on a narrow screen, and its colours suit a light page and a dark
    one.

    Args:
        rows: {name: (texts that stand first, numbers)}.
        columns: names of the numbers.
        heads: names of the row's name and of the texts.
    Returns: HTML.
    """
    reach = max(np.log1p(np.abs(numbers)).max() for _, numbers in rows.values())
    line = "border:1px solid rgba(128,128,128,.3)"

    def cell(number):
        if not number:
            return f'<td style="{line}"></td>'
        colour, sign = ("213,94,0", "▲") if number > 0 else ("0,114,178", "▼")
        strength = 0.15 + 0.6 * np.log1p(abs(number)) / reach
        shade = f"rgba({colour},{strength:.2f})"
        return f'<td style="{line};text-align:center;background:{shade}">{sign}</td>'

    def table_row(name, texts, numbers):
        look = "text-align:left;font-weight:normal;min-width:16em"
        first = f'<th scope="row" style="{look}">{escape(name)}</th>'
        others = [f'<td style="white-space:nowrap;padding:0 .5em">{escape(text)}</td>'
                  for text in texts]
        cells = [cell(number) for number in numbers]
        return f"<tr>{first}{''.join(others)}{''.join(cells)}</tr>"

    head = "".join(f'<th scope="col" style="padding:0 .4em">{escape(name)}</th>'
                   for name in (*heads, *columns))
    body = "".join(table_row(name, *row) for name, row in rows.items())
    return ('<figure style="margin:0;overflow-x:auto" tabindex="0">'
            '<table style="font-size:0.8em;border-collapse:collapse">'
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></figure>")


def plot_film(ax, pictures, name):
    """Pictures of one episode in a row. pictures: [(step, (H, W, 3) bytes)].

    Photographs are not inverted by night (tag the cell `film`), so the words beside
    them are grey.
    """
    strip = np.concatenate([picture for _, picture in pictures], axis=1)
    width = strip.shape[1] / len(pictures)
    ax.imshow(strip)
    middles = (np.arange(len(pictures)) + 0.5) * width
    names = [f"step {step}" for step, _ in pictures]
    ax.set(yticks=[], ylabel=name, xticks=middles, xticklabels=names)
    ax.tick_params(length=0, labelcolor="#777777")
    ax.yaxis.label.set_color("#777777")
    without_ground(ax)


def plot_tokens(ax, tokens, rows):
    """A reply as a strip: one column a token, one row a quantity, numbers in the cells.

    Colour runs from blue (below 0) over white to red, on one scale for all rows.

    rows: {name: (T,) floats}.
    """
    table = np.array([np.asarray(row, float) for row in rows.values()])
    reach = np.abs(table).max()
    ax.imshow(table, cmap="RdBu_r", vmin=-1.3 * reach, vmax=1.3 * reach, aspect="auto")
    for (y, x), number in np.ndenumerate(table):
        text = f"{round(number, 1) + 0.0:.1f}"
        ax.text(x, y, text, ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    without_ground(ax)


def plot_grid(ax, numbers, rows, columns, *, label, fmt="{:.2f}", log=False):
    """A table as a heat map with its numbers in the cells: the darker, the larger.

    Only the lighter half of the colours is used: a black number stays legible on it,
    and a white one by night.

    Args:
        numbers: (R, C).
        rows, columns: their names.
        label: what the numbers are, with unit.
        log: whether the colour follows the logarithm.
    """
    table = np.asarray(numbers, float)
    colour = np.log(table) if log else table
    low, high = np.nanmin(colour), np.nanmax(colour)
    ax.imshow(colour, cmap="Blues", vmin=low, vmax=high + (high - low), aspect="auto")
    for (y, x), number in np.ndenumerate(table):
        text = "" if np.isnan(number) else fmt.format(number)
        ax.text(x, y, text, ha="center", va="center", fontsize=9)
    ax.set_xticks(range(len(columns)), columns)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_title(label, fontsize=10)
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    without_ground(ax)


def plot_scatter(ax, points, *, xlabel, ylabel):
    """One quantity against another, such as cost against quality: a dot for each run, a large mark at the median.

    Args: points: {name: (x of every run, y of every run)}.
    """
    for (name, (x, y)), colour, marker in zip(points.items(), COLOURS, MARKERS):
        middle = np.median(x), np.median(y)
        ax.plot(x, y, marker, color=colour, markersize=4, alpha=0.5)
        ax.plot(*middle, marker, color=colour, markersize=9, label=name)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))


def plot_dots(ax, runs_by_name, *, xlabel, linked=False):
    """One row per name from top to bottom: a dot for each run, a line from the smallest to the largest.

    linked: whether a thin line links the first run of each row, and so on: the runs of
    one seed.
    """
    if linked:
        rows = list(runs_by_name.values())
        ax.plot(rows, range(len(rows)), color="0.5", linewidth=0.8, alpha=0.6)
    for y, runs in enumerate(runs_by_name.values()):
        ax.hlines(y, np.min(runs), np.max(runs), color=COLOURS[0], alpha=0.5)
        ax.plot(runs, np.full(len(runs), y), "o", color=COLOURS[0], markersize=5, alpha=0.6)
    ax.set(xlabel=xlabel, ylim=(len(runs_by_name) - 0.5, -0.5))
    ax.set_yticks(range(len(runs_by_name)), list(runs_by_name))


def lambda_axis(ax, ticks=(0, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 1)):
    """Let the x axis of λ show what happens near 1: it follows −log(1.003 − λ), so that 1 is still on it."""
    def to_axis(lam):
        return -np.log(np.maximum(1.003 - lam, 1e-9))

    def from_axis(x):
        return 1.003 - np.exp(-x)

    ax.set_xscale("function", functions=(to_axis, from_axis))
    ax.set_xlim(-0.08, 1.0006)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def plot_timeline(ax, values, rewards, arcs=()):
    """An episode from left to right: circles are states with their V, arrows are steps with their rewards.

    Args:
        values: (T,) floats.
        rewards: (T,).
        arcs: (first step, last step, text), drawn above the steps they cover.
    """
    steps = len(rewards)
    for t, (value, reward) in enumerate(zip(values, rewards)):
        ax.annotate("", (t + 0.78, 0), (t + 0.22, 0), arrowprops=dict(arrowstyle="->"))
        ax.text(t + 0.5, -0.12, f"r = {reward:g}", ha="center", va="top", fontsize=9)
        ax.plot(t, 0, "o", markersize=27, markerfacecolor="#DCEBF5",
                markeredgecolor=COLOURS[0])
        ax.text(t, 0, f"{value:g}", ha="center", va="center", fontsize=9)
    ax.plot(steps, 0, "s", markersize=22, markerfacecolor="#DDDDDD",
            markeredgecolor="#555555")
    ax.text(steps, 0, "end", ha="center", va="center", fontsize=8)
    for level, (first, last, text) in enumerate(arcs, 1):
        colour = COLOURS[level % len(COLOURS)]
        height = 0.28 * level
        arrow = dict(arrowstyle="|-|,widthA=.3,widthB=.3", color=colour, lw=2)
        ax.annotate("", (last + 1, height), (first, height), arrowprops=arrow)
        ax.text((first + last + 1) / 2, height + 0.04, text,
                ha="center", va="bottom", color=colour, fontsize=9)
    ax.set(xlim=(-0.4, steps + 0.4), ylim=(-0.35, 0.28 * (len(arcs) + 1)))
    ax.axis("off")
    without_ground(ax)


def plot_triangle(ax, weights):
    """How a mixture of n-step advantages counts each TD error: rows are n, columns k, the last row their sum.

    Args:
        weights: (N,) weight of the n-step advantage for n = 1, …, N, which holds δ at
            the distances k < n.
    """
    count = len(weights)
    table = np.where(np.tri(count, dtype=bool), np.asarray(weights)[:, None], np.nan)
    sums = np.nansum(table, axis=0)
    rows = [f"n = {n}" for n in range(1, count + 1)]
    columns = [f"$\\delta_{{t+{k}}}$" for k in range(1, count)]
    plot_grid(ax, np.vstack([table, sums]), [*rows, "sum"], ["$\\delta_t$", *columns],
              label="weight that each estimator contributes to each TD error",
              fmt="{:.3f}")
    ax.axhline(count - 0.5, color="black", linewidth=1.5)


def plot_backups(ax, depths, names):
    """Backup diagrams side by side.

    depths: steps of reward before the critic is asked; None: to the end.

    Open circles are states, full ones actions, a square is the end of the episode; the
    critic is asked at a blue state.
    """
    deepest = max(depth or 0 for depth in depths) + 2
    for x, (depth, name) in enumerate(zip(depths, names)):
        last = depth or deepest
        ax.plot([x, x], [0, -last], color="#555555", linewidth=1, zorder=1)
        for level in range(last + 1):
            if level:
                ax.plot(x, -level + 0.5, "o", color="#333333", markersize=6)
            shape, face = "o", "#FFFFFF"
            if level == last and depth is None:
                shape, face = "s", "#DDDDDD"
            elif level == last:
                face = "#56B4E9"
            ax.plot(x, -level, shape, markersize=14, markerfacecolor=face,
                    markeredgecolor="#333333")
        ax.text(x, 0.55, name, ha="center", fontsize=9)
    ax.set(xlim=(-0.6, len(depths) - 0.4), ylim=(-deepest - 0.5, 1))
    ax.axis("off")
    without_ground(ax)


def plot_rollout(ax, endings):
    """A rollout as a strip of steps: what each is bootstrapped with, and whether credit flows back to it.

    Args:
        endings: for each step "", "terminated" or "truncated"; the array ends after the
            last.
    """
    last = len(endings) - 1
    faces = {"": "#FFFFFF", "terminated": "#F4C7A8", "truncated": "#FBE8B5"}
    bootstrapped = dict(arrowstyle="->", color=COLOURS[1], linestyle="--")
    credited = dict(arrowstyle="->", color=COLOURS[0], lw=2)
    for t, ending in enumerate(endings):
        ax.plot(t, 0, "s", markersize=30, markerfacecolor=faces[ending],
                markeredgecolor="#333333")
        ax.text(t, 0, f"{t}", ha="center", va="center")
        if not ending and t == last:
            named = "array ends"
        else:
            named = ending
        ax.text(t, -0.62, named, ha="center", va="center", fontsize=8)
        worth = "0" if ending == "terminated" else "V"
        ax.annotate(worth, (t + 0.1, 0.36), (t + 0.32, 0.85), ha="center", va="center",
                    color=COLOURS[1], arrowprops=bootstrapped)
        if not ending and t < last:
            ax.annotate("", (t + 0.05, -0.9), (t + 0.95, -0.9), arrowprops=credited)
    ax.text(-0.6, 0.85, "bootstrap", ha="right", va="center", color=COLOURS[1], fontsize=9)
    ax.text(-0.6, 0, "step", ha="right", va="center", fontsize=9)
    ax.text(-0.6, -0.9, "trace", ha="right", va="center", color=COLOURS[0], fontsize=9)
    ax.set(xlim=(-1.7, last + 0.6), ylim=(-1.15, 1.1))
    ax.axis("off")
    without_ground(ax)
