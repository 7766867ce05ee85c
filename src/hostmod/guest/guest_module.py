"""`GuestModule`: the exports of a guest as a class declares them, with guest types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import Any, ClassVar, ParamSpec, Protocol, Self, TypeVar, overload

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.checks import core_names, core_signature
from hostmod.errors import DeclarationError, ExportMismatch, LinkError, Mismatch, show_value
from hostmod.guest.allocator import Allocator, Recipe
from hostmod.guest.arguments import Arguments
from hostmod.guest.guest_memory import GuestMemory
from hostmod.guest.instance import Guest
from hostmod.guest.results import KINDS, Results, RoomType, shaped
from hostmod.plan import Plan, caller_frame, plan_of
from hostmod.types.directions import InOutType, OwnedType
from hostmod.types.references import Caller, CallerType

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")

_EXPORT = "__hostmod_export__"

SHOWN = 20
"""How many exports are looked at for a message: a guest decides how many there are."""


@overload
def export(method: Callable[P, memoryview], /) -> Callable[P, bytes]: ...
@overload
def export(method: F, /) -> F: ...
@overload
def export(name: str = ..., /, *, results: Results | None = None) -> _Export: ...
def export(name: Any = None, /, *, results: Results | None = None) -> Any:
    """Declare a method of a `GuestModule` that stands for an export; its body never runs.

    Args:
        name: what the guest exports, if that is not the method's name.
        results: how the export returns them, if not as the class says. See `Results`.
    """
    if results is not None and results not in KINDS:
        raise DeclarationError("@export", f"results={results!r}", f"one of {', '.join(map(repr, KINDS))}")
    if name is None or isinstance(name, str):
        return lambda method: _mark(method, name or method.__name__, results)
    return _mark(name, name.__name__, None)


class _Export(Protocol):
    """Declares a method: what ``@export("name")`` is to a type checker."""

    @overload
    def __call__(self, method: Callable[P, memoryview], /) -> Callable[P, bytes]: ...
    @overload
    def __call__(self, method: F, /) -> F: ...


def _mark(method: F, name: str, results: str | None) -> F:
    setattr(method, _EXPORT, (name, results))
    return method


class GuestModule:
    """The exports of a guest, declared with guest types: the mirror image of a host module.

    ::

        class Calculator(GuestModule):
            @export
            def add(self, a: Int32, b: Int32) -> Int32: ...

        calculator = Calculator(guest)

    Names and signatures are checked when it is made, all at once. Strings, bytes, lists and structs as arguments are
    copied into the guest for the call, with the guest's own allocator, and freed after it. A `Pointer` argument is
    written back; `InOut` and `Out` bring back other arguments. `Owned` results are read and then freed.

    Class options:
        memory: the export that pointers point into, if it is not the guest's own memory, or "memory".
        allocate, free: the exports that allocate and free, ``malloc`` and ``free`` unless said otherwise. They are
            called with the size (and the alignment, if they take two), and with the pointer (and the size, and the
            alignment); or as they are written: ``allocate="cabi_realloc(0, 0, align, size)"``,
            ``allocate="__pin(__new(size, 1))"``, ``free="dealloc(pointer, size)"``.
        results: how exports return their results: "multi", "packed", "packed-low" or "pointers", see `Results`.
    """

    exports: ClassVar[Mapping[str, Plan]] = MappingProxyType({})
    """The plans by method name."""

    _memory_name: ClassVar[str | None] = None
    _recipe: ClassVar[Recipe] = Recipe()
    _results: ClassVar[str] = "multi"

    def __init_subclass__(
        cls,
        *,
        memory: str | None = None,
        allocate: str | None = None,
        free: str | None = None,
        results: Results | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        cls._memory_name = memory or cls._memory_name
        cls._recipe = cls._recipe.changed(allocate, free, cls.__name__)
        if results is not None:
            if results not in KINDS:
                known = ", ".join(map(repr, KINDS))
                raise DeclarationError(cls.__name__, f"results={results!r}", f"one of {known}")
            cls._results = results
        found = dict(cls.exports)
        frame = caller_frame(1)
        for attribute, method in vars(cls).items():
            marked = getattr(method, _EXPORT, None)
            if marked is not None:
                name, own = marked
                plan = plan_of(method, cls.__name__, name, method=True, frame=frame)
                _check_declared(plan)
                found[attribute] = shaped(plan, own or cls._results)
        cls.exports = MappingProxyType(found)

    @overload
    def __init__(self, guest: Guest, /, *, hold_gil: bool = False) -> None: ...
    @overload
    def __init__(
        self, store: wasmtime.Store, instance: wasmtime.Instance, *, hold_gil: bool = False
    ) -> None: ...
    def __init__(self, store: Any, instance: Any = None, *, hold_gil: bool = False) -> None:
        """Check the guest, and make the methods call it.

        Args:
            store: a `Guest`; or the store of an instance.
            instance: with a store, the instance in it.
            hold_gil: keep other Python threads from running while the exports do.

        Raises:
            LinkError: the instance is of another store. Or with every export that is missing or has another signature,
                and both signatures of each.
        """
        _wasmtime.verify()
        cls = type(self)
        guest = store if isinstance(store, Guest) else None
        if guest is not None:
            store, instance = guest.store, guest.instance
        elif instance is None:
            raise LinkError(
                f"{cls.__name__}: {show_value(store, '')} and no instance, expected a guest; "
                f"write {cls.__name__}(guest), or {cls.__name__}(store, instance)"
            )
        if not _wasmtime.owns(store, instance._instance):
            raise LinkError(
                f"{cls.__name__}: an instance of another store, expected the store that it was made in; "
                f"write {cls.__name__}(guest), or {cls.__name__}(guest.store, guest.instance)"
            )
        look_up = partial(_wasmtime.export_of, store, instance)

        def memory() -> GuestMemory | None:
            if guest is None or cls._memory_name is not None:
                return _exported_memory(store, look_up(cls._memory_name or "memory"))
            try:
                return guest.memory
            except LinkError:
                return None

        self._bind(store, look_up, memory, partial(_known, store, instance), hold_gil)

    @classmethod
    def _of_caller(cls, caller: Caller) -> Self:
        """Return one of the guest that calls a host function; as in `Caller.guest`."""
        _wasmtime.verify()
        raw = caller.raw
        store = _wasmtime.store.store_of(_wasmtime.context_of(raw))
        if store is None:
            raise LinkError(
                f"{cls.__name__}: a caller in a store that was made before hostmod was imported, "
                "expected one made after; import hostmod first"
            )
        first = next(iter(cls.exports.values()), None)
        found = None if first is None else caller.get(first.name)
        memory = caller.get(cls._memory_name or "memory")
        key = (
            cls,
            bytes(found._func) if isinstance(found, wasmtime.Func) else b"",
            bytes(memory._memory) if isinstance(memory, wasmtime.Memory) else b"",
        )
        known: dict[Any, Any] = vars(store).setdefault("_hostmod_called", {})
        made = known.get(key)
        if made is None:
            made = cls.__new__(cls)
            made._bind(store, caller.get, lambda: _exported_memory(store, memory), lambda: "others", False)
            known[key] = made
        return made

    def _bind(
        self,
        store: Any,
        look_up: Callable[[str], Any],
        memory_of: Callable[[], GuestMemory | None],
        known: Callable[[], str],
        hold_gil: bool,
    ) -> None:
        """Compare what is declared with what `look_up` finds, and make the methods call it; LinkError."""
        cls = type(self)
        functions = {attribute: look_up(plan.name) for attribute, plan in cls.exports.items()}
        wrong = self._compare(store, functions, known)
        allocator = Allocator(cls._recipe, store, look_up, cls.__name__, wrong)
        if wrong:
            count = "1 export" if len(wrong) == 1 else f"{len(wrong)} exports"
            raise LinkError(f"the guest and {cls.__name__} disagree about {count}:", wrong)
        memory = memory_of()
        for attribute, plan in cls.exports.items():
            where = plan.where

            def new_memory(where: str = where) -> Arguments:
                return Arguments(memory, allocator, where)

            call = backend.active.GuestThunk(plan).caller(store, functions[attribute], new_memory, hold_gil)
            if plan.params and isinstance(plan.params[-1].type, RoomType):
                call = _with_room(call, plan)
            self.__dict__[attribute] = call

    @classmethod
    def _compare(cls, store: Any, functions: Mapping[str, Any], known: Callable[[], str]) -> list[Mismatch]:
        found: list[Mismatch] = []
        others = ""
        for attribute, plan in cls.exports.items():
            function = functions[attribute]
            if isinstance(function, wasmtime.Func):
                has = core_signature(function.type(store))
                if has != plan.signature:
                    advice = _advice(plan, function.type(store))
                    found.append(ExportMismatch(cls.__name__, attribute, plan.signature, has, advice))
            else:
                wanted = f"{plan.name}{plan.signature}"
                others = others or known()
                found.append(ExportMismatch(cls.__name__, attribute, wanted, None, f"it exports {others}"))
        return found


def _exported_memory(store: Any, found: object) -> GuestMemory | None:
    return GuestMemory(store, found) if isinstance(found, wasmtime.Memory) else None


def _check_declared(plan: Plan) -> None:
    """Refuse what only host functions have, and directions that make no sense; DeclarationError."""
    for slot in plan.params:
        at = f"{plan.where}({slot.name})"
        if isinstance(slot.type, CallerType):
            raise DeclarationError(at, "annotated Caller", "a value", "only host functions have a caller")
        if isinstance(slot.type, OwnedType):
            raise DeclarationError(
                at,
                f"annotated {slot.type}",
                "a value",
                "arguments are freed after the call; Owned is for results",
            )
    for slot in plan.results:
        if isinstance(slot.type, InOutType):
            raise DeclarationError(
                f"{plan.where} {slot.name}",
                f"annotated {slot.type}",
                "a value",
                "Out and InOut are for parameters",
            )


def _with_room(call: Callable[..., Any], plan: Plan) -> Callable[..., Any]:
    """Make a callable of the declared parameters: the pointers to results are passed by hostmod."""
    count = len(plan.params) - 1

    def export(*arguments: Any) -> Any:
        if len(arguments) != count:
            raise TypeError(f"{plan.where} takes {count} arguments, {len(arguments)} given")
        return call(*arguments, None)

    return export


def _advice(plan: Plan, type_: wasmtime.FuncType) -> str:
    """Say how a guest that returns in another way is declared; empty if that is not what differs."""
    params, results = core_names(type_.params), core_names(type_.results)
    wanted = plan.param_types
    errno = ("i32",) if plan.optional else ()
    returned = plan.result_types[: len(plan.result_types) - len(errno)]
    if not returned:
        return ""
    if params == wanted and results == ("i64", *errno) and returned == ("i32", "i32"):
        return 'it packs them in an i64: write @export(results="packed"), or "packed-low"'
    if results == errno and params == (*wanted, *("i32",) * len(returned)) and len(returned) > 1:
        return 'it returns through pointers: write @export(results="pointers")'
    if results == errno and params == ("i32", *wanted):
        return (
            "it returns a struct as C does, through a hidden pointer before the parameters: "
            "write result: Out[Pointer[...]] of a @struct as the first parameter, and -> None"
        )
    return ""


def _known(store: Any, instance: wasmtime.Instance) -> str:
    """List the functions among the first exports of an instance."""
    first = list(islice(_wasmtime.exports_in_order(store, instance), SHOWN + 1))
    more = ", ..." if len(first) > SHOWN else ""
    names = [name for name, each in first[:SHOWN] if isinstance(each, wasmtime.Func)]
    return (", ".join(names) or "no functions") + more
