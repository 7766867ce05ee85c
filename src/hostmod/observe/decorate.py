"""Wraps the functions of a host module: `decorate`, and which functions a decorator is for."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from types import MappingProxyType, new_class
from typing import Any, Protocol, Self, TypeVar, cast, overload

from hostmod.declaration import Declaration, Function, Functions
from hostmod.errors import DeclarationError, show_value

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
    and never what a backend does.

    Raises:
        DeclarationError: it is no such class or module, or a decorator did not return a Function.
    """
    if hasattr(host_module, "with_functions"):
        return host_module.with_functions(_decorated(host_module.name, host_module.functions, decorators))
    if not isinstance(host_module, type) or not issubclass(host_module, Declaration):
        raise DeclarationError(
            "decorate",
            show_value(host_module, ""),
            "a HostModule class",
            "write decorate(Greeter, log(logger))",
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
                    f"{show_value(decorator, '')} returned {show_value(wrapped, '')}",
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
