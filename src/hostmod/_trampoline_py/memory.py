"""The calling guest's memory, for the time of one call."""

from __future__ import annotations

from threading import get_ident
from typing import Any, NoReturn

from hostmod import _wasmtime
from hostmod._trampoline_py.frames import Frame
from hostmod._wasmtime.stack import here
from hostmod._wasmtime.views import Views, Window, nested
from hostmod.errors import StaleMemoryError, StoreBusyError
from hostmod.memory import Memory

_export_get = _wasmtime.prepared_export_get
_data_size = _wasmtime.prepared_data_size


def not_copied(memory: Memory, protocol: object) -> NoReturn:
    """Refuse to copy or pickle the memory of a call: a copy would not end with it."""
    raise StaleMemoryError("a copy of it would outlive its call", "copy what you keep, or use Guest.memory")


class CallMemory(Memory):
    """The calling guest's memory, for the time of one call; generated code makes it.

    `_frame` is the call's, and None after it; `_found` says that this call has looked the memory up. Which memory that
    is cannot change in the middle of a call. Its size can, and its address with the size. `_owner` is the call's
    thread: in any other, the call may end between two lines of what follows. `_views` is what the call has handed out.
    """

    __slots__ = ("_found", "_frame", "_owner", "_views")

    _found: bool
    _frame: Frame | None
    _owner: int
    _views: Views | None

    __reduce_ex__ = not_copied

    def _of_call(self) -> Frame:
        """Return the frame of the call; StaleMemoryError after it, StoreBusyError in another thread."""
        frame = self._frame
        if frame is None:
            raise StaleMemoryError(
                "it was used after its call ended", "copy what you keep, or use Guest.memory"
            )
        if self._owner != get_ident():
            raise StoreBusyError(
                "guest memory",
                "it was used in a thread that its call is not in",
                "the thread that the guest called on",
                "read there what another thread needs",
            )
        return frame

    def _through(self) -> Window:
        """Return the window on the memory at its present size."""
        # As _of_call says, without the cost of its call.
        frame = self._frame
        if frame is None or self._owner != get_ident():
            frame = self._of_call()
        if self._found:
            window = frame.window
            if window.size != _data_size(frame.context_argument, frame.memory_argument):
                window = frame.adopt(frame.key)
            return window
        # What Locator.locate does, without the cost of its call.
        if not _export_get(
            frame.caller_argument, frame.name_argument, frame.length_argument, frame.item_argument
        ):
            raise frame.locator.missing()
        key = frame.item.tobytes()
        window = frame.window
        if key != frame.key or window.size != _data_size(frame.context_argument, frame.memory_argument):
            window = frame.adopt(key)
        self._found = True
        return window

    def _window(self) -> memoryview:
        return self._through().view

    def view(self, offset: int, length: int) -> memoryview:
        return self._elements(offset, length, "B")

    def _elements(self, offset: int, length: int, format: str, /) -> memoryview:
        end = self.end(offset, length)
        views = self._views
        if views is None or views.ended:
            window = self._through()
            if window.moves and self._frame is not None and here.used != self._frame.address:
                raise nested()
            views = self._views = Views(window, views)
        return views.view(end - length, end, format)


class FixedCallMemory(CallMemory):
    """The same, where the memory was given when linking."""

    __slots__ = ()

    def _through(self) -> Window:
        if not self._found:
            frame = self._of_call()
            frame.locator.locate(frame)
            self._found = True
        return super()._through()


def raw_caller(memory: CallMemory) -> Any:
    """Make wasmtime-py's Caller of the call that a memory is of; errors as in `CallMemory._of_call`."""
    return _wasmtime.raw_caller(memory._of_call().caller)
