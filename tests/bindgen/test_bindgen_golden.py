"""Bindings in every language, compared with files of this folder: what changes in them is seen in a review.

``python tests/bindgen/test_bindgen_golden.py`` writes the files.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from every import Every

from hostmod.tools.bindgen import LANGUAGES, generate

GOLDEN = Path(__file__).parent / "golden"

NAMES = {
    "c": "every.h",
    "cpp": "every.hpp",
    "rust": "every.rs",
    "zig": "every.zig",
    "tinygo": "every.go",
    "assemblyscript": "every.ts",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_bindings_are_as_they_were(language: str) -> None:
    assert (
        generate(language, [Every]).splitlines() == (GOLDEN / NAMES[language]).read_text("utf-8").splitlines()
    )


if __name__ == "__main__":
    for language, name in NAMES.items():
        (GOLDEN / name).write_text(generate(language, [Every]), encoding="utf-8", newline="\n")
