"""A class on several machines: the same function, mapped over Dask's distributed scheduler."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from distributed import Client, Future, WorkerPlugin, get_worker

from coursekit.autograder import submission
from coursekit.autograder.book import Chapter
from coursekit.autograder.classroom import Backend
from coursekit.autograder.reader import File, UnreadableFile
from coursekit.autograder.sandbox import Isolation
from coursekit.autograder.submission import Record, Settings, check_instructor, grade_submission


class Sandboxes(WorkerPlugin):
    """The sandboxes of a run on one worker; also on a worker that comes, or comes back, in the middle."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = f"coursekit-{settings.key([])}"  # that of a killed run of these settings is replaced

    def setup(self, worker: Any) -> None:
        self.pool = self.settings.pool()

    def teardown(self, worker: Any) -> None:
        self.pool.close()


def _grade(files: Sequence[File | UnreadableFile], settings: Settings, plugin: str) -> Record:
    return grade_submission(files, settings, get_worker().plugins[plugin].pool)


def _check(settings: Settings, plugin: str, dask_worker: Any) -> None:
    check_instructor(settings, dask_worker.plugins[plugin].pool)


@contextlib.contextmanager
def _client(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler at {address}: {str(error)[:80]}") from None
    with client:
        if not client.nthreads():
            raise ValueError(f"the scheduler at {address} has no workers; start some with: dask worker {address}")
        yield client


def choose(address: str, asked: str, chapter: Chapter, fresh: bool) -> Isolation:
    """The isolation that works on a worker: this machine need not run Linux, nor have bubblewrap.

    Raises: as connect, or GraderError: none works there.
    """
    with _client(address) as client:
        return client.submit(submission.choose, asked, chapter, fresh, pure=False).result()


@contextlib.contextmanager
def connect(address: str, settings: Settings) -> Iterator[Backend]:
    """A Backend of a Dask cluster; every worker has graded the instructor's own answers.

    Files travel as bytes. A lost worker's submissions go to another one. Raises ValueError: no scheduler there, or
    no worker; GraderError: a worker grades wrongly.
    """
    with _client(address) as client:
        threads = client.nthreads()
        under_way: set[Future] = set()
        plugin = Sandboxes(settings)

        def grade(files: Sequence[File | UnreadableFile]) -> Record:
            future = client.submit(_grade, files, settings, plugin.name, pure=False, retries=3)
            under_way.add(future)
            try:
                return future.result()
            except Exception as error:  # worker after worker was lost with it: no fault of the learner
                return Record.fault(f"{type(error).__name__}: {str(error)[:100]}", settings)
            finally:
                under_way.discard(future)

        try:
            client.register_plugin(plugin)
            client.run(_check, settings, plugin.name)
            yield Backend(grade, 2 * sum(threads.values()), lambda: client.cancel(list(under_way), force=True))
        finally:  # also where this run was interrupted: what is under way there ends
            with contextlib.suppress(OSError):  # the scheduler itself is gone
                client.unregister_worker_plugin(plugin.name)
