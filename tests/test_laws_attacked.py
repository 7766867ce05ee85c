"""Every law at once: random guests, and Python code that interferes at random points. `scripts/attack.py` goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hostmod import _wasmtime
from hostmod._backend import select as backend

pytestmark = pytest.mark.skipif(
    int(_wasmtime.wasmtime_version().partition(".")[0]) < 44,
    reason="this wasmtime-py converts references in Python code that a signal's exception leaves half done",
)

ATTACK = Path(__file__).parent.parent / "scripts" / "attack.py"
BACKEND = backend.active.NAME


def attack(calls: int, seed: int) -> str:
    done = subprocess.run(
        [sys.executable, str(ATTACK), "--calls", str(calls), "--seed", str(seed), "--backend", BACKEND],
        check=False,
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_a_thousand_calls_under_attack_find_nothing() -> None:
    assert ", 0 faults" in attack(1000, 11)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [21, 22])
def test_some_thousands_of_calls_under_attack_find_nothing(seed: int) -> None:
    assert ", 0 faults" in attack(20_000, seed)
