"""The public import path of the cache of compiled guests: `ModuleCache`."""

from hostmod.tools.cache import ModuleCache, Settings, default_folder

__all__ = ["ModuleCache", "Settings", "default_folder"]
