"""The store guard: the one way into a store, and closing it.

Every entry claims the store's `Guard` for its thread: calls of guests by either backend, and each of wasmtime-py's own
methods, since all of those ask the store for its context (`Store._context`), and what they get holds a claim for as
long as the call that it is an argument of.
"""

from __future__ import annotations

import contextlib
import ctypes
import dis
import sys
import types
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any, ClassVar, Protocol, Self

import wasmtime
from wasmtime import _ffi as ffi

from hostmod._wasmtime import engine as engines
from hostmod._wasmtime import externref, stack
from hostmod._wasmtime.stack import here
from hostmod.errors import StoreBusyError, ViewEscapedError


def uninterruptible_entry(function: types.FunctionType) -> None:
    """Make a callback's first instruction look for no signals.

    A signal that arrives while the guest runs is handled by the first Python code after it, which is the callback's
    entry; what its handler raises there (KeyboardInterrupt) is outside every try, and ctypes prints it and returns an
    arbitrary number to wasmtime. RESUME with an argument of 2 or more skips the look, and the next one is inside the
    try. Source: CPython, Python/bytecodes.c, RESUME.
    """
    code = function.__code__
    raw = bytearray(code.co_code)
    for at in range(0, len(raw), 2):
        if raw[at] == dis.opmap["RESUME"]:
            raw[at + 1] |= 2
            break
    function.__code__ = code.replace(co_code=bytes(raw))


class Shows(Protocol):
    """Something that shows a memory which can move."""

    again: ClassVar[bool]
    """Whether it can be taken up anew once it has ended, which Python code may do at any moment: then it is never taken
    out of what has to end."""

    def end(self) -> bool:
        """End it, and return whether nothing can reach the memory through it any more."""
        ...


_store_pointer: Any = ctypes.POINTER(ffi.wasmtime_store_t)

_untrack = ctypes.pythonapi.PyObject_GC_UnTrack
_untrack.argtypes = [ctypes.py_object]
_untrack.restype = None


class Orphan(int):
    """The address of a wasmtime_store_t that nobody else has any more: it goes with this.

    Python's collector is told to leave it alone, so that in a cycle that it collects this finalizer runs after all
    others, of which one may still read the store's memory. Source: CPython's C API, PyObject_GC_UnTrack.
    """

    __slots__ = ()

    def __new__(cls, address: int) -> Self:
        made = super().__new__(cls, address)
        _untrack(made)
        return made

    def __del__(
        self, delete: Callable[[Any], None] = ffi.wasmtime_store_delete, type_: Any = _store_pointer
    ) -> None:
        if not sys.is_finalizing():
            delete(ctypes.cast(int(self), type_))
            if externref.dropped:
                externref.drop()

    uninterruptible_entry(__del__)  # type: ignore[arg-type]  # a function


class Keeper:
    """Keeps the memory of a store. Whatever shows that memory to Python refers to it.

    A store that closes while something does leaves what is to be deleted here, for when the last of them goes.
    """

    store: Orphan | None = None
    """The wasmtime_store_t, once its store is closed."""


_NOBODY = (0,)


class Guard:
    """Which thread is inside a store, and how many calls deep.

    A thread is inside if a tuple of its number is the one item of `claim`: to put it there is one operation of a dict,
    which is atomic with the GIL and without. Only that thread then touches `depth`, and whoever put the tuple there
    takes it out again.
    """

    __slots__ = (
        "__weakref__",
        "claim",
        "context",
        "depth",
        "entries",
        "handed",
        "keeper",
        "moving",
        "record",
        "stack",
        "windows",
    )

    def __init__(self, context: int = 0, wasm_stack: int = engines.WASM_STACK) -> None:
        self.context = context
        """The address of the store's wasmtime_context_t; 0 once it is closed."""
        self.claim: dict[int, tuple[int]] = {}
        self.depth = 0
        self.handed: weakref.ref[Handed] | None = None
        """A context that was handed to the thread inside, and that it has not passed to wasmtime yet."""
        self.entries = 0
        """How often it was entered: what was found out about a memory holds until the next time."""
        self.keeper: Any = None
        self.moving: set[Shows] = set()
        """What shows memory that can move: it ends before the guest runs again."""
        self.windows: dict[bytes, Any] = {}
        """A `views.Window` for each memory that was looked at, by the bytes of its wasmtime_memory_t."""
        self.record: Any = None
        """The wasmtime_context_t, as ctypes has it."""
        self.stack = wasm_stack

    @property
    def owner(self) -> int:
        """The number of the thread that is inside, 0 for none."""
        return self.claim.get(0, _NOBODY)[0]

    @property
    def inside(self) -> bool:
        """Whether the calling thread is inside, and nothing has to end before its guest runs: no need to enter then."""
        return self.claim.get(0, _NOBODY)[0] == get_ident() and not self.moving and self.handed is None

    def release_unused_context(self) -> None:
        """Leave for a context that this thread was handed and never passed to wasmtime.

        A signal's exception can come between the two, and its traceback keep what was handed.
        """
        if self.handed is not None and self.depth == 1 and self.claim.get(0, _NOBODY)[0] == get_ident():
            handed, self.handed = self.handed(), None
            if handed is not None:
                handed.pointer = None


def enter(guard: Guard, where: str) -> tuple[int, bool]:
    """Claim a store for this thread, and see that its guest can run.

    To leave, take one off `guard.depth`, set `stack.here.used` back, and take the item out of `guard.claim` if it is
    this call's: without calling anything, so that no signal can come in between.

    Returns:
        What `stack.here.used` was, and whether the item in `guard.claim` is this call's.

    Raises:
        StoreBusyError: another thread is inside.
        RecursionError: the thread has too little stack left, or Python's recursion limit is near.
        ViewEscapedError: a view of memory that can move is in use, and cannot be ended.
    """
    _room_1()
    me = get_ident()
    used = here.used
    if used - here.low < (stack.NESTED if guard.depth else guard.stack + stack.MARGIN):
        if guard.owner not in (0, me):
            raise StoreBusyError(where)
        raise stack.refuse(
            where, used - here.low, stack.NESTED if guard.depth else guard.stack + stack.MARGIN
        )
    first = _claim(guard, me, where)
    guard.entries += 1
    here.used = used - 1  # no call's any more: see CallMemory
    if guard.moving and guard.context:  # of a closed store, its caller says that it is closed
        try:
            end_moving(guard.moving, where)
        except BaseException:
            here.used = used
            guard.depth -= 1
            if first:
                del guard.claim[0]
            raise
    return used, first


def _claim(guard: Guard, me: int, where: str) -> bool:
    """Claim a store; returns whether the item in `guard.claim` is this call's. StoreBusyError as in `enter`."""
    mine = (me,)
    try:
        found = guard.claim.setdefault(0, mine)
    except BaseException:  # a signal's, after the call
        if guard.claim.get(0) is mine:
            del guard.claim[0]
        raise
    if found[0] != me:
        raise StoreBusyError(where)
    guard.depth += 1
    return found is mine


def _room_1() -> None:
    """Raise RecursionError now, if the frames of a host function's callback would not fit any more.

    An exception before a ctypes callback has begun to run is printed and lost, and wasmtime reads an arbitrary number
    as its result.
    """
    _room_2()


def _room_2() -> None:
    pass


def end_moving(shows: set[Shows], where: str) -> None:
    """End what shows memory that can move. Raises ViewEscapedError for what is in use and cannot be ended."""
    for each in list(shows):
        if not each.end():
            raise ViewEscapedError(where)
        if not each.again:
            shows.discard(each)


class Claim:
    """A claim on a store, from when it is made until it goes. `Entered` makes one."""

    __slots__ = ("first", "guard", "used")

    first: bool
    guard: Guard | None
    used: int

    def __del__(self) -> None:
        try:
            guard = self.guard
        except AttributeError:  # a signal's exception came before it was set
            return
        if guard is not None:
            # Without a call: what a signal's handler raised here would be lost, and the store stay claimed.
            here.used = self.used
            guard.depth -= 1
            if self.first:
                del guard.claim[0]


uninterruptible_entry(Claim.__del__)  # type: ignore[arg-type]  # a function


def Entered(guard: Guard, where: str, runs: bool = True) -> Claim:  # noqa: N802  # a class in the backend in C
    """Enter a store; `runs` says that its guest may, so that what `enter` asks for has to be true.

    Raises as `enter`.
    """
    # In a list that is empty afterwards: a traceback can keep this frame, and with it what has a name here.
    made = [Claim()]
    made[0].guard = None
    made[0].used = here.used
    if runs:
        _, made[0].first = enter(guard, where)
    else:
        made[0].first = _claim(guard, get_ident(), where)
    made[0].guard = guard
    return made.pop()


class Handed:
    """Stands for a context among the arguments of a C function, and hands it over when ctypes asks for it.

    wasmtime-py's bindings are Python functions with the context as a parameter, and such a frame can outlive its call:
    an exception that passes by keeps it. So what holds the claim is not this, but what it hands over, which only ctypes
    has, and only until the call is over.
    """

    __slots__ = ("__weakref__", "_guard", "_where", "pointer")

    def __init__(self, guard: Guard, where: str, pointer: Any) -> None:
        self._guard = guard
        self._where = where
        self.pointer: Any = pointer
        """What holds the claim; None once it was passed on, or taken back."""

    def _as_parameter_(self) -> Any:
        pointer = self.pointer
        self.pointer = self._guard.handed = None
        return _claiming(self._guard, self._where) if pointer is None else pointer

    # A signal's exception in here would come out as ctypes.ArgumentError.
    uninterruptible_entry(_as_parameter_)  # type: ignore[arg-type]  # a function
    _as_parameter_ = property(_as_parameter_)  # type: ignore[assignment]  # as ctypes has it


class Context(ctypes.POINTER(ffi.wasmtime_context_t)):  # type: ignore[misc]  # a class that ctypes makes
    """A pointer to a store's context that is a claim on the store for as long as it is there."""

    __slots__ = ("entered",)
    _type_ = ffi.wasmtime_context_t


def hand(guard: Any, where: str) -> Any:
    """Enter a store for the time of one call into wasmtime, which what is returned is to be an argument of.

    Raises as `enter`.
    """
    # In a list that is empty afterwards: a traceback can keep this frame, and with it what has a name here.
    guard.release_unused_context()
    made = [Handed(guard, where, _claiming(guard, where))]
    guard.handed = weakref.ref(made[0])
    return made.pop()


def _claiming(guard: Guard, where: str) -> Context:
    made = [Context(guard.record)]
    made[0].entered = Entered(guard, where)
    if not guard.context:
        raise ValueError("already closed")  # by another thread, before the claim
    return made.pop()


class _Parts:
    """What the backend in C puts its own in the place of: types with the same attributes."""

    Guard: Any = Guard
    Entered: Any = staticmethod(Entered)
    hand: Any = staticmethod(hand)


parts = _Parts()

opened: dict[int, weakref.ref[wasmtime.Store]] = {}
"""The guarded stores that are open, by the addresses of their contexts: wasmtime gives a callback no more than that.
Law 5 asks for no registries: this one owns nothing, and closing a store takes it out."""


def guard_of(store: Any) -> Any:
    """Return the `Guard` of a store (or of a call's Caller), kept with the store, which is `opened` from then on."""
    state: dict[str, Any] = store.__dict__
    guard = state.get("_hostmod_guard")
    if guard is not None:
        return guard
    if not isinstance(store, wasmtime.Store):
        owner = store_of(context_of(store))
        return parts.Guard() if owner is None else guard_of(owner)
    pointer = state.get("_Store__context")
    if not pointer:
        return parts.Guard()  # of what is closed
    context = ctypes.addressof(pointer.contents)
    guard = parts.Guard(context, engines.wasm_stack(store.engine))
    guard.record = pointer.contents
    guard = state.setdefault("_hostmod_guard", guard)
    opened[context] = weakref.ref(store)
    return guard


def guard_at(context: int) -> Any:
    """Return the guard of the open store whose context has this address, or None for one that was never guarded."""
    reference = opened.get(context)
    store = None if reference is None else reference()
    return None if store is None else store.__dict__.get("_hostmod_guard")


_CONTEXTS = ("_Store__context", "_Caller__context", "_StoreContext__ptr")
"""Where wasmtime-py's kinds of stores keep their contexts; None once they are closed."""


def context_of(store: Any) -> int:
    """Return the address of a store's context, without entering it; ValueError if it is closed."""
    state = store.__dict__
    for name in _CONTEXTS:
        if name in state:
            pointer = state[name]
            if pointer:
                return ctypes.addressof(pointer.contents)
            break
    raise ValueError("already closed")


def store_of(context: int) -> wasmtime.Store | None:
    """Return the open store with a context of this address, or None for one that was never guarded."""
    reference = opened.get(context)
    return None if reference is None else reference()


def keeper_of(guard: Any) -> Any:
    """Return what keeps the memory of a guard's store for as long as anything refers to it."""
    keeper = guard.keeper
    if keeper is None:
        keeper = guard.keeper = Keeper()
    return keeper


def keep_of(store: wasmtime.Store) -> list[object]:
    """Return what a store keeps for its functions until it is closed, so that Python's collector sees that it does."""
    kept: list[object] = store.__dict__.setdefault("_hostmod_kept", [])
    return kept


def close(store: wasmtime.Store, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
    """Close a store to everyone at once. Its memory goes with the last view of it.

    Raises:
        StoreBusyError: its guest is running, or another thread is inside.
    """
    if is_finalizing():
        return  # the process ends, and modules may be gone already
    guard = store.__dict__.get("_hostmod_guard")
    if guard is None:
        original_close(store)  # nobody has been inside
        _let_go(store)
        return
    guard.release_unused_context()
    if guard.depth and guard.owner == get_ident():
        raise StoreBusyError(
            "Store.close", "its guest is running", "a store that is not in use", "close it after the call"
        )
    try:
        wasmtime.Store.ptr(store)
    except ValueError:
        return  # it is closed
    entered = parts.Entered(guard, "Store.close", False)
    store.__dict__["_Store__context"] = None
    context, guard.context = guard.context, 0
    opened.pop(context, None)
    windows = guard.windows
    while windows:
        with contextlib.suppress(
            KeyError, ValueError
        ):  # another thread's, or one that was released meanwhile
            windows.popitem()[1].end()
    keeper, guard.keeper = guard.keeper, None
    if keeper is None:
        original_close(store)
        del entered
        _let_go(store)
        return
    gone = weakref.ref(keeper)
    del keeper
    keeper = gone()
    if keeper is None:
        original_close(store)
    else:
        keeper.store = Orphan(ctypes.addressof(store._consume().contents))
    del keeper, entered
    _let_go(store)


def _let_go(store: wasmtime.Store) -> None:
    """Let go of what a closed store kept, and of what its guests referred to."""
    store.__dict__.pop("_hostmod_kept", None)
    store.__dict__.pop("_hostmod_called", None)
    if externref.dropped:
        externref.drop()


original_close = wasmtime.Store.close


def owns(store: Any, item: Any) -> bool:
    """Whether one of wasmtime's structures is of a store: given one of another's, wasmtime ends the process."""
    owner = store_of(context_of(store)) or store
    number = vars(owner).get("_hostmod_number")
    if number is None:
        # What is of a store has its number, and the store itself does not tell it.
        made = wasmtime.Global(store, wasmtime.GlobalType(wasmtime.ValType.i32(), False), wasmtime.Val.i32(0))
        number = vars(owner)["_hostmod_number"] = _number_in(made._global)
    return _number_in(item) == number


def _number_in(item: Any) -> int:
    return ctypes.c_uint64.from_buffer(item).value


def engine_of(store: Any) -> wasmtime.Engine | None:
    """Return the engine of a store, or of a Caller's store; None if that is not known."""
    owner = store if isinstance(store, wasmtime.Store) else store_of(context_of(store))
    return None if owner is None else owner.engine


def raw_caller(address: int) -> wasmtime.Caller:
    """Make wasmtime-py's Caller of a callback's caller; end it with `_invalidate`."""
    return wasmtime.Caller(ctypes.cast(address, ctypes.POINTER(ffi.wasmtime_caller_t)))
