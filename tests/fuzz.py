"""Gone wrong at random: notebooks (bytes changed, cut, doubled; values of the JSON exchanged), folders of them."""

import copy
import json
import os
import random
import warnings
import zipfile

ODD = [None, True, False, 0, -1, 10**30, 1.5, "", "x", "\ud800", [], {}, [[]], {"a": 1}, [None], ["x", 3], {"": []}]


def mutants(data, count, seed):
    """Yield count mutations of the bytes of a notebook."""
    rng, whole = random.Random(seed), json.loads(data)
    whole["cells"] = whole["cells"][-12:]
    small = json.dumps(whole).encode()
    for k in range(count):
        yield _bytes(rng, small) if k % 3 == 0 else _values(rng, whole)


def _bytes(rng, data):
    data = bytearray(data)
    for _ in range(rng.randint(1, 5)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(4)
        if kind == 0 and data:
            data[min(at, len(data) - 1)] = rng.randrange(256)
        elif kind == 1:
            del data[at:min(to, at + rng.choice([1, 10, 1000]))]
        elif kind == 2:
            data[at:at] = data[at:min(to, at + 100)]
        else:
            data[at:at] = bytes(rng.randrange(256) for _ in range(3))
    return bytes(data)


def _values(rng, notebook):
    notebook = copy.deepcopy(notebook)
    for _ in range(rng.randint(1, 4)):
        place, key = _somewhere(rng, notebook)
        kind = rng.randrange(4)
        if kind == 0 and isinstance(place, dict):
            del place[key]
        elif kind == 1 and isinstance(place, list):
            place.append(copy.deepcopy(rng.choice(place)))
        else:
            place[key] = copy.deepcopy(rng.choice(ODD))
    return json.dumps(notebook).encode()


def _somewhere(rng, node):
    """A container of the tree and one of its keys."""
    while True:
        keys = list(node) if isinstance(node, dict) else range(len(node))
        key = rng.choice(list(keys)) if keys else None
        if key is None:
            node["cells" if isinstance(node, dict) else 0] = 0 if isinstance(node, dict) else node.append(0)
            return node, next(iter(node)) if isinstance(node, dict) else 0
        if not isinstance(node[key], (dict, list)) or not node[key] or rng.random() < 0.25:
            return node, key
        node = node[key]


NAMES = ["ada", "Ada", "bob (1)", "bob", "Müller", "Mu\u0308ller", "x" * 100, "語" * 60, "a b", "a&b", "'q'", '"',
         "::", "[z]", "%s", "eve!", "eve?", "-rf", "=1+1", "..x",
         "smith_20241129_1016_gae", "jones_20241129_1018_gae",
         "Ada L_77_assignsubmission_file", "Bob_77_assignsubmission_file_", "Ada L_77_assignsubmission_onlinetext",
         "C_7_assignsubmission_file_x_9_assignsubmission_file", "lovelace_12_34_gae", "lovelace_LATE_12_35_gae-1",
         "evil\u202eynb", "tab\there", "new\nline", "\x1b[31m"]
ENDINGS = ["", ".ipynb", ".IPYNB", ".ipynb.txt", ".zip", ".json", ".pdf", ".py", ".tar.gz", ".ipynb.zip"]


def make_folder(folder, seed, notebooks):
    """Make a folder of submissions gone wrong at random. Returns how many files it holds, folders that can't be
    entered counted as one."""
    rng = random.Random(seed)
    folder.mkdir()
    data = [text.encode() for text in notebooks] + [b"", b"{", b"{}", b"\xff\xfe", b"x = 1", b"[1]"]
    count = sum(_entry(rng, folder, data, 0) for _ in range(rng.randint(0, 25)))
    if rng.random() < 0.5:
        _roster(rng, folder / "students.csv")
    return count


def _entry(rng, folder, data, depth):
    path, kind = folder / (rng.choice(NAMES) + rng.choice(ENDINGS)), rng.random()
    path = folder / ".hidden" if rng.random() < 0.03 else path
    if os.path.lexists(path):
        return 0
    if kind < 0.25 and depth < 4:
        path.mkdir()
        inside = sum(_entry(rng, path, data, depth + 1) for _ in range(rng.randint(0, 5)))
        return 1 if path.name.startswith(".") else inside
    if kind < 0.35 and not path.name.startswith("."):
        return _archive(rng, path.with_name(path.name + ".zip"), data)
    if kind < 0.4:
        path.symlink_to(rng.choice(["/etc/passwd", "nowhere", folder, "students.csv"]))
    elif kind < 0.42:
        os.mkfifo(path)
    else:
        path.write_bytes(rng.choice(data))
    if path.suffix == ".ipynb":
        os.utime(path, (rng.randrange(1, 2 * 10**9),) * 2, follow_symlinks=False)
    return 1


def _archive(rng, path, data):
    if os.path.lexists(path):
        return 0
    members = [f"{rng.choice(['', 'a/', '../', '/', '__MACOSX/', '.x/'])}{rng.choice(NAMES)}{rng.choice(ENDINGS)}"
               for _ in range(rng.randint(0, 5))]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", rng.choice([0, 8])) as archive:
        warnings.simplefilter("ignore")  # two members of one name
        for name in members:
            archive.writestr(name, rng.choice(data))
    broken = bytearray(path.read_bytes())
    if rng.random() < 0.3:
        at = rng.randrange(len(broken))
        if rng.random() < 0.5:
            broken[at] ^= 1 << rng.randrange(8)
        else:
            del broken[at:]
        path.write_bytes(broken)
        try:
            with zipfile.ZipFile(path) as archive:
                members = [info for info in archive.infolist() if not info.is_dir()]
        except Exception:
            members = []
    return max(1, len(members))


def _roster(rng, path):
    rows = [rng.choice(["name,id", "Student;SIS User ID", "id", "x,y"])]
    rows += [f"{rng.choice(NAMES)}{rng.choice(',;')}{rng.choice(['', 77, 12, 1, 2, rng.random()])}"
             for _ in range(rng.randint(0, 6))]
    text = "\n".join(rows).encode(rng.choice(["utf-8", "utf-16", "cp1252"]), "replace")
    path.write_bytes(text if rng.random() < 0.9 else text + bytes(rng.randrange(256) for _ in range(5)))
