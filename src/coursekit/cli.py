"""The command line, `coursekit COMMAND`: every command is a module of `coursekit.commands`, imported here alone.

A command does its work and returns its exit status. What stands in its way is raised,
and `main` alone reports it, in one line.
"""

import argparse
import re
import sys

import coursekit
from coursekit.commands.common import complain
from coursekit.distribution import install


class Parser(argparse.ArgumentParser):
    """argparse's, whose complaints are one line."""

    def error(self, message):
        message = re.sub(r"^argument (\S+):(?= must )", r"\1", message)
        message = message.removeprefix("argument ")
        raise ValueError(f"{message}; see {self.prog} --help")


def main(argv=None):
    """Run one command.

    Returns its exit status: 2 if something stands in the way, 130 if interrupted.
    """
    if hasattr(sys.stdout, "reconfigure"):
        # a console that has no ✓ shows a question mark
        sys.stdout.reconfigure(errors="replace")
    options = argparse.Namespace(
        command="coursekit", extra="torch", interrupted="nothing was done")
    try:
        if "" in (sys.argv[1:] if argv is None else argv):
            raise ValueError("an argument is empty; is a variable of the shell unset?")
        options = _parser().parse_args(argv)
        return options.run(options)
    except KeyboardInterrupt as stop:
        return complain(f"interrupted; {str(stop) or options.interrupted}", status=130)
    except ModuleNotFoundError as error:
        package = (error.name or "coursekit").split(".")[0]
        if package == "coursekit":
            raise  # a module of ours: a fault, for which no installation helps
        return complain(
            f"{options.command} needs {package}; "
            f"install it with: {install(options.extra)}")
    except (ValueError, OSError) as error:
        lines = str(error).splitlines() or [type(error).__name__]
        return complain(lines[0])


def _parser():
    """The parser of all commands.

    extra: of the package, which a command needs.
    interrupted: what Ctrl-C left.
    """
    from coursekit.commands import check, dpo, grade, release, rlhf, train, train_rm

    parser = Parser(prog="coursekit", description="The course's commands.")
    parser.add_argument(
        "--version", action="version", version=f"coursekit {coursekit.__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for module in (check, release, grade, train, train_rm, dpo, rlhf):
        module.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
