"""The wordcount example: its counts are Python's own, and every errno reaches the guest and is handled there."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import demo
import hostmod
from hostmod.testing import call
from hostmod.types import Pointer, Uint64
from kv import ENOBUFS, ENOENT, ENOSPC, EOVERFLOW, Kv, StoreFullError


def count_in_python(text: bytes) -> Counter[str]:
    """Count words as wordcount.c defines them: runs of ASCII letters and underscores, cut to 63 bytes."""
    return Counter(word[:63].decode() for word in re.findall(rb"[A-Za-z_]+", text))


@pytest.fixture(scope="module")
def text() -> bytes:
    return demo.library_text(1 << 20)


def count_words(text: bytes, path: str = ":memory:", *, capacity: int | None = None) -> demo.Outcome:
    with Kv(path, capacity=capacity) as kv:
        return demo.count_words(text, kv)


def test_counts_are_the_same_as_pythons_own(text: bytes) -> None:
    assert count_words(text) == (count_in_python(text), 0)


PIECE = 65536


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"", id="no text"),
        pytest.param(b"last word has no end", id="no final newline"),
        pytest.param(b"a " * (PIECE // 2) + b"a", id="a piece that ends with a word's end"),
        pytest.param(b" " * (PIECE - 2) + b"split in two", id="a word across two pieces"),
        pytest.param(b"x" * (2 * PIECE + 1), id="a word across three pieces"),
        pytest.param(b" ".join(b"y" * n for n in (62, 63, 64, 65)), id="words around the longest"),
        pytest.param(bytes(range(256)) * 3, id="every byte"),
        pytest.param("naïve café".encode(), id="letters that are not ASCII"),
        pytest.param(
            " ".join(f"w{'abcdefghij'[n % 10] * (n // 10 + 1)}" for n in range(600)).encode(), id="long words"
        ),
    ],
)
def test_words_are_found_in_unusual_texts(text: bytes) -> None:
    assert count_words(text) == (count_in_python(text), 0)


def test_top_words_are_printed_best_first_through_the_host(
    text: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = count_words(text)
    best = sorted(outcome.counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    assert capsys.readouterr().out.splitlines()[1:] == [f"{count:>10}  {word}" for word, count in best]


def test_a_missing_key_and_a_small_buffer_come_back_as_errnos_and_are_handled(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    Logged = hostmod.decorate(Kv, hostmod.log(logging.getLogger("kv")))
    with caplog.at_level(logging.INFO, logger="kv"), Logged() as kv:
        demo.count_words(b"a_word_of_over_sixteen_bytes", kv)
    results = [(line.partition("(")[0], line.rpartition(" → ")[2]) for line in caplog.messages]
    enoent, enobufs = (hostmod.error_strings[number] for number in (ENOENT, ENOBUFS))
    assert results == [
        ("kv::get", f"ERROR: {enoent}"),
        ("kv::set", "OK"),
        ("kv::commit", "OK"),
        ("kv::top", f"ERROR: {enobufs}"),
        ("kv::top", "OK"),
    ]
    assert capsys.readouterr().out == "     count  word\n         1  a_word_of_over_sixteen_bytes\n"


def test_a_full_store_refuses_new_words_and_still_counts_those_it_has(text: bytes) -> None:
    expected = count_in_python(text)
    counts, refused = count_words(text, capacity=100)
    assert len(counts) == 100
    assert sum(counts.values()) + refused == expected.total()
    assert all(counts[word] <= expected[word] for word in counts)


def test_a_file_keeps_the_counts_and_a_second_run_adds_to_them(tmp_path: Path) -> None:
    path = str(tmp_path / "counts.db")
    text = b"one two two three three three"
    assert count_words(text, path).counts == {"one": 1, "two": 2, "three": 3}
    assert count_words(text, path).counts == {"one": 2, "two": 4, "three": 6}
    with Kv(path) as kv:
        assert kv.counts() == {"one": 2, "two": 4, "three": 6}


def test_what_was_not_committed_is_gone_when_the_store_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "counts.db")
    with Kv(path) as kv:
        kv.set("kept", 1)
        kv.commit()
        kv.set("gone", 1)
    with Kv(path) as kv:
        assert kv.counts() == {"kept": 1}


def test_methods_of_a_host_module_stay_ordinary_methods() -> None:
    with Kv(capacity=1) as kv:
        kv.set("one", 1)
        kv.set("one", 2)
        with pytest.raises(StoreFullError):
            kv.set("two", 1)
        assert kv.counts() == {"one": 2}


@pytest.mark.parametrize(
    ("name", "arguments", "number"),
    [
        pytest.param(
            "get",
            ["none", Pointer[Uint64](hostmod.FixedSizeMemory(8), 0)],
            ENOENT,
            id="a missing key is ENOENT",
        ),
        pytest.param("set", ["new", 1], ENOSPC, id="a full store is ENOSPC"),
        pytest.param("set", ["old", 1 << 63], EOVERFLOW, id="a count past SQLite's integers is EOVERFLOW"),
    ],
)
def test_each_exception_reaches_the_guest_as_its_number(
    name: str, arguments: list[object], number: int
) -> None:
    with Kv(capacity=1) as kv:
        kv.set("old", 1)
        with pytest.raises(hostmod.ErrnoError) as caught:
            call(getattr(kv, name), *arguments)
    assert caught.value.errno == number


def test_the_whole_demo_runs_as_a_script(tmp_path: Path) -> None:
    db = tmp_path / "counts.db"
    command = [
        sys.executable,
        "-X",
        "utf8",
        "-W",
        "error",
        demo.__file__,
        "--db",
        str(db),
        "--top",
        "10",
        "--mib",
        "0.5",
    ]
    out = subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout
    text = demo.library_text(1 << 19)
    with Kv(str(db)) as kv:
        assert kv.counts() == count_in_python(text)
        assert f"{len(kv.counts()):,} different words" in out
    best, count = count_in_python(text).most_common(1)[0]
    assert f"{count:>10}  {best}\n" in out
    enoent, enobufs = (hostmod.error_strings[number] for number in (ENOENT, ENOBUFS))
    assert re.search(rf"^  kv::get\(.*\) → ERROR: {enoent}$", out, re.MULTILINE)
    assert re.search(rf"^  kv::top\(.*\) → ERROR: {enobufs}$", out, re.MULTILINE)
    assert re.search(r"^kv::set +[\d,]+ +[\d,]+$", out, re.MULTILINE)
    assert re.search(r"words were counted, and [1-9][\d,]* refused\.$", out)


def test_the_guest_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    path = demo.compile_guest()
    monkeypatch.setattr("subprocess.run", None)  # a second compilation would call it
    assert demo.compile_guest() == path
