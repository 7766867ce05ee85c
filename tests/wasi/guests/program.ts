// A program in AssemblyScript: each argument names something to do with the system, and to report in a line or more.

@external("wasi_snapshot_preview1", "args_sizes_get") declare function args_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "args_get") declare function args_get(argv: usize, buffer: usize): i32;
@external("wasi_snapshot_preview1", "environ_sizes_get") declare function environ_sizes_get(count: usize, size: usize): i32;
@external("wasi_snapshot_preview1", "environ_get") declare function environ_get(environ: usize, buffer: usize): i32;
@external("wasi_snapshot_preview1", "clock_time_get") declare function clock_time_get(id: u32, precision: u64, time: usize): i32;
@external("wasi_snapshot_preview1", "clock_res_get") declare function clock_res_get(id: u32, resolution: usize): i32;
@external("wasi_snapshot_preview1", "random_get") declare function random_get(buffer: usize, length: u32): i32;
@external("wasi_snapshot_preview1", "fd_write") declare function fd_write(fd: u32, iovs: usize, count: u32, written: usize): i32;
@external("wasi_snapshot_preview1", "fd_read") declare function fd_read(fd: u32, iovs: usize, count: u32, read: usize): i32;
@external("wasi_snapshot_preview1", "fd_seek") declare function fd_seek(fd: u32, offset: i64, whence: u32, position: usize): i32;
@external("wasi_snapshot_preview1", "fd_close") declare function fd_close(fd: u32): i32;
@external("wasi_snapshot_preview1", "fd_filestat_get") declare function fd_filestat_get(fd: u32, stat: usize): i32;
@external("wasi_snapshot_preview1", "fd_readdir") declare function fd_readdir(fd: u32, buffer: usize, length: u32, cookie: u64, used: usize): i32;
@external("wasi_snapshot_preview1", "fd_prestat_get") declare function fd_prestat_get(fd: u32, stat: usize): i32;
@external("wasi_snapshot_preview1", "fd_prestat_dir_name") declare function fd_prestat_dir_name(fd: u32, path: usize, length: u32): i32;
@external("wasi_snapshot_preview1", "path_open") declare function path_open(fd: u32, dirflags: u32, path: usize, length: u32, oflags: u32, base: u64, inheriting: u64, fdflags: u32, opened: usize): i32;
@external("wasi_snapshot_preview1", "path_unlink_file") declare function path_unlink_file(fd: u32, path: usize, length: u32): i32;
@external("wasi_snapshot_preview1", "path_rename") declare function path_rename(fd: u32, old: usize, oldLength: u32, newFd: u32, path: usize, length: u32): i32;
@external("wasi_snapshot_preview1", "poll_oneoff") declare function poll_oneoff(subscriptions: usize, events: usize, count: u32, stored: usize): i32;
@external("wasi_snapshot_preview1", "proc_exit") declare function proc_exit(code: u32): void;

const ROOT: u32 = 3;
const CREAT: u32 = 1, TRUNC: u32 = 8;
const READ: u64 = 1 << 1, SEEK: u64 = 1 << 2, WRITE: u64 = 1 << 6, FILESTAT: u64 = 1 << 21;

const out = memory.data(8);
const vector = memory.data(8, 8);
const buffer = memory.data(4096, 8);

function must(what: string, errno: i32): void {
  if (errno) {
    write(2, what + ": errno " + errno.toString() + "\n");
    proc_exit(100);
  }
}

function tryWrite(fd: u32, data: ArrayBuffer): i32 {
  let at: u32 = 0;
  while (at < <u32>data.byteLength) {
    store<u32>(vector, changetype<usize>(data) + at);
    store<u32>(vector, data.byteLength - at, 4);
    const errno = fd_write(fd, vector, 1, out);
    if (errno) return errno;
    at += load<u32>(out);
  }
  return 0;
}

function write(fd: u32, text: string): void {
  if (tryWrite(fd, String.UTF8.encode(text))) unreachable();
}

function print(text: string): void {
  write(1, text + "\n");
}

function readAll(fd: u32): string {
  let data: u8[] = [];
  let size: u32 = 0;
  do {
    store<u32>(vector, buffer);
    store<u32>(vector, 1000, 4);
    must("fd_read", fd_read(fd, vector, 1, out));
    size = load<u32>(out);
    for (let at: u32 = 0; at < size; at++) data.push(load<u8>(buffer + at));
  } while (size);
  return String.UTF8.decodeUnsafe(data.dataStart, data.length);
}

function open(path: string, oflags: u32, rights: u64): u32 {
  const name = String.UTF8.encode(path);
  must("path_open", path_open(ROOT, 1, changetype<usize>(name), name.byteLength, oflags, rights, 0, 0, out));
  return load<u32>(out);
}

function strings(environment: bool): string[] {
  must("sizes", environment ? environ_sizes_get(out, vector) : args_sizes_get(out, vector));
  const count = load<u32>(out), size = load<u32>(vector);
  const pointers = new ArrayBuffer(4 * count), data = new ArrayBuffer(size);
  const first = changetype<usize>(pointers), bytes = changetype<usize>(data);
  must("strings", environment ? environ_get(first, bytes) : args_get(first, bytes));
  const found: string[] = [];
  for (let index: u32 = 0; index < count; index++) {
    found.push(String.UTF8.decodeUnsafe(load<u32>(first + 4 * index), size, true));
  }
  return found;
}

function time(clock: u32): u64 {
  must("clock_time_get", clock_time_get(clock, 1, out));
  return load<u64>(out);
}

function clocks(): void {
  const first = time(1);
  let last = first;
  for (let round = 0; round < 100; round++) {
    const now = time(1);
    if (now < last) proc_exit(101);
    last = now;
  }
  print("real time " + time(0).toString());
  must("clock_res_get", clock_res_get(1, out));
  print("resolution " + load<u64>(out).toString());
  memory.fill(buffer, 0, 48);
  store<u32>(buffer, 1, 16); // wait for the monotonic clock
  store<u64>(buffer, 3000000, 24);
  must("poll_oneoff", poll_oneoff(buffer, buffer + 64, 1, out));
  print("slept " + (time(1) - last >= 3000000).toString());
}

function random(): void {
  const length = 16;
  must("random_get", random_get(buffer, length));
  let text = "";
  for (let at = 0; at < length; at++) text += load<u8>(buffer + at).toString(16).padStart(2, "0");
  print(text);
}

function files(): void {
  let text = "";
  for (let line = 1; line <= 500; line++) text += "line " + line.toString() + " ✓\n";
  const made = open("notes", CREAT | TRUNC, READ | WRITE | SEEK | FILESTAT);
  must("fd_write", tryWrite(made, String.UTF8.encode(text)));
  must("fd_seek", fd_seek(made, 0, 0, out));
  print("read what was written: " + (readAll(made) == text).toString());
  must("fd_filestat_get", fd_filestat_get(made, buffer));
  print("type " + load<u8>(buffer + 16).toString() + ", " + load<u64>(buffer + 32).toString() + " bytes");
  must("fd_close", fd_close(made));
  const old = String.UTF8.encode("notes"), name = String.UTF8.encode("nötes");
  const from = changetype<usize>(old), to = changetype<usize>(name);
  must("path_rename", path_rename(ROOT, from, old.byteLength, ROOT, to, name.byteLength));
  must("fd_readdir", fd_readdir(ROOT, buffer, 4096, 0, out));
  const used = load<u32>(out);
  for (let at: usize = 0; at < used; at += 24 + load<u32>(buffer + at + 16)) {
    print("entry " + String.UTF8.decodeUnsafe(buffer + at + 24, load<u32>(buffer + at + 16)));
  }
  print("gone: errno " + path_unlink_file(ROOT, from, old.byteLength).toString());
  must("path_unlink_file", path_unlink_file(ROOT, to, name.byteLength));
}

function preopened(): void {
  for (let fd: u32 = ROOT; ; fd++) {
    const errno = fd_prestat_get(fd, out);
    if (errno) {
      print(fd.toString() + " errno " + errno.toString());
      return;
    }
    const length = load<u32>(out, 4);
    must("fd_prestat_dir_name", fd_prestat_dir_name(fd, buffer, length));
    print(fd.toString() + " " + String.UTF8.decodeUnsafe(buffer, length));
  }
}

export function _start(): void {
  const args = strings(false);
  for (let index = 1; index < args.length; index++) {
    const what = args[index];
    if (what == "args") print(args.join("|"));
    else if (what == "env") print(strings(true).join("|"));
    else if (what == "clocks") clocks();
    else if (what == "random") random();
    else if (what == "files") files();
    else if (what == "preopened") preopened();
    else if (what == "shout") write(1, readAll(0).toUpperCase());
    else proc_exit(42);
  }
}
