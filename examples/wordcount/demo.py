"""The demo: a guest written in C counts the words of Python's own standard library, and keeps them in SQLite.

Run it as a script; wordcount.c is compiled with the ziglang package first::

    python demo.py
    python demo.py --db counts.db    # keeps the counts in a file; run it again, and they are added to
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import hostmod
from hostmod.types import Error, String, Uint32, Uint64
from kv import Kv
from watch import Meter, OneLine, first

HERE = Path(__file__).resolve().parent
MIB = 1 << 20


# --- What the guest imports: the functions of kv.py, and this one, which needs no state -------------------------------

console = hostmod.module("console")


@console.function("print")
def print_line(line: String) -> None:
    """Show one line of text."""
    print(line)


# --- What the guest exports: its signatures are checked against these, and an errno becomes an exception --------------


class WordCount(hostmod.GuestModule):
    """A word counter: write a piece of text at `buffer`, `feed` it, go on to the next, `finish`."""

    @hostmod.export
    def buffer(self) -> Uint32: ...

    @hostmod.export
    def piece_size(self) -> Uint32: ...

    @hostmod.export
    def feed(self, length: Uint32) -> Error: ...

    @hostmod.export
    def finish(self, top: Uint32) -> Error: ...

    @hostmod.export
    def words_refused(self) -> Uint64: ...


# --- Running it -------------------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """What one run left in the store, and how many words a full store refused."""

    counts: dict[str, int]
    refused: int


def count_words(text: bytes, kv: Kv, *, top: int = 10) -> Outcome:
    """Hand the text to a new guest, piece by piece; the guest prints the `top` words of the store."""
    with hostmod.instantiate(compile_guest(), kv, console) as guest:
        words = WordCount(guest)
        buffer, size = words.buffer(), words.piece_size()
        for start in range(0, len(text), size):
            piece = text[start : start + size]
            guest.memory.write(buffer, piece)
            words.feed(len(piece))
        words.finish(top)
        return Outcome(kv.counts(), words.words_refused())


def compile_guest() -> Path:
    """Compile wordcount.c to WebAssembly, unless build/ has the result for the same sources and compiler."""
    source, header = HERE / "wordcount.c", HERE / "kv.h"
    options = ["--target=wasm32-freestanding", "-nostdlib", "-Wl,--no-entry"]  # no libc and no main
    options += ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O2", "-s"]
    recipe = f"{version('ziglang')} {options}".encode() + source.read_bytes() + header.read_bytes()
    wasm = HERE / "build" / f"wordcount-{hashlib.sha256(recipe).hexdigest()[:16]}.wasm"
    if not wasm.exists():
        wasm.parent.mkdir(exist_ok=True)
        unfinished = wasm.with_suffix(f".{os.getpid()}")
        zig_cc = [sys.executable, "-m", "ziglang", "cc", *options, str(source), "-o", str(unfinished)]
        subprocess.run(zig_cc, check=True)
        unfinished.replace(wasm)  # in one step, so that nobody ever loads half a file
    return wasm


def library_text(limit: int) -> bytes:
    """Read sources of the standard library, up to `limit` bytes."""
    root = Path(sysconfig.get_path("stdlib"))
    # Packages that are not the library's, tests, and encodings, which are tables of numbers.
    skipped = {"site-packages", "dist-packages", "test", "tests", "idle_test", "encodings"}
    paths = (path for path in sorted(root.rglob("*.py")) if skipped.isdisjoint(path.relative_to(root).parts))
    text = bytearray()
    while len(text) < limit and (path := next(paths, None)):
        text += path.read_bytes()
    return bytes(text[:limit])


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo and return its exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--db", default=":memory:", metavar="FILE", help="keep the counts in this file")
    parser.add_argument("--top", default=10, type=int, metavar="N", help="print the N most frequent words")
    parser.add_argument("--mib", default=4, type=float, metavar="N", help="count N MiB of text")
    options = parser.parse_args(argv)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(OneLine("  %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])

    print(f"wordcount.c is {compile_guest().stat().st_size:,} bytes of WebAssembly.")
    text = library_text(int(options.mib * MIB))
    print(
        f"It reads {len(text):,} bytes of Python's standard library; the first calls of each host function:"
    )
    meter = Meter()
    Watched = hostmod.decorate(Kv, meter, first(3, hostmod.log(logging.getLogger("kv"))))
    with Watched(options.db) as kv:
        start = time.perf_counter_ns()
        outcome = count_words(text, kv, top=options.top)
        meter.report(time.perf_counter_ns() - start)
    print(f"{len(outcome.counts):,} different words are in the store.")

    room = 1000
    print(f"\nThe same with a store that is full after {room:,} words:")
    with Kv(capacity=room) as kv:
        outcome = count_words(text[:MIB], kv, top=3)
    print(f"{sum(outcome.counts.values()):,} words were counted, and {outcome.refused:,} refused.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
