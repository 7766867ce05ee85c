"""scripts/matrix.py: which tests, packages and Pythons it takes, and how it counts what came of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "matrix.py"

REPORT = """\
<testsuites><testsuite>
  <testcase classname="tests.test_a" name="test_good[1]" time="0.1" />
  <testcase classname="tests.test_a" name="test_bad" time="0.1"><failure message="no" /></testcase>
  <testcase classname="tests.test_a" name="test_ended_badly" time="0.1"><error message="at teardown" /></testcase>
  <testcase classname="tests.test_b" name="test_left_out" time="0"><skipped message="no compiler" /></testcase>
  <testcase classname="tests.test_b" name="test_left_out_too" time="0"><skipped message="no compiler" /></testcase>
</testsuite></testsuites>
"""


@pytest.fixture(scope="module")
def matrix() -> Any:
    specification = importlib.util.spec_from_file_location("matrix", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules["matrix"] = module  # where dataclasses look for the names of its annotations
    specification.loader.exec_module(module)
    return module


def test_each_set_of_tests_is_made_of_files_that_exist(matrix: Any) -> None:
    found = matrix.tests(list(matrix.TESTS))
    assert "tests/test_laws_memory.py" in found
    assert [name for name in found if not (SCRIPT.parent.parent / name).exists()] == []
    assert matrix.tests(["tests/test_plan.py::test_x"]) == ["tests/test_plan.py::test_x"]


def test_a_set_of_tests_that_finds_no_file_is_refused(matrix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(matrix.TESTS, "gone", ("tests/test_gone_*.py",))
    with pytest.raises(SystemExit, match=r"no file is tests/test_gone_\*\.py, which 'gone' names"):
        matrix.tests(["gone"])


def test_the_packages_of_an_extra_are_those_of_the_extras_that_it_names_too(matrix: Any) -> None:
    found = list(matrix.requirements("test"))
    assert [each for each in found if each.startswith("hostmod")] == []
    assert {"click>=8.2", "pytest>=8"} <= set(found)


def test_this_python_is_found_by_its_version_and_by_its_path(matrix: Any) -> None:
    version = matrix.version(sys.executable)
    assert version.startswith(f"{sys.version_info[0]}.{sys.version_info[1]}")
    assert matrix.interpreter(version) == (version, sys.executable)
    assert matrix.interpreter(sys.executable) == (version, sys.executable)
    with pytest.raises(matrix.Unavailable, match="/nowhere/python does not run"):
        matrix.interpreter("/nowhere/python")


def test_a_report_is_counted_and_what_failed_or_was_skipped_is_named(matrix: Any, tmp_path: Path) -> None:
    (tmp_path / "report.xml").write_text(REPORT, "utf-8")
    row = matrix.Row("3.15", "50.0.1", "native")
    matrix.read(row, tmp_path / "report.xml")
    assert dict(row.counts) == {"passed": 1, "failed": 2, "skipped": 2}
    assert not row.good
    assert list(matrix.details([row]))[:3] == [
        "failed: tests/test_a.py::test_bad  (3.15/50.0.1/native)",
        "failed: tests/test_a.py::test_ended_badly  (3.15/50.0.1/native)",
        "skipped: 2 x no compiler  (3.15/50.0.1/native)",
    ]
    assert [line.split() for line in matrix.table([row]).splitlines()[2:]] == [
        ["|", "3.15", "|", "50.0.1", "|", "native", "|", "1", "|", "2", "|", "2", "|", "0", "|", "|"],
    ]


def test_a_row_in_which_nothing_ran_is_no_success(matrix: Any) -> None:
    row = matrix.Row("3.15", "50.0.1", "native")
    assert not row.good
    row.counts["passed"] = 1
    assert row.good
    row.outcome = "not done after 5 s"
    assert not row.good
