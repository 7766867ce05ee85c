"""`Recorder`: keeps the calls of a real run, to assert on them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from hostmod.declaration import Function
from hostmod.errors import HostmodError
from hostmod.observe.calls import Watched, errno_name, message, show, show_result
from hostmod.observe.decorate import Selection, selects
from hostmod.types.pointer import List, Pointer
from hostmod.types.references import Caller, CallerType


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a host function.

    `arguments` are its arguments by name as the call began, and `after` as it ended: copies, with bytes for
    `Bytes`, a list for `Array` and `List`, and the object for `Pointer`. `result` is what it returned; if it
    raised, `errno` is the number that the guest got, and `exception` what was raised. Two calls are equal if all
    of that but the exception's identity is.
    """

    module: str
    function: str
    arguments: Mapping[str, Any]
    result: Any = None
    errno: int = 0
    exception: BaseException | None = field(default=None, compare=False)
    after: Mapping[str, Any] = field(default_factory=dict, compare=False)
    line: str = field(default="", compare=False, repr=False)

    @property
    def name(self) -> str:
        """``module::function``."""
        return f"{self.module}::{self.function}"

    @property
    def trapped(self) -> bool:
        """Whether it raised what is no errno."""
        return self.exception is not None and self.errno == 0

    def __str__(self) -> str:
        return self.line or repr(self)


class Recorder(Sequence[Call]):
    """A decorator that keeps every call, in the order in which they began; a sequence of `Call`.

    ::

        recorder = Recorder()
        with hostmod.instantiate("guest.wasm", hostmod.decorate(Kv, recorder)) as guest:
            guest.exports.run()
        assert [call.name for call in recorder] == ["kv::get", "kv::set"]
        assert recorder["kv::set"][0].arguments == {"key": "a", "count": 1}
    """

    def __init__(self, *, functions: Selection = None) -> None:
        self._functions = functions
        self._calls: list[Call | None] = []

    def __call__(self, module: str, function: Function) -> Function:
        """Return the function with every call of it kept."""
        if not selects(self._functions, module, function.name):
            return function
        wrapped, watched, calls = function.func, Watched(module, function), self._calls
        slots = [(at, slot) for at, slot in watched.slots if not isinstance(slot.type, CallerType)]

        @functools.wraps(wrapped)
        def recorded(*arguments: Any) -> Any:
            at = len(calls)
            calls.append(None)
            before = {slot.name: snapshot(arguments[index]) for index, slot in slots}
            shown = ", ".join(f"{slot.name}={show(slot.type, arguments[index])}" for index, slot in slots)
            head = f"{watched.name}({shown})"

            def done(outcome: str, **found: Any) -> None:
                after = {slot.name: snapshot(arguments[index]) for index, slot in slots}
                calls[at] = Call(
                    module, function.name, before, after=after, line=f"{head} → {outcome}", **found
                )

            try:
                result = wrapped(*arguments)
            except BaseException as error:
                number = watched.errno(error)
                if number is None:
                    done(f"! {type(error).__name__}: {message(error)}", exception=error)
                else:
                    done(errno_name(error, number), errno=int(number), exception=error)
                raise
            done(show_result(function, result), result=snapshot(result))
            return result

        return function.with_func(recorded)

    @property
    def calls(self) -> list[Call]:
        """The calls that have ended, in the order in which they began."""
        return [call for call in self._calls if call is not None]

    @property
    def lines(self) -> list[str]:
        """Each call on one line, with named arguments and its result or errno."""
        return [call.line for call in self.calls]

    def clear(self) -> None:
        """Forget the calls so far."""
        self._calls.clear()

    @overload
    def __getitem__(self, index: int) -> Call: ...
    @overload
    def __getitem__(self, index: slice | str) -> list[Call]: ...
    def __getitem__(self, index: int | slice | str) -> Call | list[Call]:
        """Return a call by its place, or the calls of a function by its name or ``module::name``."""
        if isinstance(index, str):
            return [call for call in self.calls if selects(index, call.module, call.function)]
        return self.calls[index]

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    def __eq__(self, other: object) -> bool:
        return self.calls == (other.calls if isinstance(other, Recorder) else other)

    __hash__ = None  # type: ignore[assignment]  # it changes with every call

    def __repr__(self) -> str:
        return f"<recorder of {len(self)} calls>"


def snapshot(value: Any) -> Any:
    """Copy what refers to guest memory: a value to keep after its call has ended."""
    copies: tuple[tuple[type, Callable[[Any], Any]], ...] = (
        (memoryview, lambda view: bytes(view) if view.format == "B" else view.tolist()),
        (List, lambda items: [snapshot(item) for item in items]),
        (Pointer, lambda pointer: snapshot(pointer.load())),
        (Caller, repr),
        (tuple, lambda items: tuple(snapshot(item) for item in items)),
    )
    for kind, copy in copies:
        if isinstance(value, kind):
            try:
                return copy(value)
            except (HostmodError, ValueError):  # it points nowhere: the call itself says what becomes of it
                return repr(value)
    found = getattr(type(value), "__struct__", None)
    if found is not None:
        return type(value)(*(snapshot(getattr(value, each.name)) for each in found.fields))
    return value
