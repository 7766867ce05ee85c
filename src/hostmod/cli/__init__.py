"""The command ``hostmod``: its entry point, and what to install where its extra is missing."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence

NEEDED = ("click", "rich")
"""The packages of the extra ``cli``."""

BROKEN_PIPE = 141
"""What a shell shows for a program that SIGPIPE ended: 128 + 13."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        from hostmod.cli.version import version_text

        return written(lambda: print(version_text()) or 0)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"hostmod: the command line needs {' and '.join(missing)}, which the extra 'cli' brings; "
            "write: pip install 'hostmod[cli]'",
            file=sys.stderr,
        )
        return 1
    from hostmod.cli import app

    return written(lambda: app.run(arguments))


def written(work: Callable[[], int]) -> int:
    """Do some work, see that all it printed is written, and return its exit code, or that of why it could not be."""
    try:
        code = work()
        if sys.stdout is not None:  # the caller closed it
            sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read the output has enough.
        code = BROKEN_PIPE
    except OSError as error:
        print(f"hostmod: standard output: {error.strerror or error}", file=sys.stderr)
        code = 1
    # What is buffered has nowhere to go, and is not to be tried again at exit.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code
