"""Pages in HTML: feedback for one learner, and what a class found hard."""

from __future__ import annotations

import base64
import io
import re
import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from coursekit.autograder.gradebook import number
from coursekit.autograder.learners import Aside, file_names
from coursekit.autograder.likeness import alike, equal_answers
from coursekit.autograder.outcome import readable
from coursekit.autograder.rules import SIGNS
from coursekit.autograder.submission import FAULT, Record
from coursekit.exercises import EXERCISES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from coursekit.autograder.book import Chapter
    from coursekit.autograder.course import Course
    from coursekit.autograder.marks import Mark

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;display:block;overflow-x:auto}th{border-bottom:1px solid #888}
td,th{padding:.2rem .6rem .2rem 0;text-align:left;vertical-align:top}tr+tr td{border-top:1px solid #ddd}
pre{background:#f5f5f5;padding:.6rem;overflow-x:auto;white-space:pre-wrap}
.wide{overflow-x:auto}img{width:100%;min-width:36rem}td:last-child{min-width:14rem}td+td{white-space:nowrap}
td:last-child{white-space:normal}"""

PAIRS = 50  # of learners with several equal answers that are listed


def learner_page(record: Record, mark: Mark, course: Course) -> str:
    """Points, the first failing case that `check` shows, and the misconception by name; no hidden case."""
    points = "not graded" if mark.total is None else f"{number(mark.total)} of {number(mark.possible)} points"
    parts = [f"<p><b>{points}</b> · {escape(record.status)}</p>"]
    parts += [f"<p>Handed in {escape(mark.late)}.</p>"] if mark.late else []
    parts += [f"<p>{escape(mark.comment)}</p>"] if mark.comment else []
    parts += ["<p>Your instructor has set the points in all.</p>"] if "total" in mark.by_hand else []
    parts += ["<p>A wrong answer earns the share of the cases that it passes.</p>"] if course.partial else []
    if record.status == FAULT:
        parts.append("<p>The grader failed, not you. Your instructor will grade this again.</p>")
    elif record.reason:
        parts.append(f"<p>{escape(record.reason)}</p>")
    for verdict in record.exercises.values():
        title = f"{SIGNS[verdict.status]} {EXERCISES[verdict.exercise].title}"
        earned = mark.points.get(verdict.exercise)
        by_hand = ", set by your instructor" if verdict.exercise in mark.by_hand else ""
        parts.append(f"<h2>{escape(title)} ({'–' if earned is None else number(earned)}/"
                     f"{number(course.worth(verdict.exercise))}{by_hand})</h2>")
        first, *others = verdict.lines or ("",)
        first = re.sub(r", \d+ points?$", "", first)  # the book's: the heading has what counts
        parts.append(f"<pre>{escape(chr(10).join([first, *others]))}</pre>")
    if record.flags and not record.reason:
        parts.append("<h2>Notes</h2><ul>" + "".join(f"<li>{escape(f)}</li>" for f in record.flags) + "</ul>")
    return page(f"Feedback for {record.name}", parts)


def class_page(records: Sequence[Record], marks: Sequence[Mark], chapters: Sequence[Chapter],
               aside: Sequence[Aside] = (), notes: Sequence[str] = (), title: str = "Class report") -> str:
    """Points per exercise, common misconceptions, equal answers, time, a row for each learner, and every file that
    was set aside.

    marks: of the records, in their order. aside: files that belong to nobody. notes: for the instructor.
    """
    statuses = Counter(r.status for r in records)
    points = [mark.total for mark in marks if mark.total is not None]
    isolation = " / ".join(sorted({r.isolation for r in records}))
    parts = [f"<p>{len(records)} learners: " + escape(", ".join(f"{n} {s}" for s, n in statuses.items())) + ". ",
             f"Median {np.median(points):g} of {number(marks[0].possible)} points. " if points else "",
             f"Sandbox: {escape(isolation)}.</p>", _picture(records), "<h2>Misconceptions</h2>"]
    rows = [f"<tr><td>{n}</td><td><code>{i}</code></td><td>{escape(name)}</td></tr>"
            for (i, name), n in misconceptions(records).most_common(15)]
    parts += ["<table><tr><th>learners<th>exercise<th>what they wrote</tr>", *rows, "</table>"] if rows else [
        "<p>No wrong answer has one that is known.</p>"]
    parts.append("<h2>Learners</h2><table><tr><th>learner<th>name<th>points<th>status<th>seconds<th>notes</tr>")
    files = file_names([r.learner for r in records])
    parts += [*(_row(r, mark, files[r.learner]) for r, mark in zip(records, marks)), "</table>"]
    parts += _equal(records, chapters)
    if notes:
        parts += ["<h2>Notes</h2><ul>", *(f"<li>{escape(n)}</li>" for n in notes), "</ul>"]
    rows = [f"<tr><td>{escape(name)}</td><td>{escape(reason)}</td></tr>" for name, reason in
            sorted([*aside, *(Aside(*a) for r in records for a in r.aside)])]
    parts.append(f"<h2>Files set aside: {len(rows)}</h2>")
    parts += ["<table><tr><th>file<th>why</tr>", *rows, "</table>"] if rows else ["<p>None.</p>"]
    return page(title, parts)


def _equal(records: Sequence[Record], chapters: Sequence[Chapter]) -> list[str]:
    """What the instructor alone sees of answers that are the same code."""
    equal = equal_answers(records, chapters)
    if not equal:
        return []
    rows = [f"<tr><td>{group.exercise}</td><td>{escape(', '.join(group.learners))}"
            f"{' (as in the book)' * group.book}</td></tr>" for group in equal]
    found = alike(equal, records)
    pairs = [f"<li>{escape(a)} and {escape(b)}: {n} of {of}</li>" for a, b, n, of in found[:PAIRS]]
    pairs += [f"<li>and {len(found) - PAIRS} more pairs with as many or fewer</li>"] if len(found) > PAIRS else []
    return ["<h2>Equal answers</h2><p>Right answers that are not short and are the same code but for names, "
            "comments and layout. That may be chance, a common source, or a talk. Learners do not see this.</p>",
            "<table><tr><th>exercise<th>learners</tr>", *rows, "</table>",
            *(["<p>Two learners with more than one of these:</p><ul>", *pairs, "</ul>"] if pairs else [])]


def _row(record: Record, mark: Mark, file: str) -> str:
    notes = remarks(record, mark)
    link = f'<a href="feedback/{escape(file)}.html">{escape(record.learner)}</a>'
    return (f"<tr><td>{link}</td><td>{escape(record.name)}</td>"
            f"<td>{'' if mark.total is None else number(mark.total)}</td><td>{escape(record.status)}</td>"
            f"<td>{record.seconds:.1f}</td><td>{escape(notes[:160])}{'…' * (len(notes) > 160)}</td></tr>")


def remarks(record: Record, mark: Mark) -> str:
    """What an instructor should know of a learner, in one text."""
    late = [f"late: {mark.late}"] if mark.late else []
    by_hand = [f"by hand: {', '.join(mark.by_hand)}"] if mark.by_hand else []
    return "; ".join(late + by_hand + record.notes + record.flags) or record.reason or ""


def misconceptions(records: Iterable[Record]) -> Counter[tuple[str, str]]:
    """Counter of (exercise id, name of a misconception)."""
    return Counter((v.exercise, v.misconception) for r in records for v in r.exercises.values()
                   if v.misconception)


def plot_points(ax: Axes, records: Sequence[Record]) -> None:
    """One bar for each exercise: the share of learners who were right, wrong, and who did not try."""
    ids = list(dict.fromkeys(i for r in records for i in r.exercises))
    left = np.zeros(len(ids))
    for status, colour, hatch in (("correct", "#009E73", ""), ("wrong", "#D55E00", "//"),
                                  ("not attempted", "#CCCCCC", "")):
        share = np.array([np.mean([r.exercises[i].status == status for r in records if i in r.exercises])
                          for i in ids])
        ax.barh(ids, share, left=left, color=colour, hatch=hatch, edgecolor="white", label=status)
        left += share
    ax.invert_yaxis()
    ax.set(xlabel="share of learners", ylabel="exercise", xlim=(0, 1))
    ax.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


def plot_misconceptions(ax: Axes, records: Sequence[Record]) -> None:
    """One bar for each of the ten most common misconceptions: how many learners had it."""
    common = misconceptions(records).most_common(10)
    ax.barh(["\n".join(textwrap.wrap(f"{i}: {name}", 34, max_lines=2)) for (i, name), _ in common],
            [n for _, n in common], color="#0072B2")
    ax.invert_yaxis()
    ax.set(xlabel="learners", ylabel="misconception")


def plot_seconds(ax: Axes, records: Sequence[Record]) -> None:
    """How many submissions took how long."""
    ax.hist([r.seconds for r in records], bins=20, color="#56B4E9", edgecolor="white")
    ax.set(xlabel="time for one submission (s)", ylabel="submissions")


def _picture(records: Sequence[Record]) -> str:
    from matplotlib.figure import Figure

    rows = max((len(r.exercises) for r in records), default=0)
    plots = {plot_points: 1 + 0.3 * rows, plot_seconds: 2}
    if common := misconceptions(records):
        plots[plot_misconceptions] = 1 + 0.45 * min(10, len(common))
    figure = Figure(figsize=(9, sum(plots.values()) + 1), layout="constrained")
    axes = figure.subplots(len(plots), 1, height_ratios=list(plots.values()))
    for ax, plot in zip(axes, plots):
        plot(ax, records)
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=100)
    return ('<div class="wide"><img alt="Plots: who solved what, seconds for a submission, misconceptions" '
            f'src="data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"></div>')


def page(title: str, parts: Iterable[str]) -> str:
    title = _readable(escape(title))
    return (f'<!doctype html><html lang="en"><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{title}</title>'
            f"<style>{STYLE}</style><h1>{title}</h1>{_readable(''.join(parts))}</html>\n")


def _readable(text: str) -> str:
    return "\n".join(map(readable, text.split("\n")))
