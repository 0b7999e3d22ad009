"""Attacks that are not code: notebooks whose cells, marks and outputs are changed, and strange files."""

import json
import os


def mark(cell, role=None, exercise=None):
    found = cell["metadata"].get("coursekit", {})
    return (role is None or found.get("role") == role) and (exercise is None or found.get("exercise") == exercise)


def checks_print_a_verdict(nb):
    for cell in nb["cells"]:
        if mark(cell, "check"):
            cell["source"] = "print('✓ 9 of 9 cases, 3 points')"


def checks_deleted(nb):
    nb["cells"] = [c for c in nb["cells"] if not mark(c, "check")]


def checks_as_text(nb):
    for cell in nb["cells"]:
        if mark(cell, "check"):
            cell["cell_type"] = "markdown"


def checks_retagged(nb):
    for cell in nb["cells"]:
        if mark(cell, "check"):
            cell["metadata"]["coursekit"] |= {"role": "solution"}


def stubs_retagged(nb):
    for cell in nb["cells"]:
        if mark(cell, "stub"):
            cell["metadata"]["coursekit"]["role"] = "check"


def points_changed(nb):
    nb["metadata"]["coursekit"]["points"] = 1000
    for cell in nb["cells"]:
        cell["metadata"].setdefault("coursekit", {})["points"] = 1000
        cell["source"] = cell["source"].replace("3 points", "1000 points")


def ids_exchanged(nb):
    for cell in nb["cells"]:
        if mark(cell, "stub") and mark(cell, exercise="gae.targets"):
            cell["metadata"]["coursekit"]["exercise"] = "gae.recursion"


def outputs_forged(nb):
    for cell in nb["cells"]:
        if mark(cell, "check"):
            data = {"text/plain": "✓", "application/vnd.coursekit.check+json": {"status": "correct", "points": 99}}
            cell["outputs"] = [{"output_type": "display_data", "data": data, "metadata": {}}]


def an_exercise_of_its_own(nb):
    nb["cells"].append({"cell_type": "code", "metadata": {"coursekit": {"role": "stub", "exercise": "gae.free"}},
                        "source": "def free(): return 1", "outputs": [], "execution_count": 1})


def a_chapter_of_its_own(nb):
    nb["metadata"]["coursekit"] = {"notebook": "99_free_points", "points": 1000}


CHANGED = [checks_print_a_verdict, checks_deleted, checks_as_text, checks_retagged, stubs_retagged, points_changed,
           ids_exchanged, outputs_forged, an_exercise_of_its_own, a_chapter_of_its_own]


def metadata_stripped(nb):
    for cell in nb["cells"]:
        cell["metadata"] = {}
    nb["metadata"] = {}


def outputs_cleared(nb):
    for cell in nb["cells"]:
        cell.update({"outputs": [], "execution_count": None} if cell["cell_type"] == "code" else {})


def answers_copied_below(nb):
    nb["cells"] += [json.loads(json.dumps(c)) for c in nb["cells"] if mark(c, "stub")]


def stubs_copied_below(nb):
    book = "def gae_recursion(rewards, values, next_values, terminated, truncated, gamma, lam):\n" \
           '    """(T,) arrays -> (T,) advantages."""\n    raise NotImplementedError'
    nb["cells"].append(code(book))


def warnings_everywhere(nb):
    for cell in nb["cells"]:
        if mark(cell, "stub"):
            cell["source"] = cell["source"].replace("):\n", "):\n    import warnings; warnings.warn('old', "
                                                    "DeprecationWarning)\n    print('here')\n", 1)


def another_float(nb):
    nb["cells"].append(code("real = gae_recursion\ndef gae_recursion(*a):\n    return real(*a).astype(np.float32)"))


def lists_for_arrays(nb):
    nb["cells"].append(code("arrays = lambda_return\nlambda_return = lambda *a: arrays(*a).tolist()"))


def extra_cells(nb):
    nb["cells"].insert(0, code("%matplotlib inline\n!pip install numpy\nprint('hello')"))
    nb["cells"].append(code("import math\nmath.pi"))


def definitions_out_of_order(nb):
    for cell in nb["cells"]:
        if mark(cell, "stub", "gae.targets"):
            cell["source"] = "def targets(advantages, values):\n    return white(advantages), advantages + values"
    nb["cells"].append(code("def white(x):\n    return (x - x.mean()) / x.std(ddof=1)"))


def cells_reversed(nb):
    nb["cells"].reverse()


def broken_cells_elsewhere(nb):
    nb["cells"].insert(3, code("1 / 0"))
    nb["cells"].insert(5, code("def unfinished(:"))
    nb["cells"].append(code("undefined_name"))


def a_loop_elsewhere(nb):
    nb["cells"].insert(3, code("while True: pass"))


def imports_deleted(nb):
    nb["cells"] = [c for c in nb["cells"] if not mark(c, "imports")]


def imports_broken(nb):
    for cell in nb["cells"]:
        if mark(cell, "imports"):
            cell["source"] += "\nimport a_package_nobody_has"


def a_figure_played_with(nb):
    for cell in nb["cells"]:
        if mark(cell, "chapter"):
            cell["source"] = "import_that_fails = not_defined_here\n" + cell["source"]


def solutions_kept(nb):
    nb["cells"].append(code("def gae_recursion_solution(*a):\n    return None"))


HONEST = [metadata_stripped, outputs_cleared, checks_deleted, answers_copied_below, stubs_copied_below,
          warnings_everywhere, another_float, lists_for_arrays, extra_cells, definitions_out_of_order,
          cells_reversed, broken_cells_elsewhere, a_loop_elsewhere, imports_deleted, imports_broken,
          a_figure_played_with, solutions_kept]


def code(source):
    return {"cell_type": "code", "metadata": {}, "source": source, "outputs": [], "execution_count": 1, "id": "x"}


def _text(nb):
    return json.dumps(nb, ensure_ascii=False)


FILES = {  # name: (a function of the path and an honest notebook that writes the file, whether it can be graded)
    "a link to another's notebook": (lambda p, nb: p.symlink_to("../other/02_gae.ipynb"), False),
    "a link to a device": (lambda p, nb: p.symlink_to("/dev/zero"), False),
    "a fifo": (lambda p, nb: os.mkfifo(p), False),
    "a folder": (lambda p, nb: p.mkdir(), False),
    "JSON 200,000 deep": (lambda p, nb: p.write_text("[" * 200_000), False),
    "objects 200,000 deep": (lambda p, nb: p.write_text('{"cells":' * 200_000), False),
    "corrupt": (lambda p, nb: p.write_text(_text(nb)[:-500]), False),
    "empty": (lambda p, nb: p.write_text(""), False),
    "a list": (lambda p, nb: p.write_text("[1, 2, 3]"), False),
    "not UTF-8": (lambda p, nb: p.write_bytes(_text(nb).encode("utf-16")), False),
    "half UTF-8": (lambda p, nb: p.write_bytes(_text(nb).encode() + b"\xff"), False),
    "51 MB": (lambda p, nb: p.write_text(_text(nb) + " " * (51 << 20)), False),
    "a source that is true": (lambda p, nb: p.write_text(_text(nb | {"cells": [code(True), *nb["cells"]]})), False),
    "a cell that is a number": (lambda p, nb: p.write_text(_text(nb | {"cells": [7]})), False),
    "cells that are text": (lambda p, nb: p.write_text(_text(nb | {"cells": "def f(): pass"})), False),
    "a number of 6000 digits": (lambda p, nb: p.write_text(_text(nb)[:-1] + ', "n": ' + "9" * 6000 + "}"), False),
    "a lone surrogate": (lambda p, nb: p.write_text(json.dumps(nb | {"cells": nb["cells"] + [code("'\ud800'")]})),
                         True),
    "nbformat 3": (lambda p, nb: p.write_text(_text(
        {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": [
            {"cell_type": "code", "input": c["source"], "outputs": [], "language": "python", "metadata": {}}
            for c in nb["cells"] if c["cell_type"] == "code"]}]})), True),
    "a byte order mark": (lambda p, nb: p.write_bytes(b"\xef\xbb\xbf" + _text(nb).encode()), True),
    "sources as lists": (lambda p, nb: p.write_text(_text(nb | {"cells": [
        c | {"source": c["source"].splitlines(keepends=True)} for c in nb["cells"]]})), True),
    "marks that are no marks": (lambda p, nb: p.write_text(_text(nb | {"metadata": 3, "cells": [
        c | {"metadata": {"coursekit": [1]}} for c in nb["cells"]]})), True),
}
