"""The systems that one suite runs on: the host's own in a fresh directory, memory, and the host's mounted in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from wasi_guest import Program

from hostmod.wasi import MemoryFS, Mounts, Wasi
from hostmod.wasi.fs.mounts import Tree


@pytest.fixture(params=["the host's files", "files in memory", "the host's files beside a mount"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Tree:
    """A writable, empty tree (in the last one, something is mounted at ``.mounted``)."""
    if request.param == "files in memory":
        return MemoryFS()
    root = tmp_path / "root"
    root.mkdir()
    if request.param == "the host's files":
        return root
    return Mounts({"/": root, "/.mounted": MemoryFS({"other": b"x"})})


@pytest.fixture
def program(tree: Tree) -> Iterator[Program]:
    """A guest with an empty, writable directory at descriptor 3."""
    with Program(Wasi(preopens={"/": tree})) as program:
        yield program
