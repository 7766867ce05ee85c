"""The yardsticks W1 to W7: what the work is, how much faster than by hand it should be, and measuring it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

from bench.backends import active_backend
from bench.measure import Effort, compare, plain_call


@dataclass(frozen=True)
class Yardstick:
    """A piece of work, and what each backend is to reach: the least ratio of "by hand" to ours, and where one is
    set, the most nanoseconds that an operation may take."""

    key: str
    work: str
    targets: Mapping[str, float]
    most_ns: Mapping[str, float] = field(default_factory=dict)


YARDSTICKS = (
    Yardstick("W1", "guest calls add(i32, i32) -> i32", {"pure": 20, "native": 80}),
    Yardstick("W2", "guest passes a 32-byte string; host returns its length", {"pure": 10, "native": 120}),
    Yardstick("W3", "guest passes 64 KiB; host touches first and last byte", {"pure": 9, "native": 70}),
    Yardstick("W4", "guest passes a pointer; host stores a new 16-byte struct", {"pure": 8, "native": 95}),
    Yardstick("W5", "Python calls the guest's add(i32, i32) -> i32", {"pure": 20, "native": 210}),
    Yardstick("W6", "new store, 20 functions linked, module instantiated", {"pure": 5, "native": 14}),
    Yardstick(
        "W7",
        "fresh guest: instantiated, one export called, closed",
        {"pure": 1, "native": 4},
        {"native": 25_000},
    ),
)
KEYS = tuple(yardstick.key for yardstick in YARDSTICKS)


@dataclass(frozen=True)
class Outcome:
    """One yardstick, measured with one backend; times are medians in nanoseconds per operation.

    `ratio` is the median of by hand / ours over the rounds, with its lower and upper quartile beside it;
    `python_calls` is the median of ours / a plain Python call. `most_ns` is None where only the ratio counts.
    """

    work: str
    by_hand_ns: float
    ours_ns: float
    python_call_ns: float
    ratio_low: float
    ratio: float
    ratio_high: float
    python_calls: float
    target: float
    most_ns: float | None = None

    @property
    def reached(self) -> bool:
        """Whether it is as fast as it is to be."""
        return self.ratio >= self.target and (self.most_ns is None or self.ours_ns <= self.most_ns)

    def as_json(self) -> dict[str, object]:
        """The same as a JSON object, numbers rounded to what they are good for."""
        numbers: dict[str, object] = {
            key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(self).items()
        }
        return numbers | {"reached": self.reached}


@dataclass(frozen=True)
class Run:
    """The yardsticks of one process."""

    backend: str
    outcomes: Mapping[str, Outcome]


def run(keys: Collection[str], effort: Effort) -> Run:
    """Measure yardsticks in this process, each by hand and with hostmod and beside a plain Python call.

    Args:
        keys: which ones, such as `"W1"`.
        effort: how long to measure.

    Raises:
        AssertionError: if the two sides did not do the same work.
    """
    from bench import by_hand, ours  # here, for HOSTMOD_NO_EXTENSIONS is read when hostmod is imported

    backend = active_backend()
    outcomes: dict[str, Outcome] = {}
    for yardstick in YARDSTICKS:
        if yardstick.key not in keys:
            continue
        sides = {
            "by hand": by_hand.YARDSTICKS[yardstick.key](),
            "ours": ours.YARDSTICKS[yardstick.key](),
        }
        done = {name: side(3) for name, side in sides.items()}
        assert len(set(done.values())) == 1, f"{yardstick.key}: the two sides did different work: {done}"
        samples = compare(sides | {"call": plain_call()}, effort)
        low, median, high = samples["ours"].times_faster_than(samples["by hand"])
        outcomes[yardstick.key] = Outcome(
            work=yardstick.work,
            by_hand_ns=samples["by hand"].ns,
            ours_ns=samples["ours"].ns,
            python_call_ns=samples["call"].ns,
            ratio_low=low,
            ratio=median,
            ratio_high=high,
            python_calls=samples["call"].times_faster_than(samples["ours"])[1],
            target=yardstick.targets[backend],
            most_ns=yardstick.most_ns.get(backend),
        )
    return Run(backend, outcomes)
