"""Wrapping the functions of a host module: `decorate`, and `log`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from types import MappingProxyType
from typing import Any, TypeVar

from hostmod.errors import DeclarationError, HostmodError, as_errno, error_string
from hostmod.module import Declaration, Function

M = TypeVar("M", bound=Declaration)

Decorator = Callable[[str, Function], Function]
"""Takes a module's name and one of its functions, and returns what is to serve in its place (or the function itself)."""


def decorate(host_module: type[M], *decorators: Decorator) -> type[M]:
    """Make a host module whose functions are all wrapped; the given class stays as it is.

    The first decorator is the innermost. Each wraps the Python callable that serves a function: it sees Python values,
    and never what trampolines do.
    """
    if not isinstance(host_module, type) or not issubclass(host_module, Declaration):
        raise DeclarationError(
            "decorate", repr(host_module), "a HostModule class", "write decorate(Greeter, log(logger))"
        )

    functions: dict[str, Function] = {}
    for name, function in host_module.functions.items():
        for decorator in decorators:
            wrapped = decorator(host_module.name, function)
            if not isinstance(wrapped, Function):
                raise DeclarationError(
                    f"decorate({host_module.__name__})",
                    f"{decorator!r} returned {wrapped!r}",
                    "a Function",
                    "return function.with_func(...)",
                )
            function = wrapped
        functions[name] = function

    def body(namespace: dict[str, Any]) -> None:
        namespace["__doc__"] = host_module.__doc__
        namespace["__module__"] = host_module.__module__

    import types

    decorated = types.new_class(host_module.__name__, (host_module,), {}, body)
    decorated.__qualname__ = host_module.__qualname__
    decorated.functions = MappingProxyType(functions)
    return decorated


def log(logger: logging.Logger | None = None, level: int = logging.INFO) -> Decorator:
    """Make a decorator that logs each call, with its arguments and its result, as their guest types show them.

    ::

        greeter::greet("Ada", b"\\x00\\x00... (64 bytes)") → 10
        greeter::greet("Ada", b"\\x00") → ERROR: No buffer space available
        greeter::answer() PANIC! RuntimeError: boom

    Args:
        logger: where to; the logger named ``hostmod`` if not given.
        level: as in `logging`.
    """
    target = logger if logger is not None else logging.getLogger("hostmod")

    def decorator(module: str, function: Function) -> Function:
        wrapped, plan, name = function.func, function.plan, f"{module}::{function.name}"
        skip = 1 if function.has_self else 0

        @functools.wraps(wrapped)
        def logged(*arguments: Any) -> Any:
            if not target.isEnabledFor(level):
                return wrapped(*arguments)
            call = f"{name}({show_arguments(function, arguments[skip:])})"
            try:
                result = wrapped(*arguments)
            except BaseException as error:
                number = as_errno(error, plan.errors) if plan.optional else None
                if number is None:
                    target.log(level, "%s PANIC! %s: %s", call, type(error).__name__, error)
                else:
                    target.log(level, "%s → ERROR: %s", call, error_string(number))
                raise
            target.log(level, "%s → %s", call, show_result(function, result))
            return result

        return function.with_func(logged)

    return decorator


def show_arguments(function: Function, arguments: tuple[Any, ...]) -> str:
    """Show a call's arguments, in order and separated by commas."""
    return ", ".join(
        _shown(slot.type, value) for slot, value in zip(function.params, arguments, strict=False)
    )


def show_result(function: Function, result: Any) -> str:
    """Show what a function returned."""
    slots = function.results
    if not slots:
        return "OK" if function.plan.optional else "none"
    if function.plan.is_tuple and isinstance(result, tuple):
        return f"({', '.join(_shown(slot.type, value) for slot, value in zip(slots, result, strict=False))})"
    return _shown(slots[0].type, result)


def _shown(type_: Any, value: Any) -> str:
    """Show a value; logging a call never changes how it ends."""
    try:
        return str(type_.show(value))
    except (HostmodError, TypeError, ValueError, AttributeError):
        return f"{type(value).__name__}?"
