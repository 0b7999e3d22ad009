"""The command line: `coursekit check`, `release`, `grade`, `train`, `train-rm`, `rlhf`, each in its own module."""

import argparse
import sys


def main(argv=None):
    """Parse the command line and run one command; returns its exit status."""
    from coursekit import rlhf_command, train_command, train_rm
    from coursekit.autograder import cli as checking
    from coursekit.autograder import grade, release

    parser = argparse.ArgumentParser(prog="coursekit", description="The course's commands.")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in (checking, release, grade, train_command, train_rm, rlhf_command):
        module.add_command(commands)
    options = parser.parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console that has no ✓ shows a question mark
    return options.run(options)


def complain(message):
    """One line on stderr; returns the exit status of a command that could not do its work."""
    print(f"coursekit: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
