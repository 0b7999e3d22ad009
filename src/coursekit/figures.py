"""One function per family of figures, each drawing on a given ax."""

import numpy as np

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")  # Okabe-Ito
MARKERS = "os^Dv*P"
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))


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
    """One line per curve over x, each with its own colour and dash; dots: {name: (x, y, half-widths)} on top."""
    for (name, y), colour, dash in zip(curves.items(), COLOURS, DASHES):
        ax.plot(x, y, color=colour, linestyle=dash, label=name)
        if dots and name in dots:
            at, height, error = dots[name]
            ax.errorbar(at, height, yerr=error, fmt="o", color=colour, capsize=3, markersize=4)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_bands(ax, x, runs_by_name, *, xlabel, ylabel):
    """Mean over runs as a line, smallest to largest run as a band. runs: (seeds, len(x)) per name.

    Lines differ by marker as well where points are few, else by dash.
    """
    for (name, runs), colour, marker, dash in zip(runs_by_name.items(), COLOURS, MARKERS, DASHES):
        looks = dict(marker=marker, markersize=4) if len(x) <= 40 else dict(linestyle=dash)
        runs = np.asarray(runs)
        ax.plot(x, runs.mean(0), color=colour, label=name, **looks)
        ax.fill_between(x, runs.min(0), runs.max(0), color=colour, alpha=0.2)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()


def plot_growth(ax, table, names=None):
    """Time against elements, both on log scales, one line per method.

    Args: table: dicts of steps, rows and seconds, a dict by method (benchmarks/gae.py). names: which methods, in
    which order; None: all.
    """
    if names is None:
        names = list(dict.fromkeys(name for row in table for name in row["seconds"]))
    for i, name in enumerate(names):
        rows = [row for row in table if name in row["seconds"]]
        ax.loglog([row["steps"] * row["rows"] for row in rows], [row["seconds"][name] for row in rows],
                  color=COLOURS[i % len(COLOURS)], marker=MARKERS[i % len(MARKERS)], markersize=4,
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
    """A reply as a strip: one column a token, one row a quantity, numbers in the cells. rows: {name: (T,) floats}.

    Colour runs from blue (below 0) over white to red, on one scale for all rows.
    """
    table = np.array([np.asarray(row, float) for row in rows.values()])
    reach = np.abs(table).max()
    ax.imshow(table, cmap="RdBu_r", vmin=-1.3 * reach, vmax=1.3 * reach, aspect="auto")
    for (y, x), number in np.ndenumerate(table):
        ax.text(x, y, f"{round(number, 1) + 0.0:.1f}", ha="center", va="center", fontsize=8)
    ax.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
    ax.set_yticks(range(len(rows)), list(rows))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
