"""The command `python -m bench`: the yardsticks W1 to W6, by hand and with hostmod, side by side."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from bench import cli, yardsticks
from bench.report import Table, environment, heading, number, times, write_json


def table(runs: Sequence[yardsticks.Run], title: str) -> Table:
    """Lay out the runs, one group of columns per trampoline."""
    columns = ["", "by hand"]
    for run in runs:
        columns += [cli.NAMES[run.twin], "ratio", "target", "calls"]
    rows: list[list[str]] = []
    for key, first in runs[0].outcomes.items():
        row = [f"{key} {first.work}", number(first.by_hand_ns)]
        for run in runs:
            outcome = run.outcomes[key]
            ratio, target = times(outcome.ratio), times(outcome.target)
            row += [number(outcome.ours_ns), ratio, target, number(outcome.python_calls)]
        rows.append(row)
    return Table(title, columns, rows)


def main() -> int:
    """Measure, print the table and write the JSON file."""
    options = cli.parse("bench", __doc__, yardsticks.KEYS, "results.json")
    runs = options.each_twin(yardsticks.run)
    rounds = options.effort.rounds
    where = environment()
    call = min(outcome.python_call_ns for run in runs for outcome in run.outcomes.values())
    title = (
        f"{heading(where)}\n"
        f"Nanoseconds per operation, medians of {rounds} interleaved rounds.\n"
        f"ratio: by hand / ours, median of the rounds;"
        f" calls: ours in plain Python calls, of which one took {number(call)} ns."
    )
    print(table(runs, title).render(markdown=options.markdown))
    twins = {run.twin: {key: outcome.as_json() for key, outcome in run.outcomes.items()} for run in runs}
    write_json(options.json, where | {"quick": options.quick, "rounds": rounds, "twins": twins})
    return 0


if __name__ == "__main__":
    sys.exit(main())
