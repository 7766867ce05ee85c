"""`trace`: writes a line for each call of a host function, as strace does."""

from __future__ import annotations

import errno
import functools
import logging
import os
import sys
import time
import weakref
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import IO, Any, Self, cast

from hostmod.declaration import Function
from hostmod.errors import error_string
from hostmod.observe.calls import Watched, cut, errno_name, message, show
from hostmod.observe.decorate import Selection, selects
from hostmod.types.buffers import BytesType
from hostmod.types.pointer import ListType, PointerType
from hostmod.types.references import CallerType

Sink = str | os.PathLike[str] | IO[str] | logging.Logger | Callable[[str], object] | None
"""Where lines go: a path, an open text file, a logger, a callable of one line, or None for standard error."""


class Trace:
    """A decorator that writes a line for each call. Made by `trace`; leaving ``with`` closes the file it opened."""

    def __init__(
        self,
        sink: Sink = None,
        *,
        functions: Selection = None,
        limit: int | None = 200,
        level: int = logging.INFO,
    ) -> None:
        self._functions = functions
        self._limit = limit
        # The traced call that this one is inside of. A context variable, as what is bound to a call is one.
        self._outer: ContextVar[_Open | None] = ContextVar("hostmod.trace outer", default=None)
        self._close: Callable[[], object] = lambda: None
        self._write = self._writer(sink, level)

    def _writer(self, sink: Sink, level: int) -> Callable[[str], object]:
        if isinstance(sink, logging.Logger):
            return lambda line: sink.log(level, "%s", line)
        if isinstance(sink, str | os.PathLike):
            file = Path(sink).open("w", encoding="utf-8", buffering=1)  # noqa: SIM115  # closed by close()
            self._close = weakref.finalize(self, file.close)
            return _to_file(file)
        if sink is None:
            return lambda line: _to_file(sys.stderr)(line)  # noqa: PLW0108  # looked up for each line: tests replace it
        if hasattr(sink, "write"):
            return _to_file(cast("IO[str]", sink))
        if callable(sink):
            return sink
        raise TypeError(
            f"trace: {sink!r} ({type(sink).__name__}), expected a path, an open text file, a logger or a callable; "
            "write trace(print), for example"
        )

    def close(self) -> None:
        """Close the file that was opened for a path."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __call__(self, module: str, function: Function) -> Function:
        """Return the function with every call of it traced."""
        if not selects(self._functions, module, function.name):
            return function
        wrapped, watched, clock = function.func, Watched(module, function, self._limit), time.perf_counter_ns
        slots = [
            (at, slot.name, slot.type, isinstance(slot.type, BytesType | PointerType | ListType))
            for at, slot in watched.slots
            if not isinstance(slot.type, CallerType)
        ]
        outer, limit, write, called = self._outer, self._limit, self._write, watched.name

        @functools.wraps(wrapped)
        def traced(*arguments: Any) -> Any:
            before = [cut(show(type_, arguments[at]), limit) for at, _, type_, _ in slots]
            above = outer.get()
            while above is not None and above.ended:  # a task that it started has its context
                above = above.above
            if above is not None:
                above.interrupt(write)
            named = ", ".join(f"{name}={text}" for text, (_, name, _, _) in zip(before, slots, strict=True))
            this = _Open(f"{called}({named} <unfinished ...>", above)
            token = outer.set(this)
            outcome = ""
            took = 0
            start = clock()
            try:
                result = wrapped(*arguments)
            except BaseException as error:
                took = clock() - start
                outcome = failure(watched, error)
                raise
            else:
                took = clock() - start
                outcome = watched.result(result)
                return result
            finally:
                outer.reset(token)
                whole = this.finish()
                shown = []
                for text, (at, name, type_, mutable) in zip(before, slots, strict=True):
                    after = cut(show(type_, arguments[at]), limit) if mutable else text
                    if after != text:
                        shown.append(f"{name}={text} → {after}")
                    elif whole:
                        shown.append(f"{name}={text}")
                call = f"{called}(" if whole else f"<... {called} resumed>{' ' if shown else ''}"
                write(f"{this.indent}{call}{', '.join(shown)}) = {outcome} <{took / 1e9:.6f}>")

        return function.with_func(traced)


class _Open:
    """A call that has not ended: its beginning is written once another one is made from inside it."""

    __slots__ = ("_beginning", "above", "ended", "indent")

    def __init__(self, beginning: str, above: _Open | None) -> None:
        self._beginning = [beginning]  # taken out by whoever comes first: popping is atomic
        self.above = above
        self.ended = False
        self.indent: str = "" if above is None else above.indent + "  "

    def interrupt(self, write: Callable[[str], object]) -> None:
        """Write its beginning, unless that has been done."""
        try:
            beginning = self._beginning.pop()
        except IndexError:
            return
        write(self.indent + beginning)

    def finish(self) -> bool:
        """Return whether all of it is still to be written."""
        self.ended = True
        try:
            self._beginning.pop()
        except IndexError:
            return False
        return True


def failure(watched: Watched, error: BaseException) -> str:
    """Show an exception: an errno by its name, anything else as what traps the guest."""
    number = watched.errno(error)
    if number is None:
        text = message(error)
        return f"! {type(error).__name__}{f': {text}' if text else ''}"
    name = errno_name(error, number)
    # The host's words are for the host's numbers.
    return (
        f"{name} ({error_string(number)})"
        if name == errno.errorcode.get(number)
        else f"{name} ({int(number)})"
    )


def _to_file(file: IO[str]) -> Callable[[str], object]:
    def write(line: str) -> None:
        try:
            file.write(line + "\n")
        except (
            OSError,
            ValueError,
        ):  # a pipe or file that was closed: watching a call never changes how it ends
            return

    return write


def trace(
    sink: Sink = None,
    *,
    functions: Selection = None,
    limit: int | None = 200,
    level: int = logging.INFO,
) -> Trace:
    """Make a decorator that writes one strace-like line for each call, when it ends.

    ::

        kv::get(key="a", count=&0 → &7) = OK <0.000012>
        kv::get(key="b", count=&0) = ENOENT (No such file or directory) <0.000008>
        app::update(key="a" <unfinished ...>
          kv::set(key="a", count=8) = OK <0.000010>
        <... app::update resumed>) = none <0.000120>

    Memory that the call changed is shown as it was and as it is. Calls that are made from inside another one are
    indented; that one is written in two parts around them, as strace does: its beginning when the first of them begins,
    and the rest, with what it changed, when it ends.

    Args:
        sink: a path (the file is written anew), an open text file, a logger, a callable of one line; standard error if
            not given.
        functions: which functions: names or patterns (``"get"``, ``"kv::*"``), or a predicate of module and name.
        limit: characters that one value may take; longer ones are cut.
        level: for a logger, as in `logging`.
    """
    return Trace(sink, functions=functions, limit=limit, level=level)
