"""The command `python -m bench`: the yardsticks W1 to W7 by hand and with hostmod, and WASI built in and hostmod's."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench import cli, wasi, yardsticks
from bench.report import Table, duration, environment, heading, number, times, write_json


def table(runs: Sequence[yardsticks.Run], title: str) -> Table:
    """Lay out the runs, one group of columns per backend."""
    columns = ["", "by hand"]
    for run in runs:
        columns += [cli.NAMES[run.backend], "ratio", "target", "calls"]
    rows: list[list[str]] = []
    for key, first in runs[0].outcomes.items():
        row = [f"{key} {first.work}", number(first.by_hand_ns)]
        for run in runs:
            outcome = run.outcomes[key]
            ratio, target = times(outcome.ratio), times(outcome.target)
            if outcome.most_ns is not None:
                target += f" in {duration(outcome.most_ns)}"
            row += [number(outcome.ours_ns), ratio, target, number(outcome.python_calls)]
        rows.append(row)
    return Table(title, columns, rows)


def wasi_table(runs: Sequence[wasi.Run], title: str) -> Table:
    """Lay out the runs of WASI, one group of columns per backend."""
    columns = ["", "built in"]
    for run in runs:
        columns += [cli.NAMES[run.backend], "in memory", "ratio", "calls"]
    columns.append("target")
    rows: list[list[str]] = []
    for key, first in runs[0].outcomes.items():
        row = [first.work, duration(first.built_in_ns)]
        target = runs[-1].outcomes[key].target
        for run in runs:
            outcome = run.outcomes[key]
            in_memory = "-" if outcome.in_memory_ns is None else duration(outcome.in_memory_ns)
            calls = "-" if outcome.python_calls is None else number(outcome.python_calls)
            row += [duration(outcome.ours_ns), in_memory, f"{outcome.ratio:.2f}", calls]
        unit = "" if key == wasi.PROGRAM else " calls"
        row.append("-" if target is None else f"{target:.3g}{unit}")
        rows.append(row)
    return Table(title, columns, rows)


def main() -> int:
    """Measure, print the tables and write the JSON file."""
    options = cli.parse("bench", __doc__, (*yardsticks.KEYS, *wasi.KEYS), "results.json")
    rounds = options.effort.rounds
    where = environment()
    results: dict[str, object] = {"quick": options.quick, "rounds": rounds}
    print(heading(where))
    if any(key in yardsticks.KEYS for key in options.only):
        runs = options.each_backend(yardsticks.run)
        call = min(outcome.python_call_ns for run in runs for outcome in run.outcomes.values())
        title = (
            f"Nanoseconds per operation, medians of {rounds} interleaved rounds.\n"
            f"ratio: by hand / ours, median of the rounds;"
            f" target: the least ratio, and the most time where one is set;\n"
            f"calls: ours in plain Python calls, of which one took {number(call)} ns."
        )
        print(table(runs, title).render(markdown=options.markdown))
        results["backends"] = {
            run.backend: {key: outcome.as_json() for key, outcome in run.outcomes.items()} for run in runs
        }
    if any(key in wasi.KEYS for key in options.only):
        wasi_runs = options.each_backend(wasi.run)
        title = (
            "WASI: built into wasmtime, and hostmod's; processor time for the program.\n"
            "ratio: ours / built in; calls: ours in plain Python calls; target: at most so much, on the native backend."
        )
        print()
        if wasi_runs[0].outcomes:
            print(wasi_table(wasi_runs, title).render(markdown=options.markdown))
        for line in wasi_runs[0].missing.values():
            print(f"\n{line}")
        results["wasi"] = {
            run.backend: {key: outcome.as_json() for key, outcome in run.outcomes.items()} | dict(run.missing)
            for run in wasi_runs
        }
    write_json(options.json, where | results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
