"""The command `python -m bench.details`: what a call costs by types and sizes, with threads, in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import anatomy, cli
from bench.report import Table, environment, heading, number, write_json


@dataclass(frozen=True)
class Run:
    """What one interpreter measured with one backend; `name` heads its columns."""

    name: str
    backend: str
    sections: Mapping[str, Mapping[str, anatomy.Row]]

    @property
    def with_hand(self) -> set[str]:
        """The titles of the sections that were measured beside by hand."""
        return {
            title
            for title, rows in self.sections.items()
            if any(row.by_hand is not None for row in rows.values())
        }


def table(title: str, runs: Sequence[Run]) -> Table:
    """Lay out the answers to one question: a column for each backend, and one for each interpreter's by hand."""
    columns, cells = [""], [[label] for label in runs[0].sections[title]]
    by_hand_of: set[str] = set()
    for run in runs:
        rows = run.sections[title].values()
        if title in run.with_hand and run.name not in by_hand_of:
            by_hand_of.add(run.name)
            columns.append("by hand" + run.name)
            for line, row in zip(cells, rows, strict=True):
                line.append("-" if row.by_hand is None else number(row.by_hand))
        columns.append(cli.NAMES[run.backend] + run.name)
        for line, row in zip(cells, rows, strict=True):
            line.append(number(row.ours))
    return Table(title, columns, cells)


def elsewhere(python: str, options: cli.Options) -> tuple[dict[str, Any], list[Run]]:
    """Measure with another interpreter, in which hostmod is installed.

    Returns:
        What it wrote into its JSON file, and its runs.

    Raises:
        SystemExit: it failed; what it printed stands above.
    """
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "details.json")
        asked = ["--only", ",".join(options.only), "--backend", options.backend, "--json", str(file)]
        command = [python, "-m", "bench.details", *asked, *(["--quick"] if options.quick else [])]
        try:
            subprocess.run(command, cwd=Path(__file__).parent.parent, check=True, stdout=sys.stderr)
            written = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, subprocess.CalledProcessError) as error:
            raise SystemExit(
                f"--python {python}: {error}; expected an interpreter in which hostmod is installed"
            ) from None
    name = f", {written['python']}{'t' if written['free_threaded'] else ''}"
    return written, [
        Run(
            name,
            backend,
            {
                title: {label: anatomy.Row(**row) for label, row in rows.items()}
                for title, rows in sections.items()
            },
        )
        for backend, sections in written["backends"].items()
    ]


def main() -> int:
    """Measure, print the tables and write the JSON file."""
    options = cli.parse("bench.details", __doc__, tuple(anatomy.QUESTIONS), "details.json", others=True)
    runs = [
        Run("", sections[0].backend, {section.title: section.rows for section in sections})
        for sections in options.each_backend(anatomy.measure)
    ]
    where = environment()
    written = where | {"quick": options.quick, "backends": {run.backend: as_json(run) for run in runs}}
    others: list[dict[str, Any]] = []
    for python in options.python:
        theirs, more = elsewhere(python, options)
        others.append(theirs)
        runs += more
    print(heading(where))
    for other in others:
        print(heading(other))
    for title in runs[0].sections:
        print()
        print(table(title, runs).render(markdown=options.markdown))
    write_json(options.json, written | ({"others": others} if others else {}))
    return 0


def as_json(run: Run) -> dict[str, dict[str, dict[str, float | None]]]:
    """A run by title of a section and label of a row."""
    return {
        title: {label: asdict(row) for label, row in rows.items()} for title, rows in run.sections.items()
    }


if __name__ == "__main__":
    sys.exit(main())
