"""The command `python -m bench.details`: what a call costs by types and sizes, with threads, in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict

from bench import anatomy, cli
from bench.report import Table, environment, heading, number, write_json


def table(sections: Sequence[anatomy.Section]) -> Table:
    """Lay out the answers to one question, one column per trampoline."""
    first = sections[0]
    with_hand = any(row.by_hand is not None for row in first.rows.values())
    columns = ["", *(["by hand"] if with_hand else []), *(cli.NAMES[section.twin] for section in sections)]
    rows: list[list[str]] = []
    for label, row in first.rows.items():
        hand = [number(row.by_hand) if row.by_hand is not None else "-"] if with_hand else []
        rows.append([label, *hand, *(number(section.rows[label].ours) for section in sections)])
    return Table(first.title, columns, rows)


def main() -> int:
    """Measure, print the tables and write the JSON file."""
    options = cli.parse("bench.details", __doc__, tuple(anatomy.QUESTIONS), "details.json")
    runs = options.each_twin(anatomy.measure)
    where = environment()
    print(heading(where))
    for sections in zip(*runs, strict=True):
        print()
        print(table(sections).render(markdown=options.markdown))
    twins = {
        sections[0].twin: {
            section.title: {label: asdict(row) for label, row in section.rows.items()} for section in sections
        }
        for sections in runs
    }
    write_json(options.json, where | {"quick": options.quick, "twins": twins})
    return 0


if __name__ == "__main__":
    sys.exit(main())
