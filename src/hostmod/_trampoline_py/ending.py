"""Ending what a call handed out: its views, and its callers."""

from __future__ import annotations

import contextlib

from hostmod._wasmtime.views import Views
from hostmod.errors import ViewEscapedError
from hostmod.types.reference import Caller


def end_call(views: Views | None, callers: tuple[Caller | None, ...], where: str, raised: bool) -> None:
    """End what a call handed out. Can be called again if a signal's exception came in between.

    Raises ViewEscapedError if something can still reach the memory and nothing else was `raised`.
    """
    for caller in callers:
        if caller is not None:
            caller._end()
    if views is not None and not views.end() and not raised:
        raise ViewEscapedError(where)


def end_raised(views: Views | None, callers: tuple[Caller | None, ...], where: str) -> None:
    """End what a call handed out that raised: its own exception is what its caller gets."""
    try:
        end_call(views, callers, where, True)
    except BaseException:  # a signal's: that is what the caller gets then
        end_call(views, callers, where, True)
        raise


def end_plain(handed: tuple[memoryview | None, ...], root: memoryview | None, views: Views | None) -> None:
    """End what a call of plain views handed out that raised, as `end_raised` does.

    Args:
        handed: the views, as far as they were made.
        root: what they are slices of.
        views: the same, for a memory that can move.
    """
    try:
        _end_plain(handed, root, views)
    except BaseException:
        _end_plain(handed, root, views)
        raise


def _end_plain(handed: tuple[memoryview | None, ...], root: memoryview | None, views: Views | None) -> None:
    for view in (*handed, root):
        if view is not None:
            with contextlib.suppress(BufferError):
                view.release()
    if views is not None:
        views.end()
