"""Links host modules: defines their functions in linkers, and binds instances to calls."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import Token
from types import MappingProxyType, TracebackType
from typing import Any, Generic, Self, TypeVar, overload

import wasmtime

from hostmod import _wasmtime
from hostmod._backend import select as backend
from hostmod.checks import check
from hostmod.declaration import (
    Agreed,
    Declaration,
    F,
    Function,
    Functions,
    Linkages,
    Option,
    checked_errors,
    configure,
    with_out_pointers,
)
from hostmod.errors import DeclarationError, ErrnoTable, LinkError, UnboundError, show_value
from hostmod.exported import CallerExports
from hostmod.plan import caller_frame, check_host, checked_name, plan_of
from hostmod.types import references

references.exports_of = CallerExports  # a Caller is a guest type: those know nothing of calls

M = TypeVar("M", bound="HostModule")

MemorySpec = str | wasmtime.Memory
"""Which memory the functions of a module see: what the calling guest exports by that name, or one memory."""


class HostModule(Declaration):
    """A module of functions for guests, written as a class.

    ::

        class Greeter(HostModule, name="greeter"):
            @function
            def answer(self) -> Int32:
                return 42

    `name` is what guests import from; `errors` maps exception classes to errnos, for functions whose result is
    `Optional` or `Error`. State lives on the instance. A `close` method is optional; leaving ``with Greeter():`` calls
    it once.
    """

    _reserved = frozenset({"link", "compile", "check", "functions", "name", "errors", "close"})

    def link(
        self, linker: wasmtime.Linker, *, memory: MemorySpec = "memory", store: wasmtime.Store | None = None
    ) -> None:
        """Define every function of this instance in a linker, which keeps the instance alive.

        Args:
            linker: where guests will be instantiated from.
            memory: the export of the calling guest that pointers point into, or, for guests that import theirs, that
                `wasmtime.Memory`.
            store: the store of that `wasmtime.Memory`; needed with one only.

        Raises:
            LinkError: the linker has one of the names already; nothing after it was defined. Or linker, memory and
                store do not belong together; nothing was.
        """
        cls = type(self)
        _define(linker, cls.functions, memory, store, cls._linkages, self)

    @classmethod
    def compile(
        cls, linker: wasmtime.Linker, *, memory: MemorySpec = "memory", store: wasmtime.Store | None = None
    ) -> CompiledModule[Self]:
        """Define every function in a linker, with no instance: each call is served by the instance bound to it.

        Arguments and errors as in `link`.
        """
        _define(
            linker, cls.functions, memory, store, cls._linkages, serve=lambda each: _bound_to_call(cls, each)
        )
        return CompiledModule(cls, linker)

    @classmethod
    def check(cls, module: wasmtime.Module) -> None:
        """Compare what a guest imports from this module with what it offers.

        Raises:
            LinkError: with every missing and every mismatched import, and both signatures of each.
        """
        check(module, cls)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        close(self)


class FunctionModule:
    """A host module made of plain functions, by `hostmod.module`."""

    def __init__(self, name: str, errors: ErrnoTable | None = None) -> None:
        if not isinstance(name, str) or not name:
            raise DeclarationError(
                "hostmod.module", show_value(name, ""), "a module name", 'write hostmod.module("env")'
            )
        self.name = checked_name(name, "hostmod.module", "a module name")
        where = f"hostmod.module({name!r})"
        self._errors: ErrnoTable = MappingProxyType(dict(checked_errors(where, errors or {})))
        self._functions: dict[str, Function] = {}
        self._linkages = Linkages()
        self._agreed = Agreed()

    @property
    def functions(self) -> Functions:
        """Its functions by name; read-only."""
        return MappingProxyType(self._functions)

    @overload
    def function(self, function: F, /) -> F: ...
    @overload
    def function(self, name: str, /) -> Callable[[F], F]: ...
    def function(self, function: Any = None, /) -> Any:
        """Offer a function to guests, under its own name or another: ``@env.function``, ``@env.function("name")``."""
        if isinstance(function, str):
            return lambda plain: self._add(plain, function)
        if not hasattr(function, "__name__"):
            raise DeclarationError(
                f"@{self.name}.function",
                "no function" if function is None else show_value(function, ""),
                "a function",
                f'write @{self.name}.function or @{self.name}.function("name") above a def',
            )
        return self._add(function, function.__name__)

    def _add(self, function: F, name: str) -> F:
        if name in self._functions:
            raise DeclarationError(
                f"{self.name}.{name}",
                "a second function of that name",
                "one",
                f'write @{self.name}.function("...")',
            )
        plan = plan_of(function, self.name, name, method=False, errors=self._errors, frame=caller_frame(2))
        self._functions[name] = Function(check_host(plan), function, has_self=False)
        self._linkages.clear()
        self._agreed.clear()
        return function

    def with_functions(self, functions: Functions) -> FunctionModule:
        """Return a module of the same name and errors, with these functions: what `hostmod.decorate` makes."""
        made = FunctionModule(self.name, self._errors)
        made._functions = dict(functions)
        return made

    def link(
        self, linker: wasmtime.Linker, *, memory: MemorySpec = "memory", store: wasmtime.Store | None = None
    ) -> None:
        """Define every function in a linker. Arguments and errors as in `HostModule.link`."""
        _define(linker, self._functions, memory, store, self._linkages)

    def check(self, module: wasmtime.Module) -> None:
        """Compare what a guest imports from this module with what it offers. Errors as in `HostModule.check`."""
        check(module, self)

    def __repr__(self) -> str:
        return f"<host module {self.name!r} of {len(self._functions)} functions>"


def module(name: str, errors: ErrnoTable | None = None) -> FunctionModule:
    """Make a host module of plain functions.

    >>> from hostmod.types import Int32
    >>> env = module("env")
    >>> @env.function
    ... def add(a: Int32, b: Int32) -> Int32:
    ...     return a + b
    """
    return FunctionModule(name, errors)


Host = HostModule | type[HostModule] | FunctionModule
"""What functions can be offered from."""


def link_host(
    host: HostModule | FunctionModule,
    linker: wasmtime.Linker,
    memory: MemorySpec = "memory",
    store: wasmtime.Store | None = None,
    keep: list[object] | None = None,
) -> None:
    """Link a host module, whatever an instance keeps in an attribute `link`. Errors as in `HostModule.link`.

    What has to live as long as the linker and its stores is added to `keep`, unless the host's class has a `link` of
    its own, which may do more with the linker; without `keep`, wasmtime keeps it.
    """
    method = type(host).link
    if keep is None or method not in (HostModule.link, FunctionModule.link):
        method(host, linker, memory=memory, store=store)  # type: ignore[arg-type]  # the host is of its type
    elif isinstance(host, HostModule):
        cls = type(host)
        _define(linker, cls.functions, memory, store, cls._linkages, host, keep=keep)
    else:
        _define(linker, host._functions, memory, store, host._linkages, keep=keep)


def close(module: Declaration) -> None:
    """Call a module's `close`, if it has one and this is the first time.

    That of the class: `self.close` may be a price. Where the class has none, a callable of the instance's.
    """
    state = vars(module)
    if state.get("_hostmod_closed", False):
        return
    state["_hostmod_closed"] = True
    method = getattr(type(module), "close", None)
    if method is not None:
        method(module)
    elif callable(state.get("close")):
        state["close"]()


# ------------------------------------------------------------------------------------------------- one linker, defined


def _bound_to_call(cls: type[HostModule], each: Function) -> Callable[..., Any]:
    get, func = cls._bound.get, each.func

    def serve(*arguments: Any) -> Any:
        instance = get(None)
        if instance is None:
            raise UnboundError(cls.name, cls.__name__, _bound_instead(cls))
        return func(instance, *arguments)

    return serve


def _bound_instead(cls: type[HostModule]) -> str:
    """Name the class of an instance that is bound, though not to functions of `cls`: a class that it derives from, or
    that derives from it."""
    relatives: list[type[Any]] = [base for base in cls.__mro__[1:] if issubclass(base, HostModule)]
    derived = cls.__subclasses__()
    while derived:
        each = derived.pop()
        relatives.append(each)
        derived += each.__subclasses__()
    for each in relatives:
        bound = vars(each).get("_bound")
        if bound is not None and bound.get(None) is not None:
            return each.__name__
    return ""


class _Linkage:
    """Functions prepared for linkers of one engine: their thunks, and the arguments that wasmtime takes."""

    __slots__ = ("_types", "backend", "engine", "functions", "implementations", "rows")

    def __init__(
        self,
        engine: wasmtime.Engine,
        functions: Iterable[Function],
        thunk_of: Callable[[Function], backend.HostThunk],
    ) -> None:
        self.engine = weakref.ref(engine)
        self.backend = backend.active
        self.functions = tuple(functions)
        self.implementations = tuple(each.func for each in self.functions)
        # A function type belongs to the first engine that sees it: wasmtime aborts the process when it meets another.
        self._types = [
            _wasmtime.function_type(each.param_types, each.result_types) for each in self.functions
        ]
        self.rows = tuple(
            (thunk_of(each), each.plan.module.encode(), each.name.encode(), _wasmtime.type_address(type_))
            for each, type_ in zip(self.functions, self._types, strict=True)
        )


def _define(
    linker: wasmtime.Linker,
    functions: Functions,
    memory: MemorySpec,
    store: wasmtime.Store | None,
    cache: dict[str, _Linkage],
    receiver: HostModule | None = None,
    serve: Callable[[Function], Callable[..., Any]] | None = None,
    keep: list[object] | None = None,
) -> None:
    """Define functions in a linker, as methods of `receiver` if there is one, or each as what `serve` makes of it.

    `keep` as in `link_host`.
    """
    _wasmtime.verify()
    if not isinstance(linker, wasmtime.Linker):
        raise LinkError(
            f"link: {show_value(linker, '')}, expected a wasmtime.Linker; write wasmtime.Linker(engine)"
        )
    linkage = cache.get(memory) if type(memory) is str else None
    if linkage is None or linkage.engine() is not linker.engine or linkage.backend is not backend.active:
        linkage = _linkage_of(linker.engine, functions, memory, store, cache, linkage)
    served = linkage.implementations if serve is None else tuple(map(serve, linkage.functions))
    failed = backend.active.define_all(_wasmtime.linker_address(linker), linkage.rows, served, receiver, keep)
    if failed is not None:
        index, address = failed
        error = _wasmtime.wasmtime_error(address)
        raise LinkError(
            f"{linkage.functions[index].plan.where}: the linker did not take it ({error}), expected a name that is "
            "free; link each module once per linker, or set linker.allow_shadowing = True to replace what it has"
        ) from error


def _linkage_of(
    engine: wasmtime.Engine,
    functions: Functions,
    memory: MemorySpec,
    store: wasmtime.Store | None,
    cache: dict[str, _Linkage],
    known: _Linkage | None,
) -> _Linkage:
    """Prepare functions: once per engine, for memories found by name. What was `known` of another engine has thunks."""
    make = backend.active.HostThunk
    if isinstance(memory, str):
        name = str(memory)
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise LinkError(
                f"link: memory={name!a} ({error.reason}), expected a name that UTF-8 can encode"
            ) from None
        old: dict[Function, backend.HostThunk] = {}
        if known is not None and known.backend is backend.active:
            old = dict(zip(known.functions, (row[0] for row in known.rows), strict=True))
        found = cache[name] = _Linkage(
            engine, _offered(functions), lambda each: old.get(each) or make(each.plan, name)
        )
        return found
    if not isinstance(memory, wasmtime.Memory):
        advice = "; compile the guest without threads" if isinstance(memory, wasmtime.SharedMemory) else ""
        raise LinkError(
            f"link: memory={show_value(memory, '')}, expected an export's name or a wasmtime.Memory{advice}"
        )
    if store is None:
        raise LinkError(
            "link: memory= is a wasmtime.Memory, expected its store too; write link(linker, memory=memory, store=store)"
        )
    if store.engine is not engine:
        raise LinkError(
            "link: store= is of another engine than the linker; write wasmtime.Linker(store.engine)"
        )
    if not _wasmtime.owns(store, memory._memory):
        raise LinkError(
            "link: memory= is of another store than store=, expected the store that it was made in"
        )
    reference = weakref.ref(store)

    def context() -> int | None:
        # Weak: the store keeps this function, so holding the store here would keep both for ever.
        alive = reference()
        return None if alive is None else _wasmtime.context_of(alive)

    return _Linkage(engine, _offered(functions), lambda each: make(each.plan, "memory", (memory, context)))


def _offered(functions: Functions) -> Iterator[Function]:
    for each in functions.values():
        yield each
        out = with_out_pointers(each)
        if out is not None and out.name not in functions:
            yield out


# ------------------------------------------------------------------------------------------ one linker, many instances


class CompiledModule(Generic[M]):
    """A host module that is defined in a linker, and whose instances are bound to calls. Source: wazergo."""

    def __init__(self, host_module: type[M], linker: wasmtime.Linker) -> None:
        self.host_module = host_module
        self.linker = linker

    @property
    def name(self) -> str:
        """The module name that guests import from."""
        return self.host_module.name

    def instantiate(self, *arguments: Any, **keywords: Any) -> ModuleInstance[M]:
        """Make an instance: arguments go to the class, `Option` objects among them are applied to the result."""
        plain = [each for each in arguments if not isinstance(each, Option)]
        options = [each for each in arguments if isinstance(each, Option)]
        instance = self.host_module(*plain, **keywords)
        try:
            configure(instance, *options)
        except BaseException:
            close(instance)
            raise
        return ModuleInstance(self, instance)

    def __repr__(self) -> str:
        return f"<compiled module {self.name!r}>"


class ModuleInstance(Generic[M]):
    """An instance of a compiled module, to be bound to calls with `bind`; the end of ``with instance:`` closes it."""

    def __init__(self, compiled: CompiledModule[M], instance: M) -> None:
        self.compiled = compiled
        self.module = instance

    @property
    def name(self) -> str:
        """The module name that guests import from."""
        return self.compiled.name

    def exported_function(self, store: wasmtime.Store, name: str) -> Callable[..., Any]:
        """Return a function of this module as wasmtime knows it, for calls from Python with core values.

        Each call binds this instance. KeyError if the module has no function of that name, LinkError if the store is of
        another engine than the linker.
        """
        if name not in self.compiled.host_module.functions:
            known = ", ".join(sorted(self.compiled.host_module.functions))
            raise KeyError(f"{self.name} has no function {name!r}, it has {known}")
        if _wasmtime.engine_of(store) not in (self.compiled.linker.engine, None):
            raise LinkError(
                f"{self.name}.exported_function: a store of another engine than the linker's, expected one of the "
                "same; write wasmtime.Store(linker.engine)"
            )
        found = self.compiled.linker.get(store, self.name, name)
        assert isinstance(found, wasmtime.Func)

        def call(*arguments: Any) -> Any:
            with bind(self):
                return found(store, *arguments)

        return call

    def close(self) -> None:
        """Close the instance, once: its `close` method is called."""
        close(self.module)

    def __enter__(self) -> ModuleInstance[M]:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<module instance {self.name!r} of {self.module!r}>"


class bind:  # noqa: N801  # used as a function: with bind(instance):
    """Serve the calls of this block by these instances: ``with bind(a, b): run(store)``.

    The binding follows the context: threads start without it, asyncio tasks inherit it.
    """

    __slots__ = ("_instances", "_tokens")

    def __init__(self, *instances: ModuleInstance[Any] | HostModule) -> None:
        self._instances: list[HostModule] = []
        for each in instances:
            found = each.module if isinstance(each, ModuleInstance) else each
            if not isinstance(found, HostModule):
                raise LinkError(
                    f"bind: {show_value(each, '')}, expected a module instance; write bind(compiled.instantiate(...))"
                )
            self._instances.append(found)
        self._tokens: list[tuple[HostModule, Token[Any]]] = []

    def __enter__(self) -> Self:
        for each in self._instances:
            self._tokens.append((each, type(each)._bound.set(each)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        elsewhere = False
        for _ in self._instances:
            each, token = self._tokens.pop()
            try:
                type(each)._bound.reset(token)
            except ValueError:
                elsewhere = True
        if not elsewhere:
            return
        advice = (
            "bind: left in another context than it was entered in, where what it bound stays bound; expected the same, "
            "which a generator closed elsewhere is not in: write `with bind(...)` around each call of the guest"
        )
        if error is None or kind is GeneratorExit:
            raise LinkError(advice)
        error.add_note(advice)
