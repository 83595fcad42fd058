"""Entry point of `movierec`: runs a command and maps its errors to exit codes."""

import os
import sys

import typer

from movierec.cli import progress_display
from movierec.cli.lazy_commands import Commands
from movierec.errors import MovierecError
from movierec.runtime import entrypoint

INTERRUPTED = 130  # as shells count SIGINT

app = typer.Typer(
    name="movierec",
    cls=Commands,
    help="Movie recommendations: the whole loop, on one machine or on AWS.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root() -> None:
    """Accept the common options; the commands are in `movierec.cli.lazy_commands`."""


def main() -> None:
    """Run the command; a MovierecError is printed as one line, without traceback."""
    entrypoint.default_signals_in_children()
    try:
        code = app(standalone_mode=False)
    except typer.TyperException as exc:
        progress_display.print_error(_usage(exc))
        sys.exit(exc.exit_code)
    except (typer.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except MovierecError as exc:
        progress_display.print_error(str(exc))
        sys.exit(exc.exit_code)
    except BrokenPipeError:
        # The reader of our output has gone, and the interpreter would flush to it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as exc:  # a disk that is full, or a folder that is somebody else's
        if exc.filename is None:
            raise
        progress_display.print_error(
            f"{exc.filename}: {exc.strerror}; free or unlock it, then try again"
        )
        sys.exit(1)
    if code == INTERRUPTED:
        progress_display.print_error("interrupted")
    sys.exit(code)


def _usage(exc: typer.TyperException) -> str:
    """Return what is wrong with a command line, and whose help to read.

    Empty where a command group without a subcommand has shown its help.
    """
    message = exc.format_message().strip().rstrip(".")
    command: typer.Context | None = getattr(exc, "ctx", None)
    return f"{message}: see `{command.command_path} --help`" if message and command else message


if __name__ == "__main__":
    main()
