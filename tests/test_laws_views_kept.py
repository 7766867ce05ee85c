"""The rule for views: whatever keeps one, and wherever, it has escaped"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import gc
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from kept_views import LENDING, Holder, Keeper, guest_of, keepers_of, lending

from hostmod import ViewEscapedError

VARIABLE: contextvars.ContextVar[Any] = contextvars.ContextVar("VARIABLE")


@functools.cache
def cached(host: int) -> list[Any]:
    return []


def in_a_context(view: memoryview) -> contextvars.Context:
    """Set a variable in a copy of the present context."""
    context = contextvars.copy_context()
    context.run(VARIABLE.set, view[1:])
    return context


def under_a_weak_key(view: memoryview) -> tuple[Holder, weakref.WeakKeyDictionary[Holder, memoryview]]:
    """Put a slice into a dict that lets go of it with its key."""
    key = Holder(view)
    return key, weakref.WeakKeyDictionary({key: view[1:]})


def in_a_thread(view: memoryview) -> tuple[threading.Thread, threading.Event]:
    """Start a thread that has a slice as its local until it is told to end."""
    stop, started = threading.Event(), threading.Event()

    def work() -> None:
        part = view[1:]
        started.set()
        stop.wait(60)
        with contextlib.suppress(ValueError):
            bytes(part)

    thread = threading.Thread(target=work)
    thread.start()
    assert started.wait(60)
    return thread, stop


def in_a_task(view: memoryview) -> tuple[asyncio.AbstractEventLoop, asyncio.Task[bytes]]:
    """Make a task that waits with a slice as its local."""
    loop = asyncio.new_event_loop()

    async def work() -> bytes:
        part = view[1:]
        await asyncio.sleep(0)
        return bytes(part)

    task = loop.create_task(work())
    loop.call_soon(loop.stop)
    loop.run_forever()
    return loop, task


def _end_thread(kept: tuple[threading.Thread, threading.Event]) -> None:
    kept[1].set()
    kept[0].join()


def _end_task(kept: tuple[asyncio.AbstractEventLoop, asyncio.Task[bytes]]) -> None:
    loop, task = kept
    assert len(loop.run_until_complete(task)) == 3 or task.done()
    loop.close()


PLACES: dict[str, tuple[Callable[[memoryview], Any], Callable[[Any], object]]] = {
    "a context variable": (lambda data: VARIABLE.set(data[1:]), VARIABLE.reset),
    "a copied context": (in_a_context, lambda kept: None),
    "a cached result": (lambda data: cached(1).append(data[1:]), lambda kept: cached.cache_clear()),
    "a thread": (in_a_thread, _end_thread),
    "a task": (in_a_task, _end_task),
    "the value of a weak key": (under_a_weak_key, lambda kept: None),
}


@pytest.mark.parametrize("what", PLACES)
@lending
def test_a_slice_is_found_in_further_places_until_it_goes(name: str, what: str) -> None:
    how, let_go = PLACES[what]
    keeper = Keeper(how)
    guest = guest_of(keeper)
    with pytest.raises(ViewEscapedError):
        guest.exports[name](*LENDING[name])
    kept = keepers_of(guest)
    assert guest.exports.answer() == 42
    guest.close()
    assert kept() is not None, "the memory has gone under what shows it"
    let_go(keeper.kept.pop())
    gc.collect()
    assert kept() is None, "the memory stays though nothing shows it"


def chained(view: memoryview) -> None:
    part = view[1:]
    try:
        raise ValueError(len(part))
    except ValueError as error:
        raise RuntimeError("chained") from error


def suppressed(view: memoryview) -> None:
    part = view[1:]
    try:
        raise ValueError(len(part))
    except ValueError:
        raise RuntimeError("suppressed") from None


def grouped(view: memoryview) -> None:
    errors: list[Exception] = []
    for at in range(2):
        part = view[at:]
        try:
            raise ValueError(len(part))
        except ValueError as error:
            errors.append(error)
    raise ExceptionGroup("grouped", errors)


def argument(view: memoryview) -> None:
    raise RuntimeError(view[1:])


@pytest.mark.parametrize("how", [chained, suppressed, grouped, argument], ids=lambda how: how.__name__)
def test_an_exception_that_reaches_memory_in_another_one_keeps_it_mapped(
    how: Callable[[memoryview], None],
) -> None:
    guest = guest_of(Keeper(how))
    found: list[BaseException] = []
    try:
        guest.exports.bytes(0, 8)
    except (RuntimeError, ExceptionGroup) as error:
        found.append(error)
    assert not isinstance(found[0], ViewEscapedError)
    kept = keepers_of(guest)
    guest.close()
    gc.collect()
    assert kept() is not None, "the memory has gone under what shows it"
    found.clear()
    gc.collect()
    assert kept() is None, "the memory stays though nothing shows it"
