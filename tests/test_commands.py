"""What all commands share: bad input, a missing package and Ctrl-C each get one line, and nothing is lost."""

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import coursekit
from coursekit import classic_resume, cli, lm, saved
from coursekit.autograder import sandbox
from coursekit.classic_resume import load_run, save_run
from coursekit.commands import rlhf, train
from coursekit.distribution import install
from coursekit.progress import bar

ROOT = Path(__file__).parent.parent
PAIR = '{"prompt": "p", "chosen": "good words", "rejected": "bad words"}\n'


def refused(capsys, *arguments):
    """The one line that the command says; it says nothing else, and its status is 2."""
    assert cli.main([str(argument) for argument in arguments]) == 2
    output, line = capsys.readouterr()
    assert output == "" and line.startswith("coursekit: ") and line.count("\n") == 1, output + line
    return line.removeprefix("coursekit: ").strip()


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty folder to work in, but for what the commands read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.jsonl").write_text(PAIR * 9)
    (tmp_path / "folder").mkdir()
    (tmp_path / "class").mkdir()
    (tmp_path / "class" / "ada.ipynb").write_text("{}")
    return tmp_path


def contents(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@pytest.mark.parametrize("arguments, message", [
    ("rlhf --updates 0", "--updates must be at least 1, got 0"),
    ("rlhf --updates -5", "--updates must be at least 1, got -5"),
    ("rlhf --updates many", "--updates must be a whole number, got many"),
    ("rlhf --batch 0", "--batch must be at least 1, got 0"),
    ("rlhf --seed -1", "--seed must be at least 0, got -1"),
    ("rlhf --seed 99999999999999999999", "--seed must be at most 4294967295, got 99999999999999999999"),
    ("rlhf --beta -0.1", "--beta must be at least 0, got -0.1"),
    ("rlhf --beta nan", "--beta must be a finite number, got nan"),
    ("rlhf --beta inf", "--beta must be a finite number, got inf"),
    ("train cartpole --updates 0", "--updates must be at least 1, got 0"),
    ("train cartpole --seed 1.5", "--seed must be a whole number, got 1.5"),
    ("train-rm pairs.jsonl --folds 1", "--folds must be at least 2, got 1"),
    ("train-rm pairs.jsonl --epochs 0", "--epochs must be at least 1, got 0"),
    ("train-rm pairs.jsonl --seed -1", "--seed must be at least 0, got -1"),
    ("check a.ipynb --timeout 0", "--timeout must be a positive number of seconds, got 0"),
    ("check a.ipynb --timeout inf", "--timeout must be a finite number, got inf"),
    ("grade class --out grades -j 0", "-j must be at least 1, got 0"),
    ("grade class --out grades --seconds -1", "--seconds must be at least 0, got -1"),
    ("grade class --out grades --call-seconds nan", "--call-seconds must be a finite number, got nan"),
    ("grade class --out grades --seed 0", "--seed must be at least 1, got 0"),  # 0: the cases that `check` shows
    ("train chess", "invalid choice: 'chess'"),
    ("rlhf --betas 1", "unrecognized arguments: --betas 1"),
    ("check", "the following arguments are required: notebook"),
    ("", "the following arguments are required: COMMAND"),
])
def test_a_bad_number_or_word_is_refused_in_one_line_that_names_its_option(arguments, message, place, capsys):
    before = contents(place)
    line = refused(capsys, *arguments.split())
    assert message in line and re.search(r"; see coursekit( [a-z-]+)? --help$", line), line
    assert contents(place) == before


def test_an_empty_argument_is_no_folder_that_happens_to_be_here(place, capsys):
    """pathlib takes "" for ".": `coursekit release "$DIR"` wrote into the current folder."""
    before = contents(place)
    assert "an argument is empty" in refused(capsys, "release", "")
    assert contents(place) == before


def test_a_folder_without_a_model_is_named_at_once(place, capsys):
    """transformers took half a minute to say that it found no backend, and did not name the folder."""
    for command in ("dpo", "train-rm"):
        line = refused(capsys, command, "pairs.jsonl", "--model", "folder")
        assert line == "no model in the folder folder: it holds no config.json"


TARGETS = [("rlhf --out {}", False), ("rlhf --plot {}", True), ("train cartpole --out {}", False),
           ("train cartpole --plot {}", True), ("train-rm pairs.jsonl --out {}", False)]


@pytest.mark.parametrize("command, picture", TARGETS)
def test_where_nothing_can_be_written_the_command_says_so_before_any_work(command, picture, place, capsys):
    def at(path):
        return refused(capsys, *command.format(path).split())
    before, end, option = contents(place), ".png" if picture else "", command.split()[-2]
    assert at("folder") == f"{option} folder is a folder; name a file in it"
    for parent in ("none", "pairs.jsonl"):
        assert at(f"{parent}/x{end}") == f"{option} {parent}/x{end}: there is no folder {parent}; make it first"
    assert at(os.devnull) == f"{option} {os.devnull} is no ordinary file; name another"
    assert re.search("nothing can be written there|File name too long", at("x" * 250 + end))
    if Path("/proc/self").is_dir():  # a folder where even root can make no file
        assert at(f"/proc/self/x{end}").startswith(f"{option} /proc/self/x{end}: nothing can be written there (")
    if picture:
        assert at("run.xyz") == f"{option} run.xyz must end in .png, .svg, .pdf, .jpg"
        assert "is the file of the run, --out" in at(f"a{end} --out a{end}")
    assert contents(place) == before


@pytest.mark.parametrize("command", ["grade class --out {}", "release {}"])
def test_where_no_folder_can_be_made_the_command_says_so_before_any_work(command, place, capsys):
    def at(path):
        return refused(capsys, *command.format(path).split())
    for path in ("pairs.jsonl", "pairs.jsonl/deep/grades"):
        assert f"{path}: pairs.jsonl is a file; name another folder" in at(path)
    if Path("/proc/self").is_dir():
        assert "nothing can be written there" in at("/proc/self/grades")


def test_grades_among_the_submissions_would_be_a_learner_the_next_time(place, capsys):
    assert "--out class/g is among the submissions" in refused(capsys, "grade", "class", "--out", "class/g")


WRITERS = ["rlhf --out {}", "train cartpole --out {}", "train-rm pairs.jsonl --out {}"]


@pytest.mark.parametrize("command", [*WRITERS, "rlhf --plot {}", "train cartpole --plot {}"])
@pytest.mark.parametrize("force", ["", " --force"])
def test_a_file_that_is_not_ours_is_never_written_over(command, force, place, capsys):
    """Neither the pairs, by any of their names, nor another program's file, whatever it is called."""
    os.link("pairs.jsonl", "linked.png"), (place / "soft.png").symlink_to("pairs.jsonl")
    (place / "table.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    (place / "deep.safetensors").write_bytes((10**6).to_bytes(8, "little") + b"[" * 10**6)
    names = ["linked.png", "soft.png"] if "plot" in command else [
        "./pairs.jsonl", "linked.png", "soft.png", "table.safetensors", "deep.safetensors"]
    for name in names:
        before = (place / name).read_bytes()
        line = refused(capsys, *(command.format(name) + force).split())
        assert "is a file that coursekit did not write" in line or "which is read; name another" in line
        assert (place / name).read_bytes() == before


def earlier(path, name="run", **metadata):
    """A file such as an earlier run left: no tensors, and the metadata by which it is known."""
    header = json.dumps({"__metadata__": {name: json.dumps(metadata)}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    return path.read_bytes()


@pytest.mark.parametrize("command, name", list(zip(WRITERS, ["run", "run", "linear_reward"])))
def test_an_earlier_run_is_replaced_only_where_it_is_asked_for(command, name, place, capsys):
    before = earlier(place / "old.safetensors", name)
    expected = "--out old.safetensors is there already; --force replaces it, or name another"
    assert refused(capsys, *command.format("old.safetensors").split()) == expected
    assert (place / "old.safetensors").read_bytes() == before


def test_a_picture_is_replaced_only_where_it_is_asked_for(place, capsys):
    (place / "run.png").write_bytes(b"\x89PNG, a holiday")
    for arguments in ("rlhf --plot run.png", "train cartpole --out run.safetensors"):  # whose picture is run.png
        line = refused(capsys, *arguments.split())
        assert line == "--plot run.png is there already; --force replaces it, or name another"
    assert (place / "run.png").read_bytes() == b"\x89PNG, a holiday"


@pytest.mark.parametrize("command", WRITERS)
def test_a_read_only_file_and_a_place_without_room_are_seen_before_any_work(command, place, capsys, monkeypatch):
    earlier(place / "old.safetensors", "linear_reward")
    (place / "old.safetensors").chmod(0o444)
    assert "old.safetensors is read-only" in refused(capsys, *command.format("old.safetensors --force").split())
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=100_000))
    assert re.search(r"new.safetensors: \d\.\d MB will be written, and 0\.1 MB are free; make room",
                     refused(capsys, *command.format("new.safetensors").split()))


def test_a_model_is_written_into_no_folder_that_holds_anything_else(place, capsys):
    (place / "model").mkdir(), (place / "model" / "config.json").write_text("{}")
    for out, line in (("class", "class is a folder with other files; name a new one"),
                      ("model", "model holds a model already; --force replaces it, or name another"),
                      (".", ". is a folder with other files; name a new one")):
        assert refused(capsys, "train-rm", "pairs.jsonl", "--model", "x", "--out", out) == f"--out {line}"
    line = refused(capsys, *"train-rm pairs.jsonl --model model --out folder/../model --force".split())
    assert line == "--out folder/../model is model, which is read; name another"


@pytest.mark.slow
@pytest.mark.parametrize("command, room", [("rlhf --updates 1 --batch 4", rlhf.ROOM), ("train cartpole --updates 1",
                                                                                     train.ROOM)])
def test_the_room_asked_for_is_what_a_run_takes(command, room, place):
    assert cli.main([*command.split(), "--out", "x.safetensors"]) == 0
    assert (place / "x.safetensors").stat().st_size < room < 10 * (place / "x.safetensors").stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("command", ["rlhf --updates 1 --batch 4", "train cartpole --updates 1"])
def test_a_disk_that_fills_up_on_the_way_costs_one_line_and_no_file(command, place):
    """No file may grow beyond 50 kB: stands for a full disk, which the check in front cannot foresee."""
    small = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "
    main = f"from coursekit.cli import main; sys.exit(main({[*command.split(), '--out', 'x.safetensors']!r}))"
    done = subprocess.run([sys.executable, "-c", small + main], cwd=place, capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "x.safetensors could not be written and is as it was" in done.stderr
    assert contents(place) == ["class", "class/ada.ipynb", "folder", "pairs.jsonl"]


@pytest.mark.parametrize("arguments", [
    "rlhf --resume --beta 9", "rlhf --resume --seed 0", "rlhf --resume --batch 3",
    "train cartpole --resume --seed 0 --out rlhf.safetensors",
    "train cartpole --resume --updates 7 --out rlhf.safetensors"])
def test_resume_refuses_what_it_would_ignore(arguments, place, capsys):
    (place / "rlhf.safetensors").write_bytes(b"a run")
    name = re.search("--(beta|seed|batch|updates)", arguments)[0]
    expected = f"{name} is part of the run in rlhf.safetensors; leave it out with --resume"
    assert refused(capsys, *arguments.split()) == expected


def test_resume_refuses_what_is_no_run_and_keeps_it(place, capsys):
    (place / "rlhf.safetensors").write_bytes(b"no run")
    assert "rlhf.safetensors is not; save_run writes one" in refused(capsys, "rlhf", "--resume")
    assert (place / "rlhf.safetensors").read_bytes() == b"no run"


@pytest.mark.slow
def test_a_complete_run_is_said_to_be_complete_and_fewer_updates_are_refused(place, capsys):
    assert cli.main("rlhf --updates 2 --batch 4 --out a.safetensors".split()) == 0
    before = (place / "a.safetensors").read_bytes()
    capsys.readouterr()
    assert cli.main("rlhf --resume --updates 2 --out a.safetensors".split()) == 0
    assert "a.safetensors holds all 2 updates; --updates asks for more" in capsys.readouterr().out
    assert "has made 2 already" in refused(capsys, *"rlhf --resume --updates 1 --out a.safetensors".split())
    assert (place / "a.safetensors").read_bytes() == before


# ---- a missing package

MISSING = [("check a.ipynb", "jupyter_client", "check"), ("check a.ipynb", "ipykernel", "check"),
           ("rlhf", "torch", "torch"),
           ("rlhf", "safetensors", "torch"), ("train cartpole", "torch", "gym"),
           ("train cartpole", "gymnasium", "gym"), ("train lunarlander", "Box2D", "gym"),
           ("train-rm pairs.jsonl", "sklearn", "train"), ("train-rm pairs.jsonl", "scipy", "train"),
           ("train-rm pairs.jsonl", "safetensors", "train"),
           ("train-rm pairs.jsonl --model m", "transformers", "hf"),
           ("train-rm pairs.jsonl --model m", "torch", "hf"),
           ("dpo pairs.jsonl --model m", "transformers", "hf"), ("dpo pairs.jsonl --model m", "torch", "hf"),
           ("grade class --out grades --cluster tcp://x:1 --sandbox none", "distributed", "cluster"),
           ("rlhf", "tqdm", "torch")]


@pytest.mark.slow
@pytest.mark.parametrize("arguments, package, extra", MISSING)
def test_a_missing_package_is_one_line_with_the_command_that_installs_it(arguments, package, extra, place):
    """Before any work. Blocked in a process of its own: in this one everything has been imported long ago."""
    (place / "a.ipynb").write_text("{}")
    block = (f"import sys; sys.modules[{package!r}] = None; from coursekit.cli import main; "
             f"sys.exit(main({arguments.split()!r}))")
    done = subprocess.run([sys.executable, "-c", block], cwd=place, capture_output=True, text=True, timeout=120)
    line = f"coursekit: {arguments.split()[0]} needs {package}; install it with: {install(extra)}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", line)


def test_a_module_of_ours_that_is_missing_is_a_fault_and_no_hint(monkeypatch):
    monkeypatch.setitem(sys.modules, "coursekit.checkpoints", None)
    with pytest.raises(ModuleNotFoundError):
        cli.main(["rlhf"])


# ---- what else is one line

def test_every_command_says_in_one_line_what_it_raises(place, capsys, monkeypatch):
    for command, arguments in (("check", ["a.ipynb"]), ("release", ["class"]), ("grade", ["class", "--out", "g"]),
                               ("train", ["cartpole"]), ("train_rm", ["pairs.jsonl"]), ("rlhf", [])):
        for error, line in ((ValueError("one\ntwo"), "one"), (OSError(28, "No space left"), "No space left"),
                            (ValueError(), "ValueError")):
            def fail(options, error=error):
                raise error
            monkeypatch.setattr(f"coursekit.commands.{command}.run", fail)
            assert line in refused(capsys, command.replace("_", "-"), *arguments)


def test_a_fault_of_the_sandbox_is_one_line(place, capsys, monkeypatch):
    def fail(*_):
        raise sandbox.GraderError("no sandbox: none here")
    monkeypatch.setattr(sandbox, "choose", fail)
    assert refused(capsys, "grade", "class", "--out", "grades") == "no sandbox: none here"


def test_only_one_process_of_a_run_complains(place, capsys, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert cli.main(["rlhf", "--seed", "-1"]) == 2 and capsys.readouterr() == ("", "")


def test_the_version_is_said(capsys):
    with pytest.raises(SystemExit) as end:
        cli.main(["--version"])
    assert end.value.code == 0 and capsys.readouterr().out == f"coursekit {coursekit.__version__}\n"


# ---- Ctrl-C

def interrupted(place, arguments, ready):
    """(status, stderr) of a command that got Ctrl-C as soon as ready() was true."""
    process = subprocess.Popen([sys.executable, "-m", "coursekit.cli", *arguments.split()], cwd=place,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not ready(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.mark.slow
def test_an_interrupted_training_says_how_to_go_on_and_goes_on_there(place):
    out = place / "run.safetensors"
    command = f"train cartpole --out {out} --plot run.png"
    status, errors = interrupted(place, f"{command} --updates 300", lambda _: out.exists())
    assert status == 130
    assert errors == f"coursekit: interrupted; `--resume` goes on from {out}\n"
    assert contents(place) == ["class", "class/ada.ipynb", "folder", "pairs.jsonl", "run.safetensors"]


def test_ctrl_c_at_the_end_of_a_save_finds_what_was_saved(place, capsys, monkeypatch):
    def save_and_stop(*run):
        save_run(*run)
        raise KeyboardInterrupt
    monkeypatch.setattr(classic_resume, "save_run", save_and_stop)
    assert cli.main(["train", "cartpole", "--updates", "20"]) == 130
    line = "coursekit: interrupted; `--resume` goes on from cartpole.safetensors\n"
    assert capsys.readouterr().err == line and load_run(place / "cartpole.safetensors")[0].update == 1


def test_interrupted_before_the_first_save_a_run_does_not_promise_to_go_on(place):
    """A file of an earlier run is in --out: going on with that one is not what was asked for."""
    before = earlier(place / "rlhf.safetensors")
    status, errors = interrupted(place, "rlhf --force --updates 5000 --batch 1000", torch_is_loaded)
    assert (status, errors) == (130, "coursekit: interrupted; nothing was saved; start it again\n")
    assert (place / "rlhf.safetensors").read_bytes() == before


def torch_is_loaded(process):
    return "libtorch" in Path(f"/proc/{process.pid}/maps").read_text()


@pytest.mark.parametrize("command, left", [
    ("check a.ipynb", "nothing was graded"), ("release class", "the same command writes all of it again"),
    ("grade class --out g", "the same command goes on where this one stopped"),
    ("train-rm pairs.jsonl", "nothing was saved")])
def test_every_command_says_what_an_interruption_left(command, left, place, capsys, monkeypatch):
    def stop(options):
        raise KeyboardInterrupt
    name, *arguments = command.split()
    monkeypatch.setattr(f"coursekit.commands.{name.replace('-', '_')}.run", stop)
    assert cli.main([name, *arguments]) == 130
    assert capsys.readouterr().err == f"coursekit: interrupted; {left}\n"


# ---- progress bars

def test_a_bar_is_shown_on_a_terminal_alone_unless_the_caller_says(capsys):
    for progress, shown in ((None, False), (False, False), (True, True)):
        with bar(3, progress=progress) as steps:
            steps.update()
        assert bool(capsys.readouterr().err) is shown


def test_every_bar_follows_the_one_rule():
    found = {path.name for path in (ROOT / "src/coursekit").rglob("*.py") if "import tqdm" in path.read_text()}
    assert found == {"progress.py"}


# ---- files are whole or absent

def test_a_file_is_the_old_one_or_the_new_one(tmp_path):
    path = tmp_path / "run.safetensors"
    with saved.atomic(path) as partial:
        partial.write_text("old")
    with pytest.raises(KeyboardInterrupt), saved.atomic(path) as partial:
        partial.write_text("half of the n")
        assert path.read_text() == "old"
        raise KeyboardInterrupt
    assert path.read_text() == "old" and contents(tmp_path) == ["run.safetensors"]


def test_two_files_that_differ_in_their_ending_are_written_side_by_side(tmp_path):
    with saved.atomic(tmp_path / "run.pt") as one, saved.atomic(tmp_path / "run.safetensors") as other:
        one.write_text("one"), other.write_text("other")
    assert (tmp_path / "run.pt").read_text() == "one" and (tmp_path / "run.safetensors").read_text() == "other"


def test_a_folder_is_written_whole_or_not_at_all(tmp_path):
    with pytest.raises(OSError), saved.atomic(tmp_path / "model") as partial:
        partial.mkdir()
        (partial / "weights").write_text("half")
        raise OSError
    assert contents(tmp_path) == []
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes").write_text("mine")
    with saved.atomic(tmp_path / "model") as partial:
        partial.mkdir()
        (partial / "weights").write_text("all")
    assert contents(tmp_path) == ["model", "model/notes", "model/weights"]


def test_a_link_stays_a_link_and_leads_to_the_new_file(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    saved.write_text(tmp_path / "run", "new")
    assert (tmp_path / "run").is_symlink() and (tmp_path / "disk" / "run").read_text() == "new"


def test_a_model_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(lm, "save_file", lambda tensors, path, metadata: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError):
        lm.save(lm.TinyLM(9, width=8, heads=2), tmp_path / "model.safetensors")
    assert contents(tmp_path) == []


@pytest.mark.slow
def test_every_file_that_the_library_writes_goes_through_atomic():
    """Each way to write a file stands inside `with atomic(...)`."""
    temporary = {"kernel.py", "package.py", "worker.py"}  # files in the sandbox, which go with it
    ways = re.compile(r"(.*\.)?(save_file|savefig|write_bytes|write_text|save_pretrained|copyfile|copytree)|open")
    for path in sorted((ROOT / "src/coursekit").rglob("*.py")):
        tree = ast.parse(path.read_text())
        whole = {id(inner) for node in ast.walk(tree) if isinstance(node, ast.With) for inner in ast.walk(node)
                 if any("atomic(" in ast.unparse(item.context_expr) for item in node.items)}
        for node in ast.walk(tree):
            source = ast.unparse(node) if isinstance(node, ast.Call) else ""
            writes = ways.fullmatch(source.split("(")[0]) and (source[:5] != "open(" or "'w" in source)
            kept = source.startswith(("write_text(", "saved.write_text(")) or "BytesIO" in path.read_text()
            kept |= ".running" in source  # a lock, which holds nothing
            if writes and not kept and path.name not in temporary:
                assert id(node) in whole, f"{path.name}:{node.lineno} {source[:60]}"
