"""Wrapping the functions of a host module: `decorate`, and `log`."""

from __future__ import annotations

import enum
import errno
import fnmatch
import functools
import logging
import time
from collections.abc import Callable, Iterable
from types import MappingProxyType, new_class
from typing import Any, Protocol, Self, TypeVar, cast, overload

from hostmod.errors import DeclarationError, as_errno, error_string, shown, visible
from hostmod.module import Declaration, Function, Functions
from hostmod.types.base import GuestType
from hostmod.types.scalar import Duration

M = TypeVar("M", bound=Declaration)

Decorator = Callable[[str, Function], Function]
"""Takes a module's name and one of its functions, and returns what is to serve in its place, or that function."""


class Rewrappable(Protocol):
    """What `decorate` takes besides classes: a module of functions, by `hostmod.module`."""

    name: str

    @property
    def functions(self) -> Functions:
        """Its functions by name."""
        ...

    def with_functions(self, functions: Functions, /) -> Self:
        """Return the same module with other functions."""
        ...


R = TypeVar("R", bound=Rewrappable)


@overload
def decorate(host_module: type[M], *decorators: Decorator) -> type[M]: ...
@overload
def decorate(host_module: R, *decorators: Decorator) -> R: ...
def decorate(host_module: Any, *decorators: Decorator) -> Any:
    """Make a host module whose functions are all wrapped; the given class (or module of functions) stays as it is.

    The first decorator is the innermost. Each wraps the Python callable that serves a function: it sees Python values,
    and never what trampolines do.

    Raises:
        DeclarationError: it is no such class or module, or a decorator did not return a Function.
    """
    if hasattr(host_module, "with_functions"):
        return host_module.with_functions(_decorated(host_module.name, host_module.functions, decorators))
    if not isinstance(host_module, type) or not issubclass(host_module, Declaration):
        raise DeclarationError(
            "decorate", shown(host_module, ""), "a HostModule class", "write decorate(Greeter, log(logger))"
        )

    def body(namespace: dict[str, Any]) -> None:
        namespace["__doc__"] = host_module.__doc__
        namespace["__module__"] = host_module.__module__

    # new_class is typed as giving any class; this one's base is host_module.
    decorated = cast("type[Declaration]", new_class(host_module.__name__, (host_module,), {}, body))
    decorated.__qualname__ = host_module.__qualname__
    decorated.functions = MappingProxyType(_decorated(host_module.name, host_module.functions, decorators))
    return decorated


def _decorated(name: str, functions: Functions, decorators: tuple[Decorator, ...]) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for key, wrapped in functions.items():
        for decorator in decorators:
            wrapped = decorator(name, wrapped)  # noqa: PLW2901  # each wraps what the one before it made
            if not isinstance(wrapped, Function):
                raise DeclarationError(
                    f"decorate({name})",
                    f"{shown(decorator, '')} returned {shown(wrapped, '')}",
                    "a Function",
                    "return function.with_func(...)",
                )
        found[key] = wrapped
    return found


Selection = str | Iterable[str] | Callable[[str, str], bool] | None
"""Which functions: names or patterns (``"get"``, ``"kv::get"``, ``"kv::*"``), a predicate of module and name; or all
of them."""


def selects(selection: Selection, module: str, name: str) -> bool:
    """Say whether a selection holds a function.

    >>> selects(["kv::*", "print"], "kv", "get"), selects("set", "kv", "get")
    (True, False)
    """
    if selection is None:
        return True
    if callable(selection):
        return bool(selection(module, name))
    patterns = (selection,) if isinstance(selection, str) else selection
    return any(
        fnmatch.fnmatchcase(f"{module}::{name}" if "::" in pattern else name, pattern) for pattern in patterns
    )


class Watched:
    """How a function's calls are shown: what `log`, `trace` and the others share.

    `limit` is how many characters one value may take (None: as many as it has).
    """

    __slots__ = ("errors", "function", "limit", "name", "optional", "skip", "slots")

    def __init__(self, module: str, function: Function, limit: int | None = None) -> None:
        self.function = function
        self.name = f"{module}::{function.name}"
        self.limit = limit
        self.skip = 1 if function.has_self else 0
        self.slots = tuple(enumerate(function.params, self.skip))
        self.optional = function.plan.optional
        self.errors = function.plan.errors

    def shown(self, arguments: tuple[Any, ...]) -> str:
        """Show a call's arguments, in order and separated by commas. `arguments` are all of the Python callable's."""
        return ", ".join(cut(show(slot.type, arguments[at]), self.limit) for at, slot in self.slots)

    def plain(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        """Return the arguments by name, as what JSON can hold: numbers and strings as they are, all else shown."""
        return {slot.name: plain(slot.type, arguments[at], self.limit) for at, slot in self.slots}

    def result(self, result: Any) -> str:
        """Show what the function returned."""
        return cut(show_result(self.function, result), self.limit)

    def plain_result(self, result: Any) -> Any:
        """Return what the function returned, as what JSON can hold; None for nothing."""
        slots = self.function.results
        if not slots:
            return None
        if self.function.plan.is_tuple and isinstance(result, tuple):
            return [plain(slot.type, value, self.limit) for slot, value in zip(slots, result, strict=False)]
        return plain(slots[0].type, result, self.limit)

    def errno(self, error: BaseException) -> int | None:
        """Return the errno that the guest gets for an exception, or None if it traps."""
        return as_errno(error, self.errors) if self.optional else None


def log(
    logger: logging.Logger | None = None,
    level: int = logging.INFO,
    *,
    functions: Selection = None,
    limit: int | None = None,
    elapsed: bool = False,
    failures: int | None = None,
) -> Decorator:
    """Make a decorator that logs each call, with its arguments and its result, as their guest types show them.

    ::

        greeter::greet("Ada", b"\\x00\\x00... (64 bytes)") → 10
        greeter::greet("Ada", b"\\x00") → ERROR: No buffer space available
        greeter::answer() PANIC! RuntimeError: boom

    Each call is one record. For loggers that write JSON or filter by field, it carries ``host_module``,
    ``host_function``, ``host_arguments`` (a dict by name), ``host_result``, ``host_errno`` (None, or the number),
    ``host_exception`` (None, or the class of what trapped the guest) and ``host_elapsed`` (seconds).

    Args:
        logger: where to; the logger named ``hostmod`` if not given.
        level: as in `logging`.
        functions: which functions: names or patterns (``"get"``, ``"kv::*"``), or a predicate of module and name.
        limit: characters that one value may take; longer ones are cut.
        elapsed: end each line with how long the call took.
        failures: the level of calls that gave an errno or trapped; `level` if not given.
    """
    target = logger if logger is not None else logging.getLogger("hostmod")
    failure = level if failures is None else failures

    def decorator(module: str, function: Function) -> Function:
        if not selects(functions, module, function.name):
            return function
        wrapped, watched, clock = function.func, Watched(module, function, limit), time.perf_counter_ns
        fields: dict[str, Any] = {
            "host_module": module,
            "host_function": function.name,
            "host_arguments": None,
            "host_result": None,
            "host_errno": None,
            "host_exception": None,
            "host_elapsed": None,
        }

        @functools.wraps(wrapped)
        def logged(*arguments: Any) -> Any:
            if not target.isEnabledFor(level) and not target.isEnabledFor(failure):
                return wrapped(*arguments)
            # Before the call, which may write to what they refer to.
            call, extra = (
                f"{watched.name}({watched.shown(arguments)})",
                {**fields, "host_arguments": watched.plain(arguments)},
            )
            start = clock()
            try:
                result = wrapped(*arguments)
            except BaseException as error:
                took = clock() - start
                number = extra["host_errno"] = watched.errno(error)
                if number is None:
                    extra["host_exception"] = type(error).__name__
                    outcome = f" PANIC! {type(error).__name__}: {message(error)}"
                else:
                    outcome = f" → ERROR: {error_string(number)}"
                emit(failure, call + outcome, took, extra)
                raise
            took = clock() - start
            extra["host_result"] = watched.plain_result(result)
            emit(level, f"{call} → {watched.result(result)}", took, extra)
            return result

        return function.with_func(logged)

    def emit(at: int, line: str, took: int, extra: dict[str, Any]) -> None:
        extra["host_elapsed"] = took / 1e9
        target.log(at, "%s", f"{line} ({Duration(took)})" if elapsed else line, extra=extra)

    return decorator


def show_result(function: Function, result: Any) -> str:
    """Show what a function returned."""
    slots = function.results
    if not slots:
        return "OK" if function.plan.optional else "none"
    if function.plan.is_tuple and isinstance(result, tuple):
        return f"({', '.join(show(slot.type, value) for slot, value in zip(slots, result, strict=False))})"
    return show(slots[0].type, result)


def show(type_: GuestType[Any], value: Any) -> str:
    """Show a value; watching a call never changes how it ends."""
    try:
        return visible(str(type_.show(value)))
    except Exception:  # whatever a __repr__ or a show of the author's raises
        return f"{type(value).__name__}?"


def errno_name(error: BaseException, number: int) -> str:
    """Name the errno that a guest gets for an exception: by the module's own enum if it has one, else by the host's."""
    own = getattr(error, "errno", None)
    for each in (number, own):
        if isinstance(each, enum.IntEnum) and each == number:
            return each.name
    return errno.errorcode.get(number, f"errno {number}")


def message(error: BaseException) -> str:
    """Say what an exception says, on one line; watching a call never changes how it ends."""
    try:
        return visible(str(error))
    except Exception:  # whatever a __str__ of the author's raises
        return "?"


def cut(text: str, limit: int | None) -> str:
    """Cut text that is longer than `limit` characters, and say how long it was."""
    if limit is None or len(text) <= limit:
        return text
    return f"{text[:limit]}... ({len(text)} characters)"


def plain(type_: GuestType[Any], value: Any, limit: int | None) -> Any:
    """Return a number, truth value or string as it is, and anything else as its guest type shows it."""
    if type(value) is str:
        return cut(value, limit)
    if value is None or type(value) in (bool, int, float):
        return value
    return cut(show(type_, value), limit)
