"""The calling guest's memory, for the time of one call."""

from __future__ import annotations

import ctypes
from typing import Any

from hostmod import _ffi
from hostmod._trampoline_py.frames import Frame
from hostmod._trampoline_py.locators import Locator
from hostmod.errors import StaleMemoryError, ViewEscapedError
from hostmod.memory import Memory


class CallMemory(Memory):
    """The calling guest's memory, for the time of one call: `_frame` is None after it."""

    __slots__ = ("_caller", "_frame", "_lent", "_locator", "_wholes")

    def __init__(self, frame: Frame, caller: int, locator: Locator) -> None:
        self._frame: Frame | None = frame
        self._caller = caller
        self._locator = locator
        self._lent = False
        self._wholes: list[Any] = []

    def _window(self) -> memoryview:
        frame = self._frame
        if frame is None:
            raise StaleMemoryError(
                "it was used after its call ended", "copy what you keep, or use Guest.memory"
            )
        whole = frame.whole
        self._locator.locate(frame, self._caller)
        if self._lent and whole is not None and whole is not frame.whole:
            # It grew while views of it are out: they stay if it stayed where it was, or had nothing to show.
            if not len(whole) or ctypes.addressof(whole) == ctypes.addressof(frame.whole):
                self._wholes.append(whole)
            elif _ffi.release_views(whole, moved=True):
                raise ViewEscapedError(self._locator.where)
        return frame.window

    def view(self, offset: int, length: int) -> memoryview:
        end = self.end(offset, length)
        frame = self._frame
        assert frame is not None  # end() has looked
        with memoryview(frame.whole).cast("B") as root:
            found = root[offset:end]
        if not self._lent:
            self._lent = True
            _ffi.lent[frame.address] = frame
        return found
