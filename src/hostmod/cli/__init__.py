"""The command ``hostmod``: what of it works without its extra, and the way to the rest."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Sequence

NEEDED = ("click", "rich")
"""The packages of the extra ``cli``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments == ["--version"]:
        print(version_text())
        return 0
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"hostmod: the command line needs {' and '.join(missing)}, which the extra 'cli' brings; "
            "write: pip install 'hostmod[cli]'",
            file=sys.stderr,
        )
        return 1
    from hostmod.cli import app

    return app.run(arguments)


def version_text() -> str:
    """Say which versions serve, on what, and through which trampoline."""
    from importlib.metadata import version

    import hostmod

    lines = [
        f"hostmod {hostmod.__version__}",
        f"wasmtime {version('wasmtime')}",
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"trampoline {trampoline_text()}",
    ]
    return "\n".join(lines)


def trampoline_text() -> str:
    """Name the active trampoline, and say why it is not the one in C."""
    from hostmod import trampoline

    name = trampoline.active.NAME
    return f"{name} (not c: {trampoline.reason})" if trampoline.reason else name
