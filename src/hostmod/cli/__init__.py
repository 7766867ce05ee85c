"""The command ``hostmod``: what of it works without its extra, and the way to the rest."""

from __future__ import annotations

import importlib
import importlib.util
import os
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
    import wasmtime

    import hostmod

    lines = [
        f"hostmod {hostmod.__version__}",
        f"wasmtime {wasmtime.__version__}",
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"trampoline {trampoline_text()}",
    ]
    return "\n".join(lines)


def trampoline_text() -> str:
    """Name the active trampoline, and say why it is not the one in C."""
    from hostmod import trampoline

    name = trampoline.active.NAME
    if name == "c":
        return "c"
    if os.environ.get("HOSTMOD_NO_EXTENSIONS"):
        return f"{name} (not c: HOSTMOD_NO_EXTENSIONS is set)"
    if importlib.util.find_spec("hostmod._trampoline_c") is None:
        return f"{name} (not c: the extension is not built for this Python)"
    try:
        importlib.import_module("hostmod._trampoline_c")
    except Exception as error:  # whatever it says is the reason
        return f"{name} (not c: {error})"
    return f"{name} (not c: {getattr(trampoline, 'reason', '') or 'it stepped aside'})"
