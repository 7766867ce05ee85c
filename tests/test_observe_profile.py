"""Profiles: counts, percentiles, the table, and the timeline."""

from __future__ import annotations

import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import hostmod
from hostmod import HostModule, function
from hostmod.types import Bool, Caller, Error, Int32


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


def assert_trace_events(document: Any) -> dict[int, list[dict[str, Any]]]:
    """Check a document against the format; returns the calls of each thread, in the order of their starts.

    Source: "Trace Event Format" (Google, 2016): JSON object format, metadata and complete events. Perfetto reads pid
    and tid as unsigned numbers of 32 bits (src/trace_processor/importers/json), and takes the pid for any other tid.
    """
    assert document["displayTimeUnit"] in ("ms", "ns")
    named: dict[int, str] = {}
    calls: dict[int, list[dict[str, Any]]] = {}
    for event in document["traceEvents"]:
        assert isinstance(event["name"], str)
        assert event["pid"] == os.getpid()
        assert isinstance(event["tid"], int)
        assert 0 <= event["tid"] < 2**32
        if event["ph"] == "M":
            assert event["name"] in ("process_name", "thread_name")
            assert set(event) == {"name", "ph", "pid", "tid", "args"}
            assert isinstance(event["args"]["name"], str)
            if event["name"] == "thread_name":
                assert event["tid"] not in named
                named[event["tid"]] = event["args"]["name"]
        else:
            assert event["ph"] == "X"
            assert set(event) == {"name", "cat", "ph", "ts", "dur", "pid", "tid"}
            assert isinstance(event["cat"], str)
            assert event["ts"] >= 0 <= event["dur"]  # microseconds, as integers or with a fraction
            calls.setdefault(event["tid"], []).append(event)
    assert set(calls) <= set(named)
    for each in calls.values():
        assert_nested(each)
    return calls


def assert_nested(events: list[dict[str, Any]]) -> None:
    """Of one thread's calls, each starts where the one before it does or later, and ends before those around it."""
    open_: list[float] = []
    last = 0.0
    for event in events:
        start, stop = event["ts"], event["ts"] + event["dur"]
        assert start >= last
        last = start
        while open_ and open_[-1] <= start:
            open_.pop()
        assert not open_ or stop <= open_[-1] + 1e-6
        open_.append(stop)


def exported(profile: hostmod.Profile) -> Any:
    out = io.StringIO()
    profile.export(out)
    return json.loads(out.getvalue(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_timeline_is_in_the_chrome_trace_event_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiled(durations(2000, 500), monkeypatch).export(tmp_path / "calls.json")
    document = json.loads((tmp_path / "calls.json").read_text("utf-8"))
    ((tid, events),) = assert_trace_events(document).items()
    assert [(each["name"], each["cat"], each["ts"], each["dur"]) for each in events] == [
        ("work::step", "work", 0, 2.0),
        ("work::step", "work", 2.01, 0.5),
    ]
    process, thread = (event for event in document["traceEvents"] if event["ph"] == "M")
    assert (process["name"], thread["name"]) == ("process_name", "thread_name")
    assert (thread["args"], thread["tid"]) == ({"name": "MainThread"}, tid)


def test_a_timeline_of_nothing_is_in_the_format_too() -> None:
    assert assert_trace_events(exported(hostmod.profile())) == {}


def test_inner_calls_lie_inside_of_outer_ones_and_come_after_them() -> None:
    class Nest(HostModule, name="nest"):
        @function
        def outer(self, caller: Caller, depth: Int32) -> None:
            inner: Any = caller["inner"]
            for _ in range(2):
                inner(caller.raw, depth)

        @function
        def leaf(self) -> None: ...

    guest = """(module (import "nest" "outer" (func $outer (param i32))) (import "nest" "leaf" (func $leaf))
        (func $inner (export "inner") (param i32)
            (call $leaf)
            (if (local.get 0) (then (call $outer (i32.sub (local.get 0) (i32.const 1)))))))"""
    profile = hostmod.profile()
    with hostmod.instantiate(guest, hostmod.decorate(Nest, profile)) as made:
        made.exports.inner(3)
    (events,) = assert_trace_events(exported(profile)).values()
    assert [event["name"].partition("::")[2] for event in events[:5]] == [
        "leaf", "outer", "leaf", "outer", "leaf",
    ]  # fmt: skip
    assert len(events) == profile.functions["nest::outer"].count + profile.functions["nest::leaf"].count == 22


def test_threads_have_numbers_and_names_of_their_own_even_where_python_uses_one_again() -> None:
    profile = hostmod.profile()
    instance = hostmod.decorate(Work, profile)()
    step = type(instance).functions["step"].func
    for name in ("first", "second"):  # one after the other: most systems give both the same identifier
        thread = threading.Thread(target=step, args=(instance,), name=name)
        thread.start()
        thread.join()
    document = exported(profile)
    assert len(assert_trace_events(document)) == 2
    names = [event["args"]["name"] for event in document["traceEvents"] if event["name"] == "thread_name"]
    assert names == ["first", "second"]


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
