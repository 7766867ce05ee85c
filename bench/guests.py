"""The guests, as WebAssembly text: loops that call the host, and a function for the host to call."""

from __future__ import annotations

from collections.abc import Sequence

#: The module name under which every guest imports its host functions.
HOST = "host"

#: Where the 32-byte text of W2 lies, and what it says.
TEXT_AT = 1024
TEXT = "the quick brown fox jumps over a"
#: Where the struct of W4 goes, the fields of structs and the items of lists.
RECORDS_AT = 4096
#: Where the 64 KiB buffer of W3 lies.
BUFFER_AT = 65536
BUFFER_SIZE = 65536


def loop(name: str, arguments: Sequence[str], results: Sequence[str] = (), *, check: str = "") -> str:
    """A guest whose export `run(n)` calls one import `n` times.

    Args:
        name: the import's name, in the module `host`.
        arguments: a constant for each parameter, such as `"i32.const 2"`.
        results: the core type of each result.
        check: an i32 expression, the result of `run`; without it, the sum of the results if there is just one
            and it is an i32, or else 0.
    """
    parameters = " ".join(
        "externref" if argument.startswith("ref.") else argument.partition(".")[0] for argument in arguments
    )
    call = " ".join(f"({argument})" for argument in arguments) + " (call $work)"
    if list(results) == ["i32"]:
        call = f"(local.get $sum) {call} (i32.add) (local.set $sum)"
    else:
        call += " (drop)" * len(results)
    return f"""
    (module
      (import "{HOST}" "{name}" (func $work (param {parameters}) (result {" ".join(results)})))
      (memory (export "memory") 4)
      (data (i32.const {TEXT_AT}) "{TEXT}\\00")
      (func (export "run") (param $n i32) (result i32)
        (local $sum i32)
        (block $done
          (loop $again
            (br_if $done (i32.eqz (local.get $n)))
            {call}
            (local.set $n (i32.sub (local.get $n) (i32.const 1)))
            (br $again)))
        {check or "(local.get $sum)"}))
    """


#: W1 to W4; W7 makes a fresh one of ADD for each operation. What `run` returns shows that the host did its work.
ADD = loop("add", ["i32.const 2", "i32.const 40"], ["i32"])
LENGTH = loop("length", [f"i32.const {TEXT_AT}", f"i32.const {len(TEXT)}"], ["i32"])
TOUCH = loop(
    "touch",
    [f"i32.const {BUFFER_AT}", f"i32.const {BUFFER_SIZE}"],
    check=f"(i32.add (i32.load8_u (i32.const {BUFFER_AT}))"
    f" (i32.load8_u (i32.const {BUFFER_AT + BUFFER_SIZE - 1})))",
)
STAT = loop(
    "stat",
    [f"i32.const {RECORDS_AT}"],
    ["i32"],
    check=f"(i32.add (local.get $sum) (i32.add (i32.load (i32.const {RECORDS_AT}))"
    f" (i32.add (i32.load offset=4 (i32.const {RECORDS_AT})) (i32.load offset=8 (i32.const {RECORDS_AT})))))",
)

#: W5, and a function that keeps a core busy: `spin(SPINS)` takes about a millisecond.
SPINS = 1_000_000
CALCULATOR = """
(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "spin") (param $n i32) (result i32)
    (local $x i32)
    (loop $again
      (local.set $x (i32.xor (i32.mul (local.get $x) (i32.const 1664525)) (local.get $n)))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $x)))
"""

#: W6: how many functions are linked, all of which the guest imports.
TWENTY = 20
IMPORTER = f"""
(module
  {"".join(f'(import "{HOST}" "f{i}" (func (param i32 i32) (result i32)))' for i in range(TWENTY))}
  (memory (export "memory") 1)
  (func (export "run") (result i32) (call 0 (i32.const 2) (i32.const 40))))
"""
