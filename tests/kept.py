"""Where tests keep what they fetch and compile, from one run to the next."""

from __future__ import annotations

from pathlib import Path

from hostmod.tools.cache import default_folder


def folder(name: str) -> Path:
    """Return a folder of that name, beside what hostmod itself keeps."""
    base = default_folder() or Path(__file__).parent / "build"
    found = base / "tests" / name
    found.mkdir(parents=True, exist_ok=True)
    return found
