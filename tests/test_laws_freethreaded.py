"""The laws without the GIL: many threads, a store each or one for all, have their own values and nobody else's.

`scripts/race.py` does the same for longer; it runs with the GIL as well.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from wat import run_apart

RACE = Path(__file__).parent.parent / "scripts" / "race.py"
RUN = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"


def gil_is_on() -> bool:
    """Whether this Python holds one lock for all threads."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


freethreaded = pytest.mark.skipif(gil_is_on(), reason="this Python runs with the GIL")


@freethreaded
@pytest.mark.parametrize("threads", ["2", "8"], ids="{} threads".format)
def test_threads_without_the_gil_have_their_own_values_and_one_store_lets_one_in(threads: str) -> None:
    told = run_apart(RUN, str(RACE), "12", threads, timeout=300)
    assert "GIL off" in told
    assert told.count("calls") == 4


@pytest.mark.slow
@pytest.mark.skipif(not gil_is_on(), reason="this Python runs without the GIL")
def test_threads_with_the_gil_have_their_own_values_and_one_store_lets_one_in() -> None:
    told = run_apart(RUN, str(RACE), "12", "8", timeout=300)
    assert told.count("calls") == 4


@freethreaded
def test_importing_hostmod_leaves_the_gil_off() -> None:
    source = "import sys, hostmod; print(hostmod.backend.active.NAME, sys._is_gil_enabled())"
    assert run_apart(source) in ("native False\n", "pure False\n")
