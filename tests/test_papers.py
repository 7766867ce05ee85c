"""The papers of the project: what they name exists, and what contributors need is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAPERS = [
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    ".github/pull_request_template.md",
    ".github/ISSUE_TEMPLATE/bug.yml",
    ".github/ISSUE_TEMPLATE/idea.yml",
]
PATH = re.compile(r"(?<![\w/.-])((?:src|tests|scripts|docs|bench|examples|\.ci)/[\w./*-]*[\w/*])")
SCRIPT = re.compile(r"python (scripts/\w+\.py)((?: [^\n#]*)?)")


def text(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("name", PAPERS)
def test_each_path_that_a_paper_names_is_there(name: str) -> None:
    missing = [path for path in PATH.findall(text(name)) if not any(ROOT.glob(path.rstrip("/")))]
    assert missing == []


@pytest.mark.parametrize("name", [name for name in PAPERS if name.endswith(".md")])
def test_each_link_of_a_paper_leads_somewhere(name: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(name)):
        if not target.startswith("https://"):
            path, _, anchor = target.partition("#")
            page = ROOT / name if not path else (ROOT / name).parent / path
            assert page.is_file(), target
            headings = [
                re.sub(r"[^\w -]", "", line.lstrip("# ").lower())
                for line in page.read_text("utf-8").splitlines()
            ]
            assert not anchor or anchor in [heading.replace(" ", "-") for heading in headings], target


@pytest.mark.parametrize("name", PAPERS)
def test_each_target_of_make_that_a_paper_names_is_there(name: str) -> None:
    targets = re.findall(r"^([\w-]+):", text("Makefile"), re.MULTILINE)
    named = re.findall(r"(?:`|^)(?:HOSTMOD_NO_EXTENSIONS=1 )?make ([\w-]+)", text(name), re.MULTILINE)
    assert [each for each in named if each not in targets] == []


def test_each_script_takes_the_options_that_are_shown() -> None:
    found = SCRIPT.findall(text("CONTRIBUTING.md"))
    assert len(found) >= 5
    for script, arguments in found:
        options = re.findall(r"(--[a-z]+)", arguments.partition(" -- ")[0])
        shown = subprocess.run(
            [sys.executable, script, "--help"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        ).stdout
        if options:
            assert [option for option in options if option not in shown] == [], script


def test_the_layout_names_each_file_and_package_once() -> None:
    (picture,) = re.findall(r"```text\nsrc/hostmod/\n(.*?)```", text("CONTRIBUTING.md"), re.DOTALL)
    named = re.findall(r"^    ([\w/]+)", picture, re.MULTILINE)
    source = ROOT / "src" / "hostmod"
    there = {path.name + "/" for path in source.iterdir() if (path / "__init__.py").exists()}
    there |= {path.stem for path in source.glob("*.py")}
    besides = {
        "__init__",
        "__main__",
        "_codegen",
        "cache",
        "recorder",
    }  # the public API, and import paths that stay
    assert sorted(named) == sorted(there - besides)


def test_each_kind_of_change_has_one_place_to_open() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", text("CONTRIBUTING.md"), re.MULTILINE)
    places = {row[0]: row for row in rows[: next(i for i, row in enumerate(rows) if row[0] == "use")]}
    for kind in ("guest type", "wasmtime version", "Python version", "bindgen language", "WASI function"):
        (found,) = [row for name, row in places.items() if kind in name]
        assert len(PATH.findall(found[1])) == 1, kind
    assert any("error message" in name for name in places)
    assert any("command" in name for name in places)


def test_the_glossary_has_the_words() -> None:
    for word in (
        "GIL",
        "backend",
        "trampoline",
        "core value",
        "view",
        "escaped view",
        "store guard",
        "public API",
    ):
        assert re.search(rf"^\| {word}", text("CONTRIBUTING.md"), re.MULTILINE), word


def test_the_changelog_has_a_section_for_what_is_new() -> None:
    assert re.search(r"^## \[Unreleased\]$", text("CHANGELOG.md"), re.MULTILINE)


def test_the_versions_of_the_package_agree() -> None:
    (declared,) = re.findall(r'^version = "(.+)"$', text("pyproject.toml"), re.MULTILINE)
    (told,) = re.findall(r'^__version__ = "(.+)"$', text("src/hostmod/__init__.py"), re.MULTILINE)
    assert declared == told
