"""Views of guest memory: making them, and ending them when their call is over.

Each is a memoryview of an exporter, a ctypes array at the memory's address that refers to the store's `Keeper`:
whatever still shows the memory keeps it mapped, however it came to be kept. A view ends when its call does: it is
released, our references are dropped, and if the exporter is still there then, something else can reach the memory (a
slice, a numpy array, ``view.obj``), and the view has escaped. Nothing is counted, and nothing is searched.
"""

from __future__ import annotations

import contextlib
import ctypes
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import wasmtime
from wasmtime import _ffi as ffi

from hostmod._wasmtime import capi, store
from hostmod._wasmtime import engine as engines
from hostmod.errors import StoreBusyError


def array_type(size: int) -> Any:
    """Make a ctypes array type of `size` bytes, whose instances refer to a `keeper`.

    Not ``c_ubyte * size``: ctypes keeps those for ever, one for each size a guest chose.
    """
    return type(
        "GuestMemory",
        (ctypes.Array,),
        {"__slots__": ("__weakref__", "keeper"), "_type_": ctypes.c_ubyte, "_length_": size},
    )


def array_at(address: int, size: int) -> Any:
    """Make a ctypes array over `size` bytes at `address`, which are nobody's to keep: a call's slots."""
    return array_type(size).from_address(address)


def _nothing_alive() -> None:
    return None


_nothing = ctypes.create_string_buffer(1)
_NOWHERE = ctypes.addressof(_nothing)
"""The address of a memory of no bytes."""


ROUNDS = 100
"""How often something is tried again because the guest has run meanwhile, and its memory may have moved."""


class Window:
    """A memory of a store at its present size, as hostmod itself reads and writes it.

    `view` is released when the store closes; for a memory that can move, also before its guest runs.
    """

    __slots__ = ("__weakref__", "base", "exporter", "guard", "keeper", "key", "moves", "size", "view")

    again: ClassVar[bool] = True
    base: int
    exporter: Any
    keeper: Any
    view: memoryview

    def __init__(self, guard: Any, key: bytes, moves: bool) -> None:
        self.guard = guard
        self.key = key
        self.moves = moves
        self.size = -1

    def look(self, base: int, size: int) -> None:
        """Take up the memory's present address and size. Who still uses the view of before can go on to its end."""
        if not size:
            base = _NOWHERE
        exporter, keeper = array_type(size), store.keeper_of(self.guard)
        array = exporter.from_address(base)
        array.keeper = keeper
        view = memoryview(array).cast("B")
        # Without a call in between, so that no signal's handler sees a half of it.
        self.base, self.exporter, self.keeper, self.view, self.size = base, exporter, keeper, view, size

    def export(self) -> Any:
        """Make an exporter of the whole memory. Whether the window has ended meanwhile is for the caller to see."""
        keeper = self.keeper
        if keeper is None:
            raise ValueError("already closed")  # or ended, by another thread
        array = self.exporter.from_address(self.base)
        array.keeper = keeper
        return array

    def shows(self, array: Any) -> bool:
        """Whether an exporter is where the memory is now.

        The window does not say: the guest may have run meanwhile, looked at the memory anew in a host function, and
        grown it after that.
        """
        context = self.guard.context
        address = ctypes.create_string_buffer(self.key, len(self.key))
        base = (capi.memory_data(context, address) or 0) if context else None
        return self.size >= 0 and ctypes.addressof(array) in (base, _NOWHERE)

    def end(self) -> bool:
        """Release it; False if something uses it at this very moment."""
        if self.size < 0:
            return True
        view = self.view  # without a call before it has ended: what runs in between can take it up anew
        self.size = -1
        self.keeper = None
        alive = weakref.ref(view.obj)
        with contextlib.suppress(BufferError):
            view.release()
        return alive() is None


def window_on(guard: Any, key: bytes) -> Window:
    """Return the window on a memory, made anew if it has another size than when it was looked at last.

    Args:
        guard: of the memory's store, which the calling thread is inside.
        key: the bytes of the memory's wasmtime_memory_t.
    """
    address = ctypes.create_string_buffer(key, len(key))
    context = guard.context
    known: Window | None = guard.windows.get(key)
    if known is None:
        known = guard.windows[key] = Window(guard, key, _moves(context, address))
    for _ in range(ROUNDS):
        size = int(capi.memory_data_size(context, address))
        if known.size == size:
            return known
        base = capi.memory_data(context, address) or 0
        known.look(base, size)
        if not known.moves:
            return known
        guard.moving.add(known)
        # From here on it ends when the memory can move. Before that, Python code may have run and moved it.
        if (capi.memory_data(context, address) or 0) != base:
            known.end()
    raise nested()


def _moves(context: int, address: Any) -> bool:
    owner = store.store_of(context)
    if owner is None:
        return True  # nothing is known of it
    type_ = capi.memory_type(context, address)
    found = wasmtime.MemoryType._from_ptr(ctypes.cast(type_, ctypes.POINTER(ffi.wasm_memorytype_t)), None)
    return engines.can_move(owner.engine, found)


def moves(context: int, key: bytes) -> bool:
    """Whether a memory of a store can move; `key` holds the bytes of its wasmtime_memory_t."""
    guard = store.guard_at(context)
    if guard is None:
        return True
    known: Window | None = guard.windows.get(key)
    return known.moves if known is not None else _moves(context, ctypes.create_string_buffer(key, len(key)))


def nested() -> StoreBusyError:
    """Return the error for a view of memory that can move, asked of a call whose guest runs again meanwhile."""
    return StoreBusyError(
        "guest memory",
        "a view of memory that can move, of a call whose guest runs again meanwhile",
        "one of the last call",
        "ask for it in the host function that runs now, or copy with read",
    )


class Views:
    """The views of a memory that one call has handed out, until its guest runs again."""

    __slots__ = ("__weakref__", "_alive", "_guard", "_handed", "root")

    again: ClassVar[bool] = False

    def __init__(self, window: Window) -> None:
        self._handed: list[weakref.ref[memoryview]] = []
        self._guard = window.guard
        self._alive: Callable[[], Any] = _nothing_alive
        self.root: memoryview | None = None
        for _ in range(ROUNDS):
            if window.size < 0:
                # The guest has run, in a signal's handler for one, before these were among what has to end first.
                window = window_on(self._guard, window.key)
            with contextlib.suppress(ValueError):  # it ended just now
                if self._look(window):
                    return
            self.end()
        raise nested()

    def _look(self, window: Window) -> bool:
        """Make what views are slices of; False if the memory has moved before it was among what has to end first."""
        array = window.export()
        self._alive = weakref.ref(array)
        self.root = memoryview(array).cast("B")
        if not window.moves:
            return True
        self._guard.moving.add(self)
        return window.shows(array)

    def view(self, start: int, stop: int, format: str = "B") -> memoryview | None:
        """Hand out a view; the range was checked. None if the views have ended."""
        root = self.root
        if root is None:
            return None
        try:
            view = root[start:stop]
        except ValueError:  # they have ended just now
            return None
        if format != "B":
            view = view.cast(format)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]  # a format of memoryview's
        self.add(view)
        return view

    def add(self, view: memoryview) -> None:
        """Note a view that was made of `root`."""
        handed = self._handed
        if len(handed) > 16 and len(handed) & (len(handed) - 1) == 0:
            # As many as a power of two: those that nobody holds any more go.
            handed[:] = [each for each in handed if each() is not None]
        handed.append(weakref.ref(view))

    def end(self) -> bool:
        """Release what was handed out; False if something can still reach the memory."""
        for each in self._handed:
            view = each()
            if view is not None:
                try:  # noqa: SIM105  # a context manager takes as long as all the rest
                    view.release()
                except BufferError:
                    pass
        view = None
        root, self.root = self.root, None
        if root is not None:
            root.release()  # handed to nobody, so nothing has it but its slices
        del root
        if self._alive() is not None:
            return False
        self._guard.moving.discard(self)
        return True


class Kept:
    """An exporter of a memory that can move, which something has kept past its call: the guest cannot run."""

    __slots__ = ("__weakref__", "_alive")

    again: ClassVar[bool] = False

    def __init__(self, alive: Callable[[], Any]) -> None:
        self._alive = alive

    def end(self) -> bool:
        """Return whether it is gone."""
        return self._alive() is None


class Outside:
    """A view of a memory that can move, handed out outside of calls: it ends before the guest runs."""

    __slots__ = ("__weakref__", "_alive", "_view")

    again: ClassVar[bool] = False

    def __init__(self, alive: Callable[[], Any], view: memoryview) -> None:
        self._alive = alive
        self._view = weakref.ref(view)

    def end(self) -> bool:
        """Release it; False if something can still reach the memory."""
        view = self._view()
        if view is not None:
            with contextlib.suppress(BufferError):
                view.release()
        del view
        return self._alive() is None


def show(window: Window, start: int, stop: int) -> memoryview | None:
    """Hand out a view outside of calls, which keeps the memory for as long as it lives; the range was checked.

    Returns None if the window has ended, or the memory has moved before the view was among what has to end first.
    """
    try:
        array = window.export()
    except ValueError:
        return None
    alive = weakref.ref(array)
    with memoryview(array) as root, root.cast("B") as flat:
        view = flat[start:stop]
    if window.moves:
        window.guard.moving.add(Outside(alive, view))
        if not window.shows(array):
            view.release()
            return None
    return view
