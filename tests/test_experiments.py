"""`make experiments` runs what is stale and nothing else."""

import sys
from pathlib import Path

import pytest

EXPERIMENTS = Path(__file__).parent.parent / "experiments"


@pytest.fixture
def make(tmp_path, monkeypatch):
    """experiments/make.py over two small scripts of its own: each writes its result, and one line to a log."""
    monkeypatch.syspath_prepend(EXPERIMENTS)
    monkeypatch.delitem(sys.modules, "make", raising=False)
    import make
    (tmp_path / "results").mkdir()
    for name in ("first", "make_second"):
        result = tmp_path / "results" / f"{name.removeprefix('make_')}.json"
        (tmp_path / f"{name}.py").write_text(f"open({str(result)!r}, 'w').write('{{}}')\n"
                                             f"open({str(tmp_path / 'log')!r}, 'a').write({name!r} + ' ')\n")
    (tmp_path / "world.py").write_text("")
    monkeypatch.setattr(make, "HERE", tmp_path)
    monkeypatch.setattr(make, "REMEMBERED", tmp_path / "made_from.json")
    monkeypatch.setattr(make, "HELP_DESK", [tmp_path / "world.py"])
    monkeypatch.setattr(make, "MINUTES", {"first.py": 1, "make_second.py": 1})
    monkeypatch.setattr(sys, "argv", ["make.py"])
    make.ran = lambda: (tmp_path / "log").read_text().split()
    yield make
    monkeypatch.delitem(sys.modules, "make")


def test_what_is_current_is_not_made_again(make):
    make.main()
    make.main()
    assert make.ran() == ["first", "make_second"]


def test_an_interrupted_run_goes_on_where_it_stopped(make):
    script = make.HERE / "make_second.py"
    whole = script.read_text()
    script.write_text("raise SystemExit(1)")
    with pytest.raises(make.subprocess.CalledProcessError):
        make.main()
    script.write_text(whole)
    make.main()
    assert make.ran() == ["first", "make_second"]


@pytest.mark.parametrize("change, again", [("first.py", ["first"]), ("world.py", ["first", "make_second"])])
def test_a_change_makes_stale_what_depends_on_it(make, change, again):
    make.main()
    (make.HERE / change).write_text((make.HERE / change).read_text() + "# changed\n")
    make.main()
    assert make.ran() == ["first", "make_second"] + again


def test_a_lost_result_is_made_again_and_a_stamp_makes_nothing(make, monkeypatch):
    make.main()
    (make.HERE / "results" / "second.json").unlink()
    make.main()
    (make.HERE / "world.py").write_text("renamed = 1\n")
    monkeypatch.setattr(sys, "argv", ["make.py", "--stamp"])
    make.main()
    monkeypatch.setattr(sys, "argv", ["make.py"])
    make.main()
    assert make.ran() == ["first", "make_second", "make_second"]


def third(job):
    """A job for `run_jobs`: the number 3 fails as long as the file of that name is missing."""
    name, folder = job
    if name == 3 and not (Path(folder) / "3").exists():
        raise OSError("the machine went down")
    with open(Path(folder) / "log", "a") as log:
        log.write(f"{name} ")
    return {"job": name}


def test_an_interrupted_script_goes_on_with_the_jobs_that_are_missing(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import models
    monkeypatch.setattr(models, "FOLDER", tmp_path / "build")
    monkeypatch.setattr(models, "fingerprint", lambda script: "now")
    jobs = [(name, str(tmp_path)) for name in (1, 2, 3)]
    with pytest.raises(OSError, match="the machine went down"):
        models.run_jobs(third, jobs)
    (tmp_path / "3").touch()
    assert models.run_jobs(third, jobs) == [{"job": 1}, {"job": 2}, {"job": 3}]
    assert sorted((tmp_path / "log").read_text().split()) == ["1", "2", "3"]
    for name in ("models", "make"):
        monkeypatch.delitem(sys.modules, name, raising=False)
