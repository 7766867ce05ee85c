"""`log`: a record of the standard library's `logging` for each call of a host function."""

from __future__ import annotations

import functools
import logging
import time
from typing import Any

from hostmod.declaration import Function
from hostmod.errors import error_string
from hostmod.observe.calls import Watched, message
from hostmod.observe.decorate import Decorator, Selection, selects
from hostmod.types.scalar import Duration


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
                f"{watched.name}({watched.show_arguments(arguments)})",
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
