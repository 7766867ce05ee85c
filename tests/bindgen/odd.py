"""A host module with names and docstrings that end strings and comments where they can."""

from __future__ import annotations

from hostmod import HostModule, function
from hostmod.types import Error, Int32, List, Optional, Pointer, String, Uint8, struct

NAMES = {'na"me */ x\n#error\te\x01b', "back\\slash\\", "naïve →", "late.out"}
"""What a guest imports from it."""


@struct
class Row:
    """Ends a comment */ and begins /* another, "quotes" \\ and {braces} %s \\

    line two */ // \\
    """

    a: Uint8


class Odd(HostModule, name='we"ird\\ mod*/\n#error/*ule'):
    """Doc */ #error "x" \\"""

    @function('na"me */ x\n#error\te\x01b')
    def many(self, class_: String, void: Pointer[Row], self_: Int32) -> Error:
        """Doc with */ end, and a backslash \\"""

    @function("back\\slash\\")
    def slashes(self) -> Int32:
        """??/ is a backslash to some."""
        return 0

    @function("naïve →")
    def naive(self) -> Int32:
        return 0

    @function
    def late(self, rows: List[Row]) -> Optional[Uint8]:
        """\r\nodd\u2028line\x0bend\x0c*/"""
        return 1
