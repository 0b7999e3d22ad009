"""The one rule for progress bars."""


def bar(total=None, *, progress=None, **options):
    """A progress bar on stderr.

    progress: None shows it on a terminal alone, False never, True always.
    """
    from tqdm import tqdm

    disable = None if progress is None else not progress
    return tqdm(total=total, leave=False, disable=disable, **options)
