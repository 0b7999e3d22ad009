"""A class on several machines: the same function, mapped over Dask's distributed scheduler."""

import contextlib

from coursekit.autograder import sandbox, submission


@contextlib.contextmanager
def connect(address, settings):
    """(function from files and settings to a record, how many at a time, function that ends them, None).

    Files travel as bytes. A lost worker's submissions go to another one. Every worker grades the instructor's
    own answers first. Raises ValueError: no scheduler there, or no worker; Fault: a worker grades wrongly.
    """
    from distributed import Client

    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise ValueError(f"no Dask scheduler at {address}: {str(error)[:80]}") from None
    with client:
        threads = client.nthreads()
        if not threads:
            raise ValueError(f"the scheduler at {address} has no workers; start some with: dask worker {address}")
        under_way = set()

        def grade(files, settings):
            future = client.submit(submission.grade_submission, files, settings, pure=False, retries=3)
            under_way.add(future)
            try:
                return future.result()
            except Exception as error:  # worker after worker was lost with it: no fault of the learner
                return submission.fault(f"{type(error).__name__}: {str(error)[:100]}", settings)
            finally:
                under_way.discard(future)

        try:
            client.run(sandbox.resume, settings)
            client.run(submission.check_instructor, settings, close=True)
            yield grade, 2 * sum(threads.values()), lambda: client.cancel(list(under_way), force=True), None
        finally:  # also where this run was interrupted: what is under way there ends, and none waits for more
            with contextlib.suppress(OSError):  # the scheduler itself is gone
                client.run(sandbox.halt, settings)
