"""Interleaved timing: many short rounds of several ways to do the same work, compared round by round."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import repeat

#: One way to do a piece of work: does it `n` times and returns a number that shows it was done.
Side = Callable[[int], int]


@dataclass(frozen=True)
class Effort:
    """How long to measure: `rounds` rounds, in which each side works for about `seconds`."""

    rounds: int
    seconds: float


#: A number per side within a few per cent on a busy two-core machine; the seven yardsticks take about 20 s.
FULL = Effort(rounds=150, seconds=0.003)
#: Enough to see that everything runs; the numbers mean nothing.
QUICK = Effort(rounds=3, seconds=0.0005)


@dataclass(frozen=True)
class Sample:
    """What one side took: nanoseconds per operation, one number for each round."""

    rounds: tuple[float, ...]

    @property
    def ns(self) -> float:
        """The median, in nanoseconds per operation."""
        return statistics.median(self.rounds)

    def times_faster_than(self, other: Sample) -> tuple[float, float, float]:
        """Compare with a sample taken in the same rounds.

        Returns:
            The lower quartile, the median and the upper quartile of the ratios of each round.
        """
        ratios = [theirs / ours for theirs, ours in zip(other.rounds, self.rounds, strict=True)]
        low, median, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, median, high


def compare(sides: Mapping[str, Side], effort: Effort) -> dict[str, Sample]:
    """Time all sides in turn, round after round, so that what the machine does meanwhile hits all of them.

    Args:
        sides: the ways to do the work, by name; each is warmed up first, outside the rounds.
        effort: how long to measure.

    Returns:
        A sample per side; the samples' rounds belong together.
    """
    gc.collect()
    counts = {name: operations_in(effort.seconds, side) for name, side in sides.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    order = list(sides)
    for _ in range(effort.rounds):
        for name in order:
            taken[name].append(_time(sides[name], counts[name]) / counts[name])
        order.reverse()  # so that no side always runs in the wake of the same other
    return {name: Sample(tuple(rounds)) for name, rounds in taken.items()}


def _time(side: Side, count: int) -> int:
    start = time.perf_counter_ns()
    side(count)
    return time.perf_counter_ns() - start


def operations_in(seconds: float, side: Side) -> int:
    """Find out how many operations a side does in about `seconds`, 1 or more; that warms it up, too."""
    count = 1
    side(count)
    while True:
        # The best of three: one that another process disturbs would make the rounds too short.
        taken = min(_time(side, count) for _ in range(3))
        if taken > seconds * 1e9 / 2:
            return max(1, round(count * seconds * 1e9 / taken))
        count *= 2


def plain_call(arguments: int = 2) -> Side:
    """The unit: a plain Python call, the `for` loop around it included.

    Args:
        arguments: how many integers are passed, 0 or more.
    """
    names = ", ".join(f"p{i}" for i in range(arguments))
    namespace: dict[str, Side] = {}
    exec(
        f"def work({names}): return 42\n"
        f"def side(n, work=work):\n"
        f"    for _ in repeat(None, n): work({', '.join(map(str, range(arguments)))})\n"
        f"    return n\n",
        {"repeat": repeat},
        namespace,
    )
    return namespace["side"]
