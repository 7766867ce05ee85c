"""Profiles: counts, percentiles, the table, and the timeline."""

from __future__ import annotations

import io
import json
import threading
from pathlib import Path

import pytest

import hostmod
from hostmod import HostModule, function
from hostmod.types import Bool, Error


class Work(HostModule, name="work"):
    @function
    def step(self) -> None: ...

    @function
    def fail(self, hard: Bool) -> Error:
        raise OSError(2, "no")

    @function
    def never(self) -> None: ...


def profiled(clock: list[int], monkeypatch: pytest.MonkeyPatch, **options: object) -> hostmod.Profile:
    """Call `step` once for each pair of times."""
    monkeypatch.setattr("time.perf_counter_ns", iter(clock).__next__)
    profile = hostmod.profile(**options)  # type: ignore[arg-type]  # a test's own
    instance = hostmod.decorate(Work, profile)()
    for _ in range(len(clock) // 2):
        type(instance).functions["step"].func(instance)
    return profile


def durations(*took: int) -> list[int]:
    clock, now = [], 1_000_000
    for each in took:
        clock += [now, now + each]
        now += each + 10
    return clock


def test_counts_total_mean_percentiles_and_max_are_exact_for_short_calls(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = profiled(durations(*range(1, 101)), monkeypatch).functions["work::step"]
    assert (found.count, found.total, found.mean, found.max) == (100, 5050, 50.5, 100)
    assert (found.p50, found.p99) == (50, 99)


@pytest.mark.parametrize("took", [255, 256, 1000, 123_456, 10**9, 7 * 10**12])
def test_percentiles_of_long_calls_are_less_than_a_percent_too_low(
    took: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = profiled(durations(*[took] * 3), monkeypatch).functions["work::step"]
    assert took * 0.99 < found.p50 <= took
    assert found.max == took


def test_many_calls_are_added_up_and_the_timeline_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = profiled(durations(*[5] * 10_000), monkeypatch, timeline=100)
    assert profile.functions["work::step"].count == 10_000
    out = io.StringIO()
    profile.export(out)
    document = json.loads(out.getvalue())
    assert sum(event["ph"] == "X" for event in document["traceEvents"]) == 100
    assert document["otherData"] == {"calls left out": 9900}


def test_errors_are_counted_and_functions_that_were_not_called_are_left_out() -> None:
    profile = hostmod.profile()
    instance = hostmod.decorate(Work, profile)()
    with pytest.raises(OSError, match="no"):
        type(instance).functions["fail"].func(instance, True)
    assert {name: each.errors for name, each in profile.functions.items()} == {"work::fail": 1}


def test_the_table_has_a_line_for_each_function(monkeypatch: pytest.MonkeyPatch) -> None:
    head, row = str(profiled(durations(1000, 3_000_000), monkeypatch)).splitlines()
    assert head.split() == ["function", "calls", "total", "mean", "p50", "p99", "max", "errors"]
    assert row.split() == ["work::step", "2", "3ms", "1.5ms", "1µs", "3ms", "3ms", "0"]


def test_the_timeline_is_in_the_chrome_trace_event_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiled(durations(2000, 500), monkeypatch).export(tmp_path / "calls.json")
    document = json.loads((tmp_path / "calls.json").read_text("utf-8"))
    process, thread, first, second = document["traceEvents"]
    assert (process["ph"], process["name"]) == ("M", "process_name")
    assert (thread["ph"], thread["name"], thread["args"]) == ("M", "thread_name", {"name": "MainThread"})
    assert (first["ph"], first["name"], first["cat"], first["ts"], first["dur"]) == (
        "X",
        "work::step",
        "work",
        0,
        2.0,
    )
    assert (second["ts"], second["dur"]) == (2.01, 0.5)
    assert first["tid"] == thread["tid"] == threading.get_ident()


def test_calls_of_many_threads_are_all_counted() -> None:
    profile = hostmod.profile()
    instance = hostmod.decorate(Work, profile)()
    step = type(instance).functions["step"].func
    threads = [threading.Thread(target=lambda: [step(instance) for _ in range(5000)]) for _ in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert profile.functions["work::step"].count == 20_000
