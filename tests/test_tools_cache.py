"""The cache of compiled guests: when it is used, what it does about damage, and many writers at once."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import wasmtime

import hostmod
from hostmod.guest import compile_bytes
from hostmod.tools.cache import ModuleCache, Settings, default_folder

GUEST = '(module (func (export "one") (result i32) (i32.const 1)))'
OTHER = '(module (func (export "one") (result i32) (i32.const 2)))'


def answer(module: wasmtime.Module, engine: wasmtime.Engine) -> int:
    store = wasmtime.Store(engine)
    function = wasmtime.Instance(store, module, []).exports(store)["one"]
    assert isinstance(function, wasmtime.Func)
    return int(function(store))


def load(cache: ModuleCache, source: str = GUEST, settings: Settings | None = None) -> int:
    settings = settings or Settings()
    engine = settings.engine()
    return answer(cache.load(source, settings, engine), engine)


@pytest.fixture
def cache(tmp_path: Path) -> ModuleCache:
    return ModuleCache(tmp_path / "cache")


def files(cache: ModuleCache) -> list[Path]:
    assert cache.folder is not None
    return sorted(cache.folder.iterdir())


def test_a_guest_is_compiled_once(cache: ModuleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not cache.holds(GUEST)
    assert load(cache) == 1
    assert cache.holds(GUEST)
    monkeypatch.setattr("hostmod.tools.cache.compile_bytes", None)  # compiling would call it
    assert load(cache) == 1


def test_content_and_settings_are_part_of_the_key(cache: ModuleCache) -> None:
    assert (load(cache), load(cache, OTHER)) == (1, 2)
    assert load(cache, GUEST, Settings(interruptible=False, optimize="none")) == 1
    assert len(files(cache)) == 3


def test_the_wasmtime_version_is_part_of_the_key(cache: ModuleCache, monkeypatch: pytest.MonkeyPatch) -> None:
    before = cache.path(b"x", Settings())
    monkeypatch.setattr("hostmod.tools.cache.version", lambda name: "0.0.1")
    assert cache.path(b"x", Settings()) != before


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: data[:-1], id="cut short"),
        pytest.param(lambda data: b"", id="emptied"),
        pytest.param(lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:], id="one bit flipped"),
        pytest.param(lambda data: data + b"x", id="made longer"),
        pytest.param(lambda data: b"something else", id="of another origin"),
    ],
)
def test_a_damaged_file_is_compiled_anew_and_replaced(cache: ModuleCache, damage: object) -> None:
    load(cache)
    (path,) = files(cache)
    good = path.read_bytes()
    path.write_bytes(damage(good))  # type: ignore[operator]  # a function of bytes
    assert load(cache) == 1
    assert len(path.read_bytes()) == len(good)
    assert load(cache) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_file_that_others_could_write_is_not_run(
    cache: ModuleCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(cache)
    (path,) = files(cache)
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    path.chmod(0o666)
    compiled: list[str] = []
    real = compile_bytes

    def anew(name: str, data: bytes, engine: wasmtime.Engine) -> wasmtime.Module:
        compiled.append("again")
        return real(name, data, engine)

    monkeypatch.setattr("hostmod.tools.cache.compile_bytes", anew)
    assert load(cache) == 1
    assert compiled == ["again"]


def test_a_folder_that_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert load(ModuleCache(tmp_path / "file" / "cache")) == 1


def test_threads_and_processes_can_share_a_folder(cache: ModuleCache) -> None:
    code = "import sys; from hostmod.cache import ModuleCache; ModuleCache(sys.argv[1]).load(sys.argv[2])"
    processes = [subprocess.Popen([sys.executable, "-c", code, str(cache.folder), GUEST]) for _ in range(3)]
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.extend(load(cache) for _ in range(5))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert found == [1] * 20
    assert [path.suffix for path in files(cache)] == [".cwasm"]


def test_what_was_used_longest_ago_goes_when_there_is_too_much(cache: ModuleCache) -> None:
    load(cache)
    cache.limit = 1
    load(cache, OTHER)
    assert len(files(cache)) == 1
    assert cache.holds(OTHER)


def test_what_a_writer_left_that_was_ended_goes_after_an_hour(cache: ModuleCache) -> None:
    assert cache.folder is not None
    cache.folder.mkdir(parents=True, exist_ok=True)
    old, new = cache.folder / ".old.new", cache.folder / ".young.new"
    for path in (old, new):
        path.write_bytes(b"half of it")
    an_hour_ago = time.time() - 3700
    os.utime(old, (an_hour_ago, an_hour_ago))
    cache.load("(module)")
    assert (old.exists(), new.exists()) == (False, True)


def test_the_folder_is_the_platforms(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOSTMOD_CACHE_DIR", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("HOSTMOD_CACHE_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_folder() == tmp_path / "xdg" / "hostmod"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_folder() == tmp_path / ".cache" / "hostmod"
    monkeypatch.setattr("sys.platform", "darwin")
    assert default_folder() == tmp_path / "Library" / "Caches" / "hostmod"


def test_errors_are_those_of_load(cache: ModuleCache) -> None:
    with pytest.raises(FileNotFoundError):
        cache.load("none.wasm")
    with pytest.raises(hostmod.GuestFileError):
        cache.load(b"no wasm")
