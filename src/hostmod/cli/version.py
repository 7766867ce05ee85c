"""The text of ``hostmod --version``."""

from __future__ import annotations

import platform
from importlib.metadata import version

import hostmod
from hostmod._backend import select as backend


def version_text() -> str:
    """Say which versions serve, on what, and through which backend."""
    lines = [
        f"hostmod {hostmod.__version__}",
        f"wasmtime {version('wasmtime')}",
        f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}",
        f"backend {backend_text()}",
    ]
    return "\n".join(lines)


def backend_text() -> str:
    """Name the active backend, and say why it is not the native one."""
    name = backend.active.NAME
    return f"{name} (not native: {backend.reason})" if backend.reason else name
