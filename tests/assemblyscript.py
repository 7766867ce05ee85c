"""The AssemblyScript compiler, for tests whose guests are written in it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

from hostmod.cache import default_folder

VERSION = "0.28.8"
"""Pinned, since the language is not finished."""


@cache
def compiler() -> list[str]:
    """Return the compiler's command, installed by npm into the cache; the test is skipped where that cannot be."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are not on the path, and install and run the AssemblyScript compiler")
    base = (default_folder() or Path(__file__).parent / "build") / "tests"
    folder = base / f"assemblyscript-{VERSION}"
    script = folder / "node_modules" / "assemblyscript" / "bin" / "asc.js"
    if not script.exists():
        base.mkdir(parents=True, exist_ok=True)
        # Aside, for other processes that run tests want it as well: the first to be done gives it its name.
        with tempfile.TemporaryDirectory(dir=base) as aside:
            command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", aside]
            done = subprocess.run(
                [*command, f"assemblyscript@{VERSION}"], capture_output=True, encoding="utf-8", check=False
            )
            if done.returncode:
                pytest.skip(
                    f"npm could not install the AssemblyScript compiler: {done.stderr.strip()[-200:]}"
                )
            shutil.rmtree(folder, ignore_errors=True)  # half of one, if anything
            try:
                Path(aside, "node_modules").rename(_made(folder) / "node_modules")
            except OSError:
                assert script.exists()
    return [node, str(script)]


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
