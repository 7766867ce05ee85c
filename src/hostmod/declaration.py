"""Declares host modules: `@function`, the functions of a class, and options."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import struct
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from types import FrameType, MappingProxyType
from typing import Any, ClassVar, Concatenate, Generic, ParamSpec, TypeVar, overload

from hostmod.errors import DeclarationError, ErrnoTable, StaleMemoryError, show_value
from hostmod.plan import (
    Plan,
    Slot,
    bad_value,
    caller_frame,
    check_host,
    checked_name,
    plain_tuple,
    plan_of,
)
from hostmod.types.base import CoreType
from hostmod.types.pointer import PointerType

F = TypeVar("F", bound=Callable[..., Any])
M = TypeVar("M")
P = ParamSpec("P")

_EXPORT = "__hostmod_function__"


class Function:
    """One function of a host module: its plan, and the Python callable that serves it.

    `func` takes the module's instance and then the arguments (the arguments alone, for a function of `module()`).
    """

    __slots__ = ("_cache", "func", "has_self", "plan")

    def __init__(self, plan: Plan, func: Callable[..., Any], has_self: bool = True) -> None:
        self.plan = plan
        self.func = func
        self.has_self = has_self
        self._cache: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The name that guests import it by."""
        return self.plan.name

    @property
    def params(self) -> tuple[Slot, ...]:
        """The parameters: each with its name and guest type."""
        return self.plan.params

    @property
    def results(self) -> tuple[Slot, ...]:
        """The results, without the errno of `Optional` and `Error`."""
        return self.plan.results

    @property
    def param_types(self) -> tuple[CoreType, ...]:
        """Core types of the parameters, in the order a guest passes them."""
        return self.plan.param_types

    @property
    def result_types(self) -> tuple[CoreType, ...]:
        """Core types of the results, the errno included."""
        return self.plan.result_types

    @property
    def doc(self) -> str:
        """The docstring of what serves it."""
        return inspect.getdoc(self.func) or ""

    def with_func(self, func: Callable[..., Any]) -> Function:
        """Return the same function, served by another callable."""
        return Function(self.plan, func, self.has_self)

    def with_plan(self, plan: Plan) -> Function:
        """Return a function of another plan, served by the same callable."""
        return Function(plan, self.func, self.has_self)

    def __reduce__(self) -> tuple[type[Function], tuple[Plan, Callable[..., Any], bool]]:
        return Function, (self.plan, self.func, self.has_self)

    def __repr__(self) -> str:
        return f"<function {self.plan.module}::{self.name}{self.plan.signature}>"


Functions = Mapping[str, Function]
"""Functions by the name that guests import them by; read-only."""

OUT = ".out"
"""What follows the name of a function in its form for guests whose language has one result at most."""


def with_out_pointers(function: Function) -> Function | None:
    """Return the form of a function with several core results that stores its values through pointers.

    ``find(key) -> Optional[Uint32]`` is ``(i32, i32) -> (i32, i32)`` in a guest. C, Rust, Go and AssemblyScript cannot
    import that, so it is also offered as ``find.out``, ``(i32, i32, i32) -> i32``: a pointer for each value follows the
    parameters, and the errno alone is returned. With an errno nothing is stored.

    None for a function of fewer results, and for one of a result that has no place in memory.
    """
    plan = function.plan
    if len(plan.result_types) < 2 or any(slot.type.size <= 0 for slot in plan.results):
        return None
    found: Function | None = function._cache.get(OUT)
    if found is None:
        found = function._cache[OUT] = _with_out_pointers(function)
    return found


def _with_out_pointers(function: Function) -> Function:
    plan, func, count = function.plan, function.func, len(function.plan.results)
    taken = {slot.name for slot in plan.params}
    start = len(plan.param_types)
    outs: list[Slot] = []
    for index, slot in enumerate(plan.results):
        name = "result" if count == 1 else f"result{index}"
        while name in taken:
            name += "_"
        outs.append(Slot(name, PointerType(slot.type), start + index))

    @functools.wraps(func)
    def stored(*arguments: Any) -> None:
        result = func(*arguments[:-count])
        values = plain_tuple(where, result, count) if plan.is_tuple else (result,)
        for slot, pointer, value in zip(plan.results, arguments[-count:], values, strict=True):
            try:
                pointer.store(value)
            except StaleMemoryError:
                raise
            except (TypeError, ValueError, OverflowError, struct.error) as error:
                raise bad_value(where, slot, value, error) from error

    out_plan = dataclasses.replace(
        plan, name=plan.name + OUT, params=(*plan.params, *outs), results=(), is_tuple=False
    )
    where = out_plan.where
    return Function(out_plan, stored, function.has_self)


def find_function(functions: Functions, name: str) -> Function | None:
    """Find what a module serves an import of this name with, or None."""
    found = functions.get(name)
    if found is None and name.endswith(OUT):
        whole = functions.get(name.removesuffix(OUT))
        return None if whole is None else with_out_pointers(whole)
    return found


@overload
def function(method: F, /) -> F: ...
@overload
def function(name: str, /) -> Callable[[F], F]: ...
def function(name: Any = None, /) -> Any:
    """Offer a method to guests, under its own name or another: ``@function`` or ``@function("name")``.

    The method stays an ordinary method. Its annotations are read when the class is created.

    Raises:
        DeclarationError: it stands above something else than a method.
    """
    if name is None:
        raise DeclarationError(
            "@function()", "no name", "one in the parentheses", 'write @function or @function("name")'
        )
    if isinstance(name, str):
        return lambda method: _mark(method, name)
    return _mark(name, None)


def _mark(method: F, name: str | None) -> F:
    if isinstance(method, staticmethod | classmethod):
        raise DeclarationError(
            f"@function {method.__func__.__name__}",
            f"a {type(method).__name__}",
            "a method",
            "write def with self, or use hostmod.module()",
        )
    if not callable(method) or not hasattr(method, "__name__"):
        raise DeclarationError(
            "@function",
            show_value(method, ""),
            "a method",
            'write @function or @function("name") above a def',
        )
    setattr(method, _EXPORT, method.__name__ if name is None else name)
    return method


class Bound:
    """Which instance of a class is bound to the present context: a context variable that pickles, unbound."""

    __slots__ = ("get", "name", "reset", "set")

    def __init__(self, name: str) -> None:
        variable: ContextVar[Any] = ContextVar(name)
        self.name = name
        self.get, self.set, self.reset = variable.get, variable.set, variable.reset

    def __reduce__(self) -> tuple[type[Bound], tuple[str]]:
        return Bound, (self.name,)


class Linkages(dict[str, Any]):
    """What functions were made ready for, by the name of the memory: pickles as an empty one."""

    def __reduce__(self) -> tuple[type[Linkages], tuple[()]]:
        return Linkages, ()


class Agreed(weakref.WeakSet[Any]):
    """Modules that were found to agree with what is offered: pickles as an empty one."""

    def __reduce__(self) -> tuple[type[Agreed], tuple[()]]:
        return Agreed, ()


class Declaration:
    """What a host module's class knows: its `name`, its `functions`, and the instance that is bound to a call.

    The base of `hostmod.HostModule`, which adds linking.
    """

    name: ClassVar[str] = ""
    """The module name that guests import from."""

    functions: ClassVar[Functions] = MappingProxyType({})
    """Its functions by name; read-only."""

    errors: ClassVar[ErrnoTable] = MappingProxyType({})
    """Exception classes that stand for an errno in this module, besides those that carry one."""

    _bound: ClassVar[Bound]
    _linkages: ClassVar[Linkages]
    _agreed: ClassVar[Agreed]
    """Modules whose imports from this one are known to be what it offers."""
    _reserved: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(
        cls,
        *,
        name: str | None = None,
        errors: ErrnoTable | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        for attribute, value in vars(cls).items():
            cls._check_free(attribute, value)  # before `name` and `errors` are set below
        if name is not None:
            if not isinstance(name, str) or not name:
                raise DeclarationError(
                    cls.__name__,
                    f"name={show_value(name, '')}",
                    "a module name",
                    f'write class {cls.__name__}(HostModule, name="kv")',
                )
            cls.name = checked_name(name, cls.__name__, "a module name")
        if errors is not None:
            cls.errors = MappingProxyType({**cls.errors, **checked_errors(cls.__name__, errors)})
        cls._linkages = Linkages()
        cls._agreed = Agreed()
        cls._bound = Bound(f"{cls.__name__} bound to this call")
        cls.functions = MappingProxyType(dict(cls._collect(caller_frame(_depth_of_class_statement()))))

    @classmethod
    def _collect(cls, frame: FrameType | None) -> Iterator[tuple[str, Function]]:
        # What stands in for a function may be anything: plan_of says what cannot.
        methods: dict[str, Any] = {}
        for base in reversed(cls.__mro__):
            for attribute, value in vars(base).items():
                if isinstance(value, staticmethod | classmethod) and hasattr(value.__func__, _EXPORT):
                    raise DeclarationError(
                        f"{cls.__name__}.{attribute}",
                        f"a {type(value).__name__}",
                        "a method",
                        "write def with self",
                    )
                inner = _wrapped(value)
                if inner is not None and hasattr(inner, _EXPORT):
                    raise DeclarationError(
                        f"{cls.__name__}.{attribute}",
                        f"a {type(value).__name__}",
                        "a method",
                        "a guest calls it as a function: write @function above a def of its own",
                    )
                if attribute in methods or hasattr(value, _EXPORT):
                    methods[attribute] = value
        taken: dict[str, str] = {}
        for attribute, method in methods.items():
            export = getattr(method, _EXPORT, None)
            if export is None:
                # Overridden without @function: the override serves, under the name that the base class gave it.
                export = next(
                    getattr(vars(base)[attribute], _EXPORT)
                    for base in cls.__mro__
                    if attribute in vars(base) and hasattr(vars(base)[attribute], _EXPORT)
                )
            cls._check_free(attribute, method)
            if not cls.name:
                raise DeclarationError(
                    cls.__name__,
                    "no module name",
                    "one",
                    f'write class {cls.__name__}(HostModule, name="kv")',
                )
            if export in taken:
                raise DeclarationError(
                    f"{cls.name}.{export}",
                    f"defined by {taken[export]} and by {attribute}",
                    "one method",
                    'name one of them with @function("...")',
                )
            taken[export] = attribute
            inherited = cls._inherited(attribute, export, method)
            if inherited is not None:
                # Its annotations were read where it was written, and a decorator's wrapping stays.
                plan = dataclasses.replace(inherited.plan, module=cls.name, errors=cls.errors)
                yield export, inherited.with_plan(plan)
                continue
            plan = check_host(plan_of(method, cls.name, export, method=True, errors=cls.errors, frame=frame))
            yield export, Function(plan, method)

    @classmethod
    def _check_free(cls, attribute: str, value: object) -> None:
        """Refuse a function of a name that `HostModule` itself uses."""
        export = getattr(value, _EXPORT, None)
        if export is not None and attribute in cls._reserved:
            raise DeclarationError(
                f"{cls.__name__}.{attribute}",
                "a function of a name that HostModule itself uses",
                "another method name",
                f'write @function("{export}") above def {attribute}_',
            )

    @classmethod
    def _inherited(cls, attribute: str, export: str, method: object) -> Function | None:
        """Find the function of a base class that serves with this very method."""
        for base in cls.__mro__[1:]:
            if issubclass(base, Declaration) and getattr(base, attribute, None) is method:
                found = base.functions.get(export)
                if found is not None:
                    return found
        return None


def _depth_of_class_statement() -> int:
    """How many frames above `__init_subclass__` the class statement is: subclasses may add frames of their own."""
    depth = 1
    while (frame := caller_frame(depth)) is not None and frame.f_code.co_name in (
        "__init_subclass__",
        "__new__",
        "<lambda>",
    ):
        depth += 1
    return depth - 1


def _wrapped(value: object) -> object:
    """Find the function inside what is no function: a property's, say."""
    if isinstance(value, property):
        return value.fget
    if isinstance(
        value, functools.cached_property | functools.partialmethod | functools.singledispatchmethod
    ):
        return value.func
    return None


def checked_errors(where: str, errors: ErrnoTable) -> ErrnoTable:
    """Return a table of exception classes and errnos; DeclarationError for the first row that cannot work."""
    if not isinstance(errors, Mapping):
        raise DeclarationError(
            f"{where} errors", show_value(errors), "a dict of exception classes", "write errors={KeyError: 2}"
        )
    for cls, number in errors.items():
        if not (isinstance(cls, type) and issubclass(cls, BaseException)):
            raise DeclarationError(
                f"{where} errors", show_value(cls, ""), "an exception class", "write errors={KeyError: 2}"
            )
        if callable(number):
            continue
        if not isinstance(number, int) or isinstance(number, bool) or not 0 < number < 2**31:
            raise DeclarationError(
                f"{where} errors[{cls.__name__}]",
                show_value(number, ""),
                "an errno from 1 to 2147483647, or a function that returns one",
            )
    return errors


class Option(Generic[M]):
    """Something that configures an instance of a host module. Source: wazergo's ``Option[T]``."""

    __slots__ = ("_apply", "_text")

    def __init__(self, apply: Callable[[M], None], text: str = "") -> None:
        self._apply = apply
        self._text = text or getattr(apply, "__name__", "option")

    def __call__(self, module: M) -> None:
        """Apply it."""
        self._apply(module)

    def __repr__(self) -> str:
        return f"<option {self._text}>"


def option(apply: Callable[Concatenate[M, P], None]) -> Callable[P, Option[M]]:
    """Make a function that configures an instance into one that makes such configurations.

    >>> class Server: port = 0
    >>> @option
    ... def port(server: Server, number: int) -> None:
    ...     server.port = number
    >>> configure(Server(), port(80)).port
    80
    """

    def make(*args: P.args, **kwargs: P.kwargs) -> Option[M]:
        shown = ", ".join([*map(repr, args), *(f"{key}={value!r}" for key, value in kwargs.items())])
        return Option(lambda module: apply(module, *args, **kwargs), f"{apply.__name__}({shown})")

    make.__name__ = apply.__name__
    make.__doc__ = apply.__doc__
    return make


def configure(module: M, *options: Option[M]) -> M:
    """Apply options to an instance, in order, and return it."""
    for each in options:
        each(module)
    return module
