// Written by `hostmod bindgen assemblyscript`; what stands here follows the Python declaration.
//
// How Python's annotations arrive here:
//
//     String             string
//     Bytes              Uint8Array       a buffer that the host reads or fills
//     Array[T] List[T]   StaticArray<T>   of a struct: its own list class; of String: string[]
//     Pointer[T]         Box<T>           a T that the host reads or fills; of a struct: the struct
//     @struct            a class whose fields lie in memory as Python has them
//     Duration           i64              nanoseconds
//     Error              i32              0, or the errno of what went wrong
//     Optional[T]        Result<T>        error is 0, or the errno, and value counts if it is 0
//     tuple[A, B]        a class with value0, value1

/** One value that the host can read and fill. */
export class Box<T> {
  constructor(public value: T) {}
}

/** A value, or what went wrong in its place. */
export class Result<T> {
  constructor(public error: i32, public value: T) {}
}

/** Texts as the host sees a list of them: pointers and lengths. `keep` holds the bytes. */
function stringsOf(texts: string[], keep: ArrayBuffer[]): StaticArray<u32> {
  const found = new StaticArray<u32>(texts.length * 2);
  for (let i = 0; i < texts.length; i++) {
    const bytes = String.UTF8.encode(texts[i]);
    keep.push(bytes);
    found[2 * i] = <u32>changetype<usize>(bytes);
    found[2 * i + 1] = bytes.byteLength;
  }
  return found;
}

function cstringAt(ptr: usize): string {
  let end = ptr;
  while (load<u8>(end)) end++;
  return String.UTF8.decodeUnsafe(ptr, end - ptr);
}

/* The host module "every". Every guest type, both ways. */

/* Error numbers, and the Python exceptions that they stand for. */
export const ENOENT: i32 = 2; /* KeyError */
export const EDOM: i32 = 33; /* IndexError */
export const ENOBUFS: i32 = 105; /* BufferError */

/* A colour of the traffic light. */
export enum Color {
  RED = 1,
  GREEN = 2,
  BLUE = 200,
}

/* What may be done.
 *
 * Members can be combined.
 */
export enum Access {
  READ = 1,
  WRITE = 2,
  EXECUTE = 8,
}

export namespace Large {
  export const BELOW: i64 = -1099511627776;
  export const ABOVE: i64 = 1099511627776;
}

/* A place; y is at offset 8, since it is aligned to 8 bytes. */
export class Point {
  static readonly SIZE: i32 = 16;
  readonly ptr: usize;
  readonly owner: ArrayBuffer;
  private keep: ArrayBuffer[] = [];
  /** A new one of zeros, or what is at an address that its owner keeps. */
  constructor(ptr: usize = 0, owner: ArrayBuffer | null = null) {
    const own = owner === null ? new ArrayBuffer(16) : owner;
    this.owner = own;
    this.ptr = owner === null ? changetype<usize>(own) : ptr;
  }
  get x(): f32 { return load<f32>(this.ptr, 0); }
  set x(value: f32) { store<f32>(this.ptr, <f32>value, 0); }
  get y(): f64 { return load<f64>(this.ptr, 8); }
  set y(value: f64) { store<f64>(this.ptr, <f64>value, 8); }
}

/** A list of Point, as the host reads and fills it. */
export class PointList {
  readonly ptr: usize;
  readonly owner: ArrayBuffer;
  constructor(public readonly length: i32) {
    this.owner = new ArrayBuffer(length * 16);
    this.ptr = changetype<usize>(this.owner);
  }
  at(index: i32): Point {
    assert(<u32>index < <u32>this.length);
    return new Point(this.ptr + <usize>index * 16, this.owner);
  }
}

export class Sample {
  static readonly SIZE: i32 = 176;
  readonly ptr: usize;
  readonly owner: ArrayBuffer;
  private keep: ArrayBuffer[] = [];
  /** A new one of zeros, or what is at an address that its owner keeps. */
  constructor(ptr: usize = 0, owner: ArrayBuffer | null = null) {
    const own = owner === null ? new ArrayBuffer(176) : owner;
    this.owner = own;
    this.ptr = owner === null ? changetype<usize>(own) : ptr;
  }
  get flag(): bool { return load<bool>(this.ptr, 0); }
  set flag(value: bool) { store<bool>(this.ptr, <bool>value, 0); }
  get small(): i8 { return load<i8>(this.ptr, 1); }
  set small(value: i8) { store<i8>(this.ptr, <i8>value, 1); }
  get wide(): i64 { return load<i64>(this.ptr, 8); }
  set wide(value: i64) { store<i64>(this.ptr, <i64>value, 8); }
  get half(): i16 { return load<i16>(this.ptr, 16); }
  set half(value: i16) { store<i16>(this.ptr, <i16>value, 16); }
  get color(): Color { return <Color>load<u8>(this.ptr, 18); }
  set color(value: Color) { store<u8>(this.ptr, <u8>value, 18); }
  get access(): Access { return <Access>load<u16>(this.ptr, 20); }
  set access(value: Access) { store<u16>(this.ptr, <u16>value, 20); }
  get large(): i64 { return load<i64>(this.ptr, 24); }
  set large(value: i64) { store<i64>(this.ptr, <i64>value, 24); }
  get ratio(): f32 { return load<f32>(this.ptr, 32); }
  set ratio(value: f32) { store<f32>(this.ptr, <f32>value, 32); }
  get span(): i64 { return load<i64>(this.ptr, 40); }
  set span(value: i64) { store<i64>(this.ptr, <i64>value, 40); }
  get point(): Point { return new Point(this.ptr + 48, this.owner); }
  set point(value: Point) { memory.copy(this.ptr + 48, value.ptr, 16); }
  numbersAt(index: i32): u32 {
    assert(<u32>index < 3);
    return <u32>load<u32>(this.ptr + <usize>index * 4, 64);
  }
  setNumbersAt(index: i32, value: u32): void {
    assert(<u32>index < 3);
    store<u32>(this.ptr + <usize>index * 4, <u32>value, 64);
  }
  tagAt(index: i32): u8 {
    assert(<u32>index < 5);
    return load<u8>(this.ptr + <usize>index, 76);
  }
  setTagAt(index: i32, value: u8): void {
    assert(<u32>index < 5);
    store<u8>(this.ptr + <usize>index, value, 76);
  }
  pointsAt(index: i32): Point {
    assert(<u32>index < 2);
    return new Point(this.ptr + <usize>index * 16 + 88, this.owner);
  }
  get type_(): u8 { return load<u8>(this.ptr, 120); }
  set type_(value: u8) { store<u8>(this.ptr, <u8>value, 120); }
  get error(): i32 { return load<i32>(this.ptr, 124); }
  set error(value: i32) { store<i32>(this.ptr, <i32>value, 124); }
  /** Celsius: hostmod knows its size only. */
  get warmthPtr(): usize { return this.ptr + 128; }
  get name(): string {
    return String.UTF8.decodeUnsafe(load<u32>(this.ptr, 132), load<u32>(this.ptr, 136));
  }
  set name(value: string) {
    const bytes = String.UTF8.encode(value);
    this.keep.push(bytes);
    store<u32>(this.ptr, <u32>changetype<usize>(bytes), 132);
    store<u32>(this.ptr, bytes.byteLength, 136);
  }
  get label(): string { return cstringAt(load<u32>(this.ptr, 140)); }
  set label(value: string) {
    const bytes = String.UTF8.encode(value, true);
    this.keep.push(bytes);
    store<u32>(this.ptr, <u32>changetype<usize>(bytes), 140);
  }
  get dataPtr(): usize { return load<u32>(this.ptr, 144); }
  set dataPtr(value: usize) { store<u32>(this.ptr, <u32>value, 144); }
  get dataLength(): u32 { return load<u32>(this.ptr, 148); }
  set dataLength(value: u32) { store<u32>(this.ptr, value, 148); }
  get valuesPtr(): usize { return load<u32>(this.ptr, 152); }
  set valuesPtr(value: usize) { store<u32>(this.ptr, <u32>value, 152); }
  get valuesLength(): u32 { return load<u32>(this.ptr, 156); }
  set valuesLength(value: u32) { store<u32>(this.ptr, value, 156); }
  get widerPtr(): usize { return load<u32>(this.ptr, 160); }
  set widerPtr(value: usize) { store<u32>(this.ptr, <u32>value, 160); }
  get widerLength(): u32 { return load<u32>(this.ptr, 164); }
  set widerLength(value: u32) { store<u32>(this.ptr, value, 164); }
  get countPtr(): usize { return load<u32>(this.ptr, 168); }
  set countPtr(value: usize) { store<u32>(this.ptr, <u32>value, 168); }
  get nothingPtr(): usize { return load<u32>(this.ptr, 172); }
  set nothingPtr(value: usize) { store<u32>(this.ptr, <u32>value, 172); }
}

@external("every", "scalars")
declare function scalars__raw(a0: bool, a1: i8, a2: u8, a3: i16, a4: u16, a5: i32, a6: u32, a7: i64, a8: u64, a9: f32, a10: f64, a11: i64, a12: i32): void;
/* Expect the widest value of each. */
export function scalars(a: bool, b: i8, c: u8, d: i16, e: u16, f: i32, g: u32, h: i64, i: u64, j: f32, k: f64, m: i64, n: i32): void {
  scalars__raw(a, b, c, d, e, f, g, h, i, j, k, m, n);
}

@external("every", "invert")
declare function invert__raw(a0: bool): bool;
export function invert(value: bool): bool {
  return invert__raw(value);
}

@external("every", "int8")
declare function int8__raw(a0: i8): i8;
export function int8(value: i8): i8 {
  return int8__raw(value);
}

@external("every", "uint8")
declare function uint8__raw(a0: u8): u8;
export function uint8(value: u8): u8 {
  return uint8__raw(value);
}

@external("every", "int16")
declare function int16__raw(a0: i16): i16;
export function int16(value: i16): i16 {
  return int16__raw(value);
}

@external("every", "uint16")
declare function uint16__raw(a0: u16): u16;
export function uint16(value: u16): u16 {
  return uint16__raw(value);
}

@external("every", "int32")
declare function int32__raw(a0: i32): i32;
export function int32(value: i32): i32 {
  return int32__raw(value);
}

@external("every", "uint32")
declare function uint32__raw(a0: u32): u32;
export function uint32(value: u32): u32 {
  return uint32__raw(value);
}

@external("every", "int64")
declare function int64__raw(a0: i64): i64;
export function int64(value: i64): i64 {
  return int64__raw(value);
}

@external("every", "uint64")
declare function uint64__raw(a0: u64): u64;
export function uint64(value: u64): u64 {
  return uint64__raw(value);
}

@external("every", "float32")
declare function float32__raw(a0: f32): f32;
export function float32(value: f32): f32 {
  return float32__raw(value);
}

@external("every", "float64")
declare function float64__raw(a0: f64): f64;
export function float64(value: f64): f64 {
  return float64__raw(value);
}

@external("every", "later")
declare function later__raw(a0: i64): i64;
export function later(span: i64): i64 {
  return later__raw(span);
}

@external("every", "errno")
declare function errno__raw(a0: i32): i32;
export function errno(number_: i32): i32 {
  return errno__raw(number_);
}

@external("every", "color")
declare function color__raw(a0: u8): u8;
export function color(color_: Color): Color {
  return <Color>color__raw(<u8>color_);
}

@external("every", "access")
declare function access__raw(a0: u16): u16;
export function access(access_: Access): Access {
  return <Access>access__raw(<u16>access_);
}

@external("every", "large")
declare function large__raw(a0: i64): i64;
export function large(large_: i64): i64 {
  return large__raw(large_);
}

@external("every", "celsius")
declare function celsius__raw(a0: u32): u32;
export function celsius(warmth: u32): u32 {
  return celsius__raw(warmth);
}

@external("every", "string")
declare function string___raw(a0: usize, a1: u32): u32;
/* Return how many characters the text has.
 *
 * It is "naïve".
 */
export function string_(text: string): u32 {
  const textBytes = String.UTF8.encode(text);
  return string___raw(changetype<usize>(textBytes), textBytes.byteLength);
}

@external("every", "cstring")
declare function cstring__raw(a0: usize): u32;
export function cstring(text: string): u32 {
  const textBytes = String.UTF8.encode(text, true);
  return cstring__raw(changetype<usize>(textBytes));
}

@external("every", "bytes")
declare function bytes__raw(a0: usize, a1: u32): u32;
/* Turn the bytes around. */
export function bytes(data: Uint8Array): u32 {
  return bytes__raw(data.dataStart, data.byteLength);
}

@external("every", "array")
declare function array__raw(a0: usize, a1: u32): u64;
/* Add up, and double each in place. */
export function array(values: StaticArray<u32>): u64 {
  return array__raw(changetype<usize>(values), values.length);
}

@external("every", "points")
declare function points__raw(a0: usize, a1: u32): f64;
export function points(points_: PointList): f64 {
  return points__raw(points_.ptr, points_.length);
}

@external("every", "names")
declare function names__raw(a0: usize, a1: u32): u32;
export function names(names_: string[]): u32 {
  const names_Keep: ArrayBuffer[] = [];
  const names_Pairs = stringsOf(names_, names_Keep);
  return names__raw(changetype<usize>(names_Pairs), names_.length);
}

@external("every", "pointer")
declare function pointer__raw(a0: usize): void;
export function pointer(value: Box<u64>): void {
  pointer__raw(changetype<usize>(value));
}

@external("every", "nullable")
declare function nullable__raw(a0: usize): bool;
export function nullable(point: Point | null): bool {
  return nullable__raw((point === null ? 0 : point.ptr));
}

@external("every", "sample")
declare function sample__raw(a0: usize): void;
/* Expect a value in every field, and change most of them. */
export function sample(sample_: Sample): void {
  sample__raw(sample_.ptr);
}

@external("every", "find.out")
declare function find__raw(a0: u32, a1: usize): i32;
/* Find a key. */
export function find(key: u32): Result<u32> {
  const out0 = new Box<u32>(0);
  const error = find__raw(key, changetype<usize>(out0));
  return new Result<u32>(error, out0.value);
}

@external("every", "attempt")
declare function attempt__raw(a0: i32): i32;
export function attempt(number_: i32): i32 {
  return attempt__raw(number_);
}

export class DivideResult {
  constructor(public value0: i64, public value1: i32) {}
}
@external("every", "divide.out")
declare function divide__raw(a0: i64, a1: i64, a2: usize, a3: usize): void;
/* Return the quotient and the remainder. */
export function divide(a: i64, b: i64): DivideResult {
  const out0 = new Box<i64>(0);
  const out1 = new Box<i32>(0);
  divide__raw(a, b, changetype<usize>(out0), changetype<usize>(out1));
  return new DivideResult(out0.value, out1.value);
}

export class MixResult {
  constructor(public error: i32, public value0: f32, public value1: Color) {}
}
@external("every", "mix.out")
declare function mix__raw(a0: u32, a1: usize, a2: usize): i32;
export function mix(index: u32): MixResult {
  const out0 = new Box<f32>(0);
  const out1 = new Box<u8>(0);
  const error = mix__raw(index, changetype<usize>(out0), changetype<usize>(out1));
  return new MixResult(error, out0.value, <Color>out1.value);
}

@external("every", "pages")
declare function pages__raw(a0: i32): bool;
export function pages(value: i32): bool {
  return pages__raw(value);
}

@external("every", "reference")
declare function reference__raw(): externref;
export function reference(): externref {
  return reference__raw();
}

@external("every", "dereference")
declare function dereference__raw(a0: externref): bool;
export function dereference(reference_: externref): bool {
  return dereference__raw(reference_);
}

@external("every", "return")
declare function return___raw(a0: i32, a1: i32): i32;
export function return_(default_: i32, type_: i32): i32 {
  return return___raw(default_, type_);
}

@external("every", "find-me")
declare function findMe__raw(): i32;
export function findMe(): i32 {
  return findMe__raw();
}
