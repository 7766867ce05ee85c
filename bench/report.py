"""Showing results: tables as plain text or Markdown, and JSON with what they were measured on."""

from __future__ import annotations

import json
import os
import platform
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Table:
    """A table of text; the first column is set flush left, the others flush right."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """The table in aligned columns."""
        lines = [list(self.columns), *map(list, self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        aligned = (
            "  ".join([first.ljust(widths[0]), *(c.rjust(w) for c, w in zip(rest, widths[1:], strict=True))])
            for first, *rest in lines
        )
        head, *body = (line.rstrip() for line in aligned)
        rule = "  ".join("-" * width for width in widths)
        return "\n".join([self.title, "", head, rule, *body])

    def markdown(self) -> str:
        """The table in Markdown."""
        rule = ["---", *("---:" for _ in self.columns[1:])]
        lines = ["| " + " | ".join(line) + " |" for line in (self.columns, rule, *self.rows)]
        return "\n".join([self.title, "", *lines])

    def render(self, *, markdown: bool) -> str:
        """The table as `markdown()` or as `text()`."""
        return self.markdown() if markdown else self.text()


def environment() -> dict[str, object]:
    """What the numbers were measured on, as a JSON object."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hostmod": _version("hostmod"),
        "wasmtime": _version("wasmtime"),
        "python": platform.python_version(),
        "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        "implementation": platform.python_implementation(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "command": " ".join(["python -m", *_command()]),
    }


def heading(environment: Mapping[str, object]) -> str:
    """The same in one line."""
    return (
        "hostmod {hostmod}, wasmtime {wasmtime}, {implementation} {python}, {platform}, {cpus} CPUs, {date}"
    ).format_map(environment)


def write_json(path: Path, results: Mapping[str, object]) -> None:
    """Write results; a directory that is missing is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def number(value: float) -> str:
    """A number with the digits that it is good for: `12,345`, `12.3`, `0.12`."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def duration(ns: float) -> str:
    """A time in the unit that suits it: `450 ns`, `1.24 µs`, `612 ms`."""
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if ns >= size:
            return f"{number(ns / size)} {unit}"
    return f"{number(ns)} ns"


def times(value: float) -> str:
    """A ratio, such as `16x`, cut off rather than rounded up."""
    return f"{int(value)}x" if value >= 100 else f"{int(value * 10) / 10:g}x"


def _command() -> list[str]:
    main = sys.modules["__main__"].__spec__
    name = main.name.removesuffix(".__main__") if main is not None else "bench"
    return [name, *sys.argv[1:]]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a source tree that is not installed
        return "unknown"
