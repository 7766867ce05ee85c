"""The AssemblyScript compiler, for tests whose guests are written in it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from kept import folder

VERSION = "0.28.8"
"""Pinned, since the language is not finished."""


@cache
def compiler() -> list[str]:
    """Return the compiler's command, installed by npm into the cache; the test is skipped where that cannot be."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        pytest.skip("npm and node are not on the path, and install and run the AssemblyScript compiler")
    place = folder(f"assemblyscript-{VERSION}")
    script = place / "node_modules" / "assemblyscript" / "bin" / "asc.js"
    if not script.exists():
        # Aside, for other processes that run tests want it as well: the first to be done gives it its name.
        with tempfile.TemporaryDirectory(dir=place.parent) as aside:
            command = [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", aside]
            done = subprocess.run(
                [*command, f"assemblyscript@{VERSION}"], capture_output=True, encoding="utf-8", check=False
            )
            if done.returncode:
                pytest.skip(
                    f"npm could not install the AssemblyScript compiler: {done.stderr.strip()[-200:]}"
                )
            shutil.rmtree(place / "node_modules", ignore_errors=True)  # half of one, if anything
            try:
                Path(aside, "node_modules").rename(place / "node_modules")
            except OSError:
                assert script.exists()
    return [node, str(script)]
