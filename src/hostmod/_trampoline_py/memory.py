"""The calling guest's memory, for the time of one call."""

from __future__ import annotations

from hostmod import _ffi
from hostmod._trampoline_py.frames import Frame
from hostmod.errors import StaleMemoryError
from hostmod.memory import Memory

_export_get = _ffi.prepared_export_get
_data_size = _ffi.prepared_data_size
_lent = _ffi.lent


class CallMemory(Memory):
    """The calling guest's memory, for the time of one call; generated code makes it.

    `_frame` is the call's, and None after it; `_found` says that this call has looked the memory up. Which memory that
    is cannot change in the middle of a call. Its size can, and its address with the size.
    """

    __slots__ = ("_found", "_frame")

    _found: bool
    _frame: Frame | None

    def _window(self) -> memoryview:
        frame = self._frame
        if frame is None:
            raise StaleMemoryError(
                "it was used after its call ended", "copy what you keep, or use Guest.memory"
            )
        if self._found:
            if frame.size != _data_size(frame.context_argument, frame.memory_argument):
                frame.adopt(frame.key)
            return frame.window
        # What Locator.locate does, without the cost of its call.
        if not _export_get(
            frame.caller_argument, frame.name_argument, frame.length_argument, frame.item_argument
        ):
            raise frame.locator.missing()
        key = frame.item.tobytes()
        if key != frame.key or frame.size != _data_size(frame.context_argument, frame.memory_argument):
            frame.adopt(key)
        self._found = True
        return frame.window

    def view(self, offset: int, length: int) -> memoryview:
        end = self.end(offset, length)
        frame = self._frame
        assert frame is not None  # end() has looked
        _lent[frame.address] = frame
        return frame.window[offset:end]


class FixedCallMemory(CallMemory):
    """The same, where the memory was given when linking."""

    __slots__ = ()

    def _window(self) -> memoryview:
        if not self._found and self._frame is not None:
            self._frame.locator.locate(self._frame)
            self._found = True
        return super()._window()
