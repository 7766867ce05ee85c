"""The import path of `hostmod.testing.Recorder` in hostmod 0.1, which stays."""

from hostmod.testing.recorder import Call, Recorder

__all__ = ["Call", "Recorder"]
