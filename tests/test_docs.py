"""The documentation: its code runs, its output is real, its links lead somewhere, and the names it mentions exist.

Every ```python block of a page runs, in order and in one namespace, in a process and a folder of the page's own. What a
block prints is compared with the ```text block right after it; a block that ends with an exception shows what the
interpreter's last lines would be. Comments in front of a block say what else is to be done with it::

    <!-- no-test: reason -->    it is not run
    <!-- varies -->             its output is not compared
    <!-- file: name -->         it is saved under that name
    <!-- run -->                a ```sh block: it is run by the shell

``python tests/test_docs.py`` writes the real output into the pages.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import traceback
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import hostmod
import hostmod.testing  # pyright: ignore[reportUnusedImport]  # pages name what it has
import hostmod.types
import hostmod.wasi  # pyright: ignore[reportUnusedImport]  # pages name what it has

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "RATIONALE.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


@dataclass
class Block:
    """A fenced block: what stands after the fence, its lines, the comments before it, and where its text begins."""

    language: str
    lines: list[str]
    directives: dict[str, str] = field(default_factory=dict)
    start: int = 0
    follows: Block | None = None
    """The block that it stands right after, with nothing but directives between."""

    @property
    def text(self) -> str:
        return "".join(line + "\n" for line in self.lines)


DIRECTIVE = re.compile(r"<!-- (no-test|varies|file|run)(?:: (.*))? -->")


def blocks_of(page: Path) -> list[Block]:
    found: list[Block] = []
    inside: Block | None = None
    previous: Block | None = None
    directives: dict[str, str] = {}
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines()):
        if inside is not None:
            if line.startswith("```"):
                found.append(inside)
                previous, inside = inside, None
            else:
                inside.lines.append(line)
        elif line.startswith("```"):
            inside = Block(line[3:].strip(), [], directives, number + 1, previous)
            directives = {}
        elif match := DIRECTIVE.fullmatch(line.strip()):
            directives[match[1]] = match[2] or ""
        elif line.strip():
            previous = None
            directives = {}
    assert inside is None, f"{page.name}: the block that begins in line {inside.start} has no end"
    return found


def outputs_of(page: Path) -> Iterator[tuple[Block, str]]:
    """Run a page in this process and folder; yield each block that was run, and what it printed."""
    module = types.ModuleType("page")
    del (
        module.__spec__
    )  # no loader made it: from 3.15 on, tracebacks look for one in a module that has a spec
    sys.modules["page"] = module
    for block in blocks_of(page):
        if "no-test" in block.directives:
            continue
        if "file" in block.directives:
            Path(block.directives["file"]).write_text(block.text, encoding="utf-8")
        if block.language == "python":
            yield block, run_python(block, page, module.__dict__)
        elif block.language == "sh" and "run" in block.directives:
            path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
            done = subprocess.run(
                block.text,
                shell=True,
                check=True,
                capture_output=True,
                encoding="utf-8",
                env={**os.environ, "PATH": path},
            )
            yield block, done.stdout


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    printed = io.StringIO()
    source = "\n" * block.start + block.text  # so that tracebacks have the page's line numbers
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(source, str(page), "exec", dont_inherit=True), namespace)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            printed.write("".join(traceback.format_exception_only(error)))
            block.directives["raised"] = ""
    return printed.getvalue()


def report(page: Path) -> list[dict[str, Any]]:
    """What `outputs_of` finds, as JSON can hold it."""
    return [
        {"start": block.start, "output": output, "raised": "raised" in block.directives}
        for block, output in outputs_of(page)
    ]


def run_page(page: Path, folder: Path) -> list[dict[str, Any]]:
    """Run a page in a process of its own: what it does to logging, warnings and threads ends with it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", __file__, str(page)],
        check=False,
        cwd=folder,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )
    assert done.returncode == 0, f"{page.name}: exit code {done.returncode}\n{done.stderr}"
    found: list[dict[str, Any]] = json.loads(done.stdout)
    for each in found:
        each["stderr"] = done.stderr
    return found


def expected_after(page: Path) -> dict[int, Block]:
    """The output block that belongs to a block, by the line in which that begins."""
    return {
        block.follows.start: block
        for block in blocks_of(page)
        if block.language == "text" and block.follows is not None
    }


def plain(output: str) -> str:
    return "".join(line.rstrip() + "\n" for line in output.splitlines())


RUNNABLE = [
    page
    for page in PAGES
    if any(block.language == "python" and "no-test" not in block.directives for block in blocks_of(page))
]


@pytest.mark.parametrize("page", RUNNABLE, ids=lambda page: page.name)
def test_every_example_runs_and_prints_what_the_page_says(page: Path, tmp_path: Path) -> None:
    expected = expected_after(page)
    for each in run_page(page, tmp_path):
        where = f"{page.name}, the block that begins in line {each['start'] + 1}"
        block = expected.get(each["start"])
        if block is None:
            assert not each["raised"], f"{where}:\n{each['output']}\n{each['stderr']}"
        elif "varies" not in block.directives:
            assert plain(each["output"]) == plain(block.text), where


def test_a_block_that_is_not_run_says_why() -> None:
    for page in PAGES:
        for block in blocks_of(page):
            if "no-test" in block.directives:
                assert block.directives["no-test"], f"{page.name}, line {block.start}"


LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def prose_of(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose_of(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(INLINE.sub("", prose_of(page))):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            assert anchor in anchors_of(path), f"{page.name}: {target}"


def exists(dotted: str) -> bool:
    """Whether a name such as hostmod.types.Pointer.load can be reached by attributes."""
    found: Any = hostmod
    for name in dotted.split(".")[1:]:
        fields = getattr(found, "__slots__", ()), getattr(found, "__annotations__", ())
        if not hasattr(found, name) and not any(name in names for names in fields):
            return False
        found = getattr(found, name, None)
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_name_that_a_page_mentions_exists(page: Path) -> None:
    known = {*hostmod.__all__, *hostmod.types.__all__}
    for code in INLINE.findall(prose_of(page)):
        for dotted in re.findall(r"(?<![\w./])hostmod(?:\.[A-Za-z_]\w*)+", code):
            assert exists(dotted), f"{page.name}: `{code}`"
        if match := re.fullmatch(r"([A-Z]\w+)\.([a-z_]\w*)(?:\(.*\))?", code):
            owner, name = match.groups()
            if owner in known:
                home = "hostmod" if owner in hostmod.__all__ else "hostmod.types"
                assert exists(f"{home}.{owner}.{name}"), f"{page.name}: `{code}`"


def test_every_public_name_is_written_about() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in (*hostmod.__all__, *hostmod.types.__all__):
        assert re.search(rf"\b{name}\b", text), f"{name} is in __all__, and in no page"


def write_outputs() -> None:
    """Put the real output into every page."""
    for page in RUNNABLE:
        with tempfile.TemporaryDirectory() as folder:
            found = {each["start"]: each["output"] for each in run_page(page, Path(folder))}
        lines = page.read_text(encoding="utf-8").splitlines()
        for start, block in sorted(expected_after(page).items(), reverse=True):
            if start in found and "varies" not in block.directives:
                lines[block.start : block.start + len(block.lines)] = plain(found[start]).splitlines()
        page.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(report(Path(sys.argv[1]))))
    else:
        write_outputs()
