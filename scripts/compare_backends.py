"""Compare the two backends on random plans, stacks and memories, for as long as you like.

    python scripts/compare_backends.py --executions 1000000 --seed 1

prints every difference with the plan, the words and the seed that show it. A worker process each for `--jobs`
processors. The exit code is 1 if there was any.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

import backends

CALLS = 400
"""Executions of each plan: making a plan's guests costs as much as some hundred of them."""


def work(task: tuple[int, int]) -> tuple[int, list[str]]:
    """Compare one plan; returns how many executions there were, and the differences."""
    seed, calls = task
    rng = random.Random(seed)
    pair = backends.pair_of(rng, guest=seed % 5 == 4)
    for call in range(calls):
        try:
            pair.compare(rng.getrandbits(48))
        except AssertionError as error:
            return call + 1, [f"plan {seed}: {error}"]
        except Exception as error:
            return call + 1, [
                f"plan {seed}: {type(error).__name__}: {error}\n  {backends.explained(pair.plan)}"
            ]
    return calls, []


def tasks(executions: int, seed: int) -> Iterator[tuple[int, int]]:
    """Divide the executions into plans."""
    for index in range(-(-executions // CALLS)):
        yield seed * 1_000_003 + index, CALLS


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    parser.add_argument(
        "--plan", type=int, help="one plan only, by the number that a difference was printed with"
    )
    options = parser.parse_args()
    start = time.perf_counter()
    if options.plan is not None:
        count, differences = work((options.plan, CALLS))
        print(*differences or ["no difference"], sep="\n")
        return bool(differences)
    done = failed = 0
    context = multiprocessing.get_context("spawn")
    # A worker makes a hundred plans and is replaced: types that Python caches for ever go with it.
    with context.Pool(options.jobs, maxtasksperchild=100) as pool:
        for count, differences in pool.imap_unordered(work, tasks(options.executions, options.seed)):
            done += count
            failed += len(differences)
            for difference in differences:
                print(difference, flush=True)
            if sys.stderr.isatty() or done // 100_000 > (done - count) // 100_000:
                print(
                    f"{done} of {options.executions}",
                    end="\r" if sys.stderr.isatty() else "\n",
                    file=sys.stderr,
                )
    took = time.perf_counter() - start
    print(
        f"{done} executions compared in {took:.0f} s, {failed} plans with a difference; seed {options.seed}"
    )
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
