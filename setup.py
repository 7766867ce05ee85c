"""Builds the native backend where there is a compiler, and does without it where there is none."""

import os

from setuptools import Extension, setup

if os.environ.get("HOSTMOD_NO_EXTENSIONS", "") in ("", "0"):
    extensions = [
        Extension(
            "hostmod._backend._native",
            ["src/hostmod/_backend/_native.c"],
            extra_compile_args=os.environ.get("HOSTMOD_CFLAGS", "").split(),
            extra_link_args=os.environ.get("HOSTMOD_LDFLAGS", "").split(),
            optional=True,  # no compiler: the pure-Python backend serves
        )
    ]
else:
    extensions = []

setup(ext_modules=extensions)
