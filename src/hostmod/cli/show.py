"""Prints what commands found: tables for people, plain text for pipes, progress for what is slow."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import TextIO

from hostmod.errors import escape_controls

SLOW = 1.0
"""Seconds after which something says that it is still at work."""


def is_terminal(stream: object = None) -> bool:
    """Say whether standard output (or another stream) is a terminal."""
    target = sys.stdout if stream is None else stream
    return bool(getattr(target, "isatty", lambda: False)())


def table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    styles: Sequence[str] = (),
    numbers: int = 0,
    stream: TextIO | None = None,
) -> None:
    """Print a table: with rules and colours in a terminal, in columns of plain text otherwise.

    `styles` has one for each row; the last `numbers` columns are aligned to the right. `stream` is standard output if
    not given. What does not print is escaped: cells hold names that a guest chose.
    """
    head, rows = (
        [escape_controls(cell) for cell in head],
        [[escape_controls(cell) for cell in row] for row in rows],
    )
    if is_terminal(stream) and rows:
        from rich.console import Console
        from rich.table import Table

        made = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
        for index, name in enumerate(head):
            right = index >= len(head) - numbers
            made.add_column(name, justify="right" if right else "left", overflow="fold")
        for index, row in enumerate(rows):
            made.add_row(*(_plain(cell) for cell in row), style=styles[index] if styles else "")
        Console(file=stream).print(made)
        return
    if title:
        print(title, file=stream)
    lines = [head, *rows] if rows else [["(none)"]]
    widths = [max(len(row[column]) for row in lines) for column in range(len(lines[0]))]
    for row in lines:
        cells = [
            cell.rjust(width) if index >= len(row) - numbers else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print((("  " if title else "") + "  ".join(cells)).rstrip(), file=stream)
    if title:
        print(file=stream)


def _plain(cell: str) -> str:
    from rich.markup import escape

    return escape(cell)


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Show that something is at work, if it takes longer than a second and somebody is looking."""
    if not is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console

    status = Console(stderr=True).status(what)
    timer = threading.Timer(SLOW, status.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        status.stop()


def lines(text: str) -> str:
    """Escape what does not print, but the ends of lines."""
    return "\n".join(escape_controls(line) for line in text.split("\n"))


def error(text: str) -> None:
    """Print what went wrong, to standard error."""
    text = lines(text)
    if is_terminal(sys.stderr):
        from rich.console import Console
        from rich.text import Text

        Console(stderr=True).print(Text.assemble(("hostmod: ", "bold red"), text), soft_wrap=True)
    else:
        print(f"hostmod: {text}", file=sys.stderr)
