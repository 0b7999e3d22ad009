"""The command line, `coursekit COMMAND`: every command is a module of `coursekit.commands`, imported here alone."""

import argparse
import sys

from coursekit.commands import check, grade, release, rlhf, train, train_rm

COMMANDS = (check, release, grade, train, train_rm, rlhf)


def main(argv=None):
    """Parse the command line and run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="coursekit", description="The course's commands.")
    commands = parser.add_subparsers(dest="command", required=True)
    for module in COMMANDS:
        module.add_command(commands)
    options = parser.parse_args(argv)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a console that has no ✓ shows a question mark
    return options.run(options)


if __name__ == "__main__":
    sys.exit(main())
