"""Ending what a call lent: its views, its memory, its caller."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
import traceback
from typing import Any

from hostmod import _wasmtime
from hostmod._trampoline_py.frames import Frame
from hostmod._wasmtime.signals import uninterruptible_entry
from hostmod.errors import ViewEscapedError
from hostmod.types.reference import Caller

FREE_VIEW = 4
"""References to a view that only the host function that raised has: its frame, and three in between."""


def end_call(
    frame: Frame,
    where: str,
    error: BaseException | None,
    views: tuple[memoryview | None, ...],
    callers: tuple[Caller | None, ...],
) -> None:
    """End a call that raised (`error`), or one that something it lent has outlived. Can be called again if interrupted.

    Raises ViewEscapedError if a view cannot be ended and nothing else was raised.
    """
    for caller in callers:
        if caller is not None:
            caller._end()
    for view in views:
        # The frame in the traceback of what was raised has each of them. What else has one may have its address.
        if view is not None and sys.getrefcount(view) <= FREE_VIEW:
            with contextlib.suppress(BufferError):
                view.release()
    view = None  # a name of a call under way is a reference that nobody can account for
    if frame.whole is not None and frame.is_shown():
        frame.renew()  # a view that has ended does not count
        if frame.is_shown():
            frame.forget()
    escaped = False
    while frame.outlived:
        if _settle(frame.outlived[-1], frame.context, where, error):
            escaped = True
        frame.outlived.pop()
    if escaped and error is None:
        raise ViewEscapedError(where)


def end_again(interrupt: BaseException, frame: Frame, where: str, error: object, *lent: Any) -> None:
    """End a call once more, after a signal's exception has come in between: that is what is raised then."""
    traceback.clear_frames(interrupt.__traceback__)  # they refer to the views
    end_call(frame, where, interrupt, *lent)


def settle(whole: Any, context: int, where: str, error: BaseException | bool | None) -> None:
    """Deal with one view that outlived its call, for the C trampoline; ViewEscapedError as in `end_call`.

    `error` is True for a memory that has moved in the middle of the call.
    """
    try:
        held = _settle(whole, context, where, error)
    except BaseException as interrupt:
        traceback.clear_frames(interrupt.__traceback__)  # they refer to the views
        _settle(whole, context, where, interrupt)
        raise
    finally:
        del whole  # the traceback of what is raised here keeps what has a name
    if held and not isinstance(error, BaseException):
        raise ViewEscapedError(where)


def _settle(whole: Any, context: int, where: str, error: BaseException | bool | None) -> bool:
    """End the views of `whole`; if one cannot be ended, keep the store as it is, and return True.

    `error` is what the host function raised: the frames in its traceback keep their locals, and so their arrays.
    """
    if error is True:
        return _wasmtime.release_views(whole, moved=True)
    try:
        held = _still_shown(whole)
        if held and isinstance(error, BaseException):
            traceback.clear_frames(error.__traceback__)
            held = _still_shown(whole)
        if held:
            gc.collect()  # an array in a reference cycle is nobody's
            held = _still_shown(whole)
    except BaseException:
        _wasmtime.hold_store(context, whole, where)  # as long as nobody knows better
        raise
    if held:
        _wasmtime.hold_store(context, whole, where)
        if isinstance(error, BaseException):
            error.add_note(str(ViewEscapedError(where)))
    return held


def _still_shown(whole: Any) -> bool:
    # Whoever has the origin itself (numpy.ndarray takes memoryview.obj) has an address too.
    if isinstance(whole, ctypes.Array):
        return _wasmtime.release_views(whole) or sys.getrefcount(whole) > UNSHOWN
    return _wasmtime.release_views(whole) or whole.exports > 0 or sys.getrefcount(whole) > UNSHOWN + 2


UNSHOWN = 4
"""References to an array that nothing shows: `Frame.outlived`, the name in `_settle`, that here, and the argument.

The C trampoline's View has two more: its call's in the place of `Frame.outlived`, and those of `settle` and its
arguments.
"""


uninterruptible_entry(settle)  # type: ignore[arg-type]  # a function
