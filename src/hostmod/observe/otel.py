"""`otel`: an OpenTelemetry span for each call of a host function."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from hostmod.declaration import Function
from hostmod.observe.calls import Watched, errno_name, message
from hostmod.observe.decorate import Decorator, Selection, selects

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer


def otel(
    tracer: Tracer | None = None,
    *,
    functions: Selection = None,
    arguments: bool = True,
    limit: int | None = 200,
) -> Decorator:
    """Make a decorator that opens a span around each call: ``decorate(Kv, otel(tracer))``.

    A span is named ``module::function``, lies under the span that is current where the guest was entered, and carries
    ``code.namespace``, ``code.function.name``, ``hostmod.argument.*``, ``hostmod.result``, and for an errno
    ``hostmod.errno`` and ``error.type``. An exception that traps the guest is recorded, and makes the span's status an
    error; an errno is a value, and does not.

    Args:
        tracer: what makes the spans; the global provider's tracer named ``hostmod`` if not given.
        functions: which functions: names or patterns (``"get"``, ``"kv::*"``), or a predicate of module and name.
        arguments: whether spans carry arguments and results.
        limit: characters that one value may take; longer ones are cut.

    Raises:
        ModuleNotFoundError: opentelemetry-api is not installed; the extra ``hostmod[otel]`` brings it.
    """
    try:
        from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "otel: the package opentelemetry-api is not installed; write: pip install 'hostmod[otel]'",
            name=error.name,
        ) from error
    source = get_tracer("hostmod") if tracer is None else tracer

    def decorator(module: str, function: Function) -> Function:
        if not selects(functions, module, function.name):
            return function
        wrapped, watched = function.func, Watched(module, function, limit)
        fixed = {"code.namespace": module, "code.function.name": function.name}

        @functools.wraps(wrapped)
        def spanned(*values: Any) -> Any:
            with source.start_as_current_span(
                watched.name,
                kind=SpanKind.INTERNAL,
                attributes=fixed,
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                if arguments and span.is_recording():
                    for name, value in watched.plain(values).items():
                        span.set_attribute(f"hostmod.argument.{name}", _attribute(value))
                try:
                    result = wrapped(*values)
                except BaseException as error:
                    number = watched.errno(error)
                    if number is None:
                        span.set_attribute("error.type", type(error).__name__)
                        span.record_exception(error)
                        span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {message(error)}"))
                    else:
                        span.set_attribute("hostmod.errno", int(number))
                        span.set_attribute("error.type", errno_name(error, number))
                    raise
                if arguments and span.is_recording() and function.results:
                    found = watched.plain_result(result)
                    if found is None or isinstance(found, list):  # of different types, which no attribute has
                        found = watched.result(result)
                    span.set_attribute("hostmod.result", _attribute(found))
                return result

        return function.with_func(spanned)

    return decorator


def _attribute(value: Any) -> Any:
    """Return what an attribute can hold: it has no null, and its integers are signed, of 64 bits."""
    if value is None:
        return "null"
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return str(value)  # an exporter would give up on every span that it sends with this one
    return value
