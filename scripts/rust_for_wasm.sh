#!/usr/bin/env bash
# Fetches Debian's Rust compiler with its wasm32 target into build/rust, where tests/bindgen finds it: about 100 MB. Needs
# no root, and leaves the system's packages and lists as they are; where there is no apt-get, it says so and fails.
#
#     scripts/rust_for_wasm.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

target=$PWD/build/rust
if [ -x "$target/rustc" ]; then
    exit 0
fi
for tool in apt-get apt-cache dpkg-deb; do
    command -v "$tool" >/dev/null || { echo "rust_for_wasm: no $tool here, which fetches Debian's packages" >&2; exit 1; }
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/packages"
options=(
    -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o "APT::Sandbox::User="
    -o "Acquire::http::Timeout=30" -o "Acquire::https::Timeout=30" -o "Acquire::Retries=2"
)
timeout 300 apt-get "${options[@]}" -qq update

# Of what the compiler depends on, only its own parts: the system has a C library.
part_of() { # PATTERN PACKAGE...: the first package of that name that one of these depends on
    local pattern=$1
    shift
    apt-cache "${options[@]}" depends "$@" | grep -oE "\\b$pattern\$" | sort -u | head -n 1
}
standard=$(part_of 'libstd-rust-[0-9][0-9.]*' rustc libstd-rust-dev)
names=(
    rustc libstd-rust-dev-wasm32 "$standard"
    "$(part_of 'libllvm[0-9.]+' "$standard")" "$(part_of 'lld-[0-9]+' libstd-rust-dev-wasm32)"
)
(cd "$work/packages" && timeout 600 apt-get "${options[@]}" -qq download "${names[@]}")
for package in "$work"/packages/*.deb; do
    dpkg-deb --extract "$package" "$work/root"
done

rm -rf "$work/root/usr/lib/rustlib/wasm32-wasi"

libraries=$(dirname "$(find "$work/root/usr/lib" -name 'librustc_driver-*.so' | head -n 1)")
cat >"$work/root/rustc" <<END
#!/bin/sh
# Written by scripts/rust_for_wasm.sh: Debian's rustc, its libraries and its linker, from this folder.
here=\$(cd "\$(dirname "\$0")" && pwd)
PATH="\$here/usr/bin:\$PATH" LD_LIBRARY_PATH="\$here${libraries#"$work/root"}" exec "\$here/usr/bin/rustc" "\$@"
END
chmod +x "$work/root/rustc"
mkdir -p build
rm -rf "$target"
mv "$work/root" "$target"
"$target/rustc" --version
