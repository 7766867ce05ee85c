"""Source that is written at declaration: compiled under a name that tracebacks and debuggers find it by."""

from __future__ import annotations

import linecache
from collections import deque
from itertools import count
from typing import Any

_numbers = count(1)

_gone: deque[str] = deque()
"""Names of sources whose code is gone."""


def compile_source(text: str, names: dict[str, Any], what: str) -> dict[str, Any]:
    """Run generated source with `names` as its globals, and return them.

    Its lines are in `linecache` for as long as its functions are alive, and until the next source is compiled.
    """
    try:
        while True:
            linecache.cache.pop(_gone.popleft(), None)
    except IndexError:  # empty: looking first whether it is would be a race between threads
        pass
    shown = what.replace("\0", "\\0")  # a guest may import any name; Python compiles no file of such a one
    filename = f"<hostmod {shown} {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    exec(compile(text, filename, "exec"), names)
    names["__source__"] = _Lines(filename)
    return names


class _Lines:
    """Says when the code that generated source belongs to is gone.

    It takes nothing out of `linecache` itself: finalizers run at any time, so also while `linecache.checkcache`, which
    every traceback calls, goes through its entries and expects them to stay.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def __del__(self, gone: deque[str] = _gone) -> None:
        gone.append(self.filename)
