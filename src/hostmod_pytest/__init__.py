"""The pytest plugin: fixtures for testing host modules. Loaded by pytest where hostmod is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from hostmod.testing.recorder import Recorder

# What fixtures need is imported when they are used: pytest loads this file in every project of the environment.


@pytest.fixture
def host_call() -> Callable[..., Any]:
    """Call a host function as a guest would: `hostmod.testing.call`, with guard bytes around its arguments."""
    from hostmod.testing import call

    return call


@pytest.fixture
def host_recorder() -> Recorder:
    """A decorator that keeps every call of the modules that it decorates: a new `hostmod.testing.Recorder`."""
    from hostmod.testing.recorder import Recorder

    return Recorder()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain two lists of calls that differ, one call a line."""
    import sys

    if op != "==" or "hostmod.testing.recorder" not in sys.modules:
        return None
    from hostmod.testing.recorder import Call, Recorder

    def calls(value: object) -> list[Call] | None:
        if isinstance(value, Recorder):
            return value.calls
        if isinstance(value, list) and all(isinstance(each, Call) for each in value):
            return value
        return None

    first, second = calls(left), calls(right)
    if first is None or second is None or not (first or second):
        return None
    lines = [f"{len(first)} calls == {len(second)} calls"]
    for index in range(max(len(first), len(second))):
        one = first[index] if index < len(first) else None
        two = second[index] if index < len(second) else None
        if one == two:
            lines.append(f"  {one}")
        else:
            lines += [f"- {each}" for each in (two,) if each is not None]
            lines += [f"+ {each}" for each in (one,) if each is not None]
    return lines
