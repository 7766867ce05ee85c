"""What the two commands have in common: their options, and running the work once per backend."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bench.backends import available, in_new_process, using
from bench.measure import FULL, QUICK, Effort

T = TypeVar("T")

#: What a backend is called in tables.
NAMES = {"pure": "pure Python", "native": "native"}


@dataclass(frozen=True)
class Options:
    """The command line of either command."""

    quick: bool
    only: Sequence[str]
    backend: str
    markdown: bool
    json: Path
    python: Sequence[str] = ()

    @property
    def effort(self) -> Effort:
        """How long to measure."""
        return QUICK if self.quick else FULL

    def each_backend(self, measure: Callable[[Collection[str], Effort], T]) -> list[T]:
        """Call a module's function in one new process per backend that was asked for."""
        results: list[T] = []
        for backend in available(self.backend):
            with using(backend):
                results.append(in_new_process(measure, self.only, self.effort))
        return results


def parse(
    command: str, description: str | None, keys: Sequence[str], json_file: str, *, others: bool = False
) -> Options:
    """Parse the command line.

    Args:
        command: what is typed after `python -m`.
        description: what `--help` says first.
        keys: what `--only` can choose from.
        json_file: where results go by default, a name beside this file.
        others: whether other interpreters can be asked for.
    """

    def chosen(text: str) -> tuple[str, ...]:
        by_name = {key.lower(): key for key in keys}
        names = text.lower().split(",")
        if unknown := [name for name in names if name not in by_name]:
            raise argparse.ArgumentTypeError(
                f"found {', '.join(unknown)}, expected some of {', '.join(keys)}"
            )
        return tuple(by_name[name] for name in names)

    parser = argparse.ArgumentParser(prog=f"python -m {command}", description=description)
    parser.add_argument("--quick", action="store_true", help="a smoke test: see that it runs, not how fast")
    parser.add_argument(
        "--only", type=chosen, default=tuple(keys), metavar=",".join(keys[:2]), help="only these"
    )
    parser.add_argument(
        "--backend", choices=["pure", "native", "both"], default="both", help="which backend (both)"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown tables")
    default = Path(__file__).parent / json_file
    parser.add_argument(
        "--json", type=Path, default=default, metavar="FILE", help=f"results (bench/{json_file})"
    )
    if others:
        parser.add_argument(
            "--python",
            action="append",
            default=[],
            metavar="PATH",
            help="measure with this interpreter too, in columns of its own, such as one without a GIL; repeatable",
        )
    return Options(**vars(parser.parse_args()))
