"""Source that is written at declaration: compiled under a name that tracebacks and debuggers find it by."""

from __future__ import annotations

import linecache
from itertools import count
from typing import Any

_numbers = count(1)


def compile_source(text: str, names: dict[str, Any], what: str) -> dict[str, Any]:
    """Run generated source with `names` as its globals, and return them.

    Its lines are in `linecache` for as long as its functions are alive.
    """
    shown = what.replace("\0", "\\0")  # a guest may import any name; Python compiles no file of such a one
    filename = f"<hostmod {shown} {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), names)
    names["__source__"] = _Lines(filename)
    return names


class _Lines:
    """Takes generated source out of `linecache` when the code that it belongs to is gone."""

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def __del__(self, cache: dict[str, Any] = linecache.cache) -> None:
        cache.pop(self.filename, None)
