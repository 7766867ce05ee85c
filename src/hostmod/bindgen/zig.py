"""x"""
from collections.abc import Sequence
from hostmod.bindgen.model import Interface


def generate(interfaces: Sequence[Interface]) -> str:
    """x"""
    return ""
