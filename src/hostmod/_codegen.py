"""Compiles generated source once per text, under a name that tracebacks and debuggers find its lines by."""

from __future__ import annotations

import contextlib
import linecache
from collections import deque
from itertools import count
from types import CodeType
from typing import Any

KEPT = 256
"""How many compiled sources are kept for the next function of the same text."""

LONGEST_KEPT = 16_384
"""Characters of the longest text that is kept: a guest decides how long some are."""

_numbers = count(1)

_kept: dict[tuple[str, str], _Compiled] = {}
"""What was compiled, the oldest first, by what it is and its text. Functions hold their own: nothing here is needed."""

_gone: deque[str] = deque()
"""Names of sources that no function is made of any more, and that are not kept."""


class _Compiled:
    """Compiled source. Its functions hold it, so that its end says when its lines can leave `linecache`.

    It takes nothing out of `linecache` itself: finalizers run at any time, so also while `linecache.checkcache`, which
    every traceback calls, goes through its entries and expects them to stay.
    """

    __slots__ = ("code", "filename")

    def __init__(self, filename: str, code: CodeType) -> None:
        self.filename = filename
        self.code = code

    def __del__(self, gone: deque[str] = _gone) -> None:
        gone.append(self.filename)


def compile_source(text: str, names: dict[str, Any], what: str) -> dict[str, Any]:
    """Run generated source with `names` as its globals, and return them.

    Compiling takes some hundred times as long as running: so a text says nothing that differs between functions of one
    form, such as their names, but refers to it by one of `names`. Its lines are in `linecache` for as long as any of
    its functions is alive or it is among the last `KEPT`, and until another source is compiled.

    Args:
        text: the source.
        names: the globals of its functions.
        what: what tracebacks call it; as much a part of what is kept as the text.
    """
    source = _kept.get((what, text))
    if source is None:
        source = _compiled(text, what)
    exec(source.code, names)
    names["__source__"] = source
    return names


def _compiled(text: str, what: str) -> _Compiled:
    with contextlib.suppress(IndexError):  # it is empty, or another thread was faster
        while True:
            linecache.cache.pop(_gone.popleft(), None)
    shown = what.replace("\0", "\\0")  # a guest may import any name; Python compiles no file of such a one
    filename = f"<hostmod {shown} {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(True), filename)
    source = _Compiled(filename, compile(text, filename, "exec"))
    if len(text) <= LONGEST_KEPT:
        _kept[what, text] = source  # two threads may compile the same text at once: either's serves
        for oldest in list(_kept)[: max(0, len(_kept) - KEPT)]:
            _kept.pop(oldest, None)
    return source
