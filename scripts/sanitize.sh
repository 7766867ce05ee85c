#!/usr/bin/env bash
# Builds the native backend with AddressSanitizer and UndefinedBehaviorSanitizer, in a place of its own, and runs tests
# with it: those given as arguments, or all that exercise it. Needs gcc, and a Python with the packages of hostmod[test].
#
#     scripts/sanitize.sh                                 about five minutes
#     PYTHON=.venv/bin/python scripts/sanitize.sh tests/test_backend_native.py -k guard
#     EXECUTIONS=100000 scripts/sanitize.sh               compares the backends for longer, after the tests
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-$(if [ -x .venv/bin/python ]; then echo .venv/bin/python; else command -v python3; fi)}
PYTHON=$(cd "$(dirname "$PYTHON")" && pwd)/$(basename "$PYTHON")

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cp -r setup.py pyproject.toml README.md LICENSE src "$place"
rm -f "$place"/src/hostmod/_backend/*.so
(
    cd "$place"
    # Nothing is optimised away that a sanitizer could look at, and whatever it finds ends the run.
    CC=gcc \
        HOSTMOD_CFLAGS="-O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all" \
        HOSTMOD_LDFLAGS="-fsanitize=address,undefined" \
        "$PYTHON" setup.py -q build_ext --inplace
)
ls "$place"/src/hostmod/_backend/*.so >/dev/null

# The interpreter is not built with the sanitizers, so their runtime is loaded before it. Its objects come from malloc, one
# by one: pymalloc's arenas would hide what is used after it was freed. Leaks are counted in tests/test_backend_native.py: CPython
# frees little when it ends. wasmtime catches the faults of guests by signals, and has to get them first.
export LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)"
export PYTHONMALLOC=malloc PYTHONPATH="$place/src"
export ASAN_OPTIONS="detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0:allow_user_segv_handler=1:use_sigaltstack=0:detect_stack_use_after_return=1"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1"

"$PYTHON" -c '
from hostmod._backend import _native, select
assert select.active.NAME == "native", select.reason
print("sanitizing", _native.__file__)'

if [ $# -eq 0 ]; then
    # All that exercises it, but what measures the process's memory: freed memory is kept, to see who uses it.
    # Nor what measures the stack: instrumented frames are several times as large.
    set -- tests/test_backends.py tests/test_backend_native.py tests/test_laws_[!aef]*.py tests/test_laws_exceptions.py \
        -k "not wheel" \
        --deselect tests/test_laws_lifetime.py::test_instances_that_come_and_go_leave_nothing_behind \
        --deselect tests/test_laws_lifetime.py::test_calls_of_every_kind_leave_nothing_behind
fi
"$PYTHON" -m pytest -q -p no:cacheprovider "$@"
if [ -n "${EXECUTIONS:-}" ]; then
    "$PYTHON" scripts/compare_backends.py --executions "$EXECUTIONS"
fi
