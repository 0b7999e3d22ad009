"""What the commands share."""

import sys


def complain(message):
    """One line on stderr; returns the exit status of a command that could not do its work."""
    print(f"coursekit: {message}", file=sys.stderr)
    return 2
