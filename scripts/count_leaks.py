"""Count what calls of every kind leave behind: objects, references and memory.

    python scripts/count_leaks.py                           a million calls of each kind, at most half a minute for each
    python scripts/count_leaks.py --calls 10000 --backend pure

The exit code is 1 if any kind leaves something behind with each call.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import backends
import leaks

from hostmod._backend import python as pure

ENOUGH = 1 / 2
"""What a call that leaves something behind leaves behind at the least is 1, and what else moves is less than this."""

LONGEST = 30.0
"""Seconds for one kind: the calls that leave views in use look through all objects."""


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=1_000_000)
    parser.add_argument("--backend", choices=("native", "pure"), default="native")
    options = parser.parse_args()
    backend = backends.native() if options.backend == "native" else pure
    leaking = 0
    print(f"{'':45} {'calls':>9} {'ns/call':>9} {'blocks':>8} {'objects':>8} {'refs':>8} {'KiB':>8}")
    for name, call, participants in leaks.cases(backend):
        start = time.perf_counter()
        for _ in range(200):
            call()
        each = (time.perf_counter() - start) / 200
        calls = max(200, min(options.calls, int(LONGEST / each)))
        before, start = leaks.resident(), time.perf_counter()
        found = leaks.growth(call, participants, calls)
        took = (time.perf_counter() - start) / calls * 1e9
        kept = (leaks.resident() - before) // 1024
        bad = max(found) > ENOUGH
        leaking += bad
        blocks, objects, references = (f"{value:8.4f}" for value in found)
        mark = "  LEAKS" if bad else ""
        print(f"{name:45} {calls:9} {took:9.0f} {blocks} {objects} {references} {kept:8}{mark}", flush=True)
    return bool(leaking)


if __name__ == "__main__":
    sys.exit(main())
