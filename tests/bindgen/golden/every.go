// Code generated: Written by `hostmod bindgen tinygo`; what stands here follows the Python declaration. DO NOT EDIT.
//
// How Python's annotations arrive here:
//
//	String            string
//	CString           []byte that ends with a 0
//	Bytes             []byte         a buffer that the host reads or fills
//	Array[T] List[T]  []T
//	Pointer[T]        *T             a T that the host reads or fills
//	Duration          time.Duration
//	Error             error          nil, or an Errno
//	Optional[T]       (T, error)
//	tuple[A, B]       (A, B)

// Package every is the host module 'every'. Every guest type, both ways.
package every

import (
	"runtime"
	"strconv"
	"time"
	"unsafe"
)

var _ = runtime.KeepAlive
var _ time.Duration

// Errno says what went wrong, by its number.
type Errno int32

func (e Errno) Error() string {
	return "errno " + strconv.Itoa(int(e))
}

// Address is where something lies in the guest's memory. What it is the address of has to be kept alive.
type Address uint32

// escaped makes the compiler put what it points to on the heap, which does not move.
var escaped unsafe.Pointer

// AddressOf returns the address of a value.
func AddressOf(pointer unsafe.Pointer) Address {
	escaped = pointer
	return Address(uintptr(pointer))
}

// Text is a string as it lies in memory. The string has to be kept alive.
type Text struct {
	Data   Address
	Length uint32
}

// MakeText returns where a string lies.
func MakeText(text string) Text {
	return Text{AddressOf(unsafe.Pointer(unsafe.StringData(text))), uint32(len(text))}
}

// Slice is a slice as it lies in memory. The slice has to be kept alive.
type Slice[T any] struct {
	Data   Address
	Length uint32
}

// MakeSlice returns where a slice lies.
func MakeSlice[T any](items []T) Slice[T] {
	return Slice[T]{AddressOf(unsafe.Pointer(unsafe.SliceData(items))), uint32(len(items))}
}

func number(value bool) uint32 {
	if value {
		return 1
	}
	return 0
}

// The errors of this module, and the Python exceptions that they stand for.
const (
	ENOENT  Errno = 2   // KeyError
	EDOM    Errno = 33  // IndexError
	ENOBUFS Errno = 105 // BufferError
)

// A colour of the traffic light.
type ColorType uint8

const (
	ColorTypeRed   ColorType = 1
	ColorTypeGreen ColorType = 2
	ColorTypeBlue  ColorType = 200
)

// What may be done.
//
// Members can be combined.
type AccessType uint16

const (
	AccessTypeRead    AccessType = 1
	AccessTypeWrite   AccessType = 2
	AccessTypeExecute AccessType = 8
)

type LargeType int64

const (
	LargeTypeBelow LargeType = -1099511627776
	LargeTypeAbove LargeType = 1099511627776
)

// CelsiusType is Celsius: hostmod knows its size only.
type CelsiusType struct {
	Words [1]uint32
}

// A place; y is at offset 8, since it is aligned to 8 bytes.
type Point struct {
	X float32
	Y float64
}

// The layout that Python has: an index that is not 0 does not compile.
var _ = [1]struct{}{}[unsafe.Sizeof(Point{})-16]
var _ = [1]struct{}{}[unsafe.Offsetof(Point{}.X)-0]
var _ = [1]struct{}{}[unsafe.Offsetof(Point{}.Y)-8]

type SampleType struct {
	Flag    bool
	Small   int8
	Wide    int64
	Half    int16
	Color   ColorType
	Access  AccessType
	Large   LargeType
	Ratio   float32
	Span    time.Duration
	Point   Point
	Numbers [3]uint32
	Tag     [5]byte
	Points  [2]Point
	Type    uint8
	Error   int32
	Warmth  CelsiusType
	Name    Text
	Label   Address
	Data    Slice[byte]
	Values  Slice[uint16]
	Wider   Slice[uint32]
	Count   Address
	Nothing Address
}

// The layout that Python has: an index that is not 0 does not compile.
var _ = [1]struct{}{}[unsafe.Sizeof(SampleType{})-176]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Flag)-0]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Small)-1]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Wide)-8]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Half)-16]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Color)-18]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Access)-20]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Large)-24]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Ratio)-32]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Span)-40]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Point)-48]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Numbers)-64]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Tag)-76]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Points)-88]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Type)-120]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Error)-124]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Warmth)-128]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Name)-132]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Label)-140]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Data)-144]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Values)-152]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Wider)-160]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Count)-168]
var _ = [1]struct{}{}[unsafe.Offsetof(SampleType{}.Nothing)-172]

//go:wasmimport every scalars
func rawScalars(a0 uint32, a1 int32, a2 uint32, a3 int32, a4 uint32, a5 int32, a6 uint32, a7 int64, a8 uint64, a9 float32, a10 float64, a11 int64, a12 int32)

// Expect the widest value of each.
func Scalars(a bool, b int8, c uint8, d int16, e uint16, f int32, g uint32, h int64, i uint64, j float32, k float64, m time.Duration, n int32) {
	rawScalars(number(a), int32(b), uint32(c), int32(d), uint32(e), f, g, h, i, j, k, int64(m), n)
}

//go:wasmimport every invert
func rawInvert(a0 uint32) uint32

func Invert(value bool) bool {
	result := rawInvert(number(value))
	return result != 0
}

//go:wasmimport every int8
func rawInt8(a0 int32) int32

func Int8(value int8) int8 {
	result := rawInt8(int32(value))
	return int8(result)
}

//go:wasmimport every uint8
func rawUint8(a0 uint32) uint32

func Uint8(value uint8) uint8 {
	result := rawUint8(uint32(value))
	return uint8(result)
}

//go:wasmimport every int16
func rawInt16(a0 int32) int32

func Int16(value int16) int16 {
	result := rawInt16(int32(value))
	return int16(result)
}

//go:wasmimport every uint16
func rawUint16(a0 uint32) uint32

func Uint16(value uint16) uint16 {
	result := rawUint16(uint32(value))
	return uint16(result)
}

//go:wasmimport every int32
func rawInt32(a0 int32) int32

func Int32(value int32) int32 {
	result := rawInt32(value)
	return int32(result)
}

//go:wasmimport every uint32
func rawUint32(a0 uint32) uint32

func Uint32(value uint32) uint32 {
	result := rawUint32(value)
	return uint32(result)
}

//go:wasmimport every int64
func rawInt64(a0 int64) int64

func Int64(value int64) int64 {
	result := rawInt64(value)
	return int64(result)
}

//go:wasmimport every uint64
func rawUint64(a0 uint64) uint64

func Uint64(value uint64) uint64 {
	result := rawUint64(value)
	return uint64(result)
}

//go:wasmimport every float32
func rawFloat32(a0 float32) float32

func Float32(value float32) float32 {
	result := rawFloat32(value)
	return float32(result)
}

//go:wasmimport every float64
func rawFloat64(a0 float64) float64

func Float64(value float64) float64 {
	result := rawFloat64(value)
	return float64(result)
}

//go:wasmimport every later
func rawLater(a0 int64) int64

func Later(span time.Duration) time.Duration {
	result := rawLater(int64(span))
	return time.Duration(result)
}

//go:wasmimport every errno
func rawErrno_(a0 int32) int32

func Errno_(number_ int32) int32 {
	result := rawErrno_(number_)
	return int32(result)
}

//go:wasmimport every color
func rawColor(a0 uint32) uint32

func Color(color ColorType) ColorType {
	result := rawColor(uint32(color))
	return ColorType(result)
}

//go:wasmimport every access
func rawAccess(a0 uint32) uint32

func Access(access AccessType) AccessType {
	result := rawAccess(uint32(access))
	return AccessType(result)
}

//go:wasmimport every large
func rawLarge(a0 int64) int64

func Large(large LargeType) LargeType {
	result := rawLarge(int64(large))
	return LargeType(result)
}

//go:wasmimport every celsius
func rawCelsius(a0 uint32) uint32

func Celsius(warmth uint32) uint32 {
	result := rawCelsius(warmth)
	return result
}

//go:wasmimport every string
func rawString(a0 unsafe.Pointer, a1 uint32) uint32

// Return how many characters the text has.
//
// It is "naïve".
func String(text string) uint32 {
	result := rawString(unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
	runtime.KeepAlive(text)
	return uint32(result)
}

//go:wasmimport every cstring
func rawCstring(a0 unsafe.Pointer) uint32

func Cstring(text []byte) uint32 {
	result := rawCstring(unsafe.Pointer(unsafe.SliceData(text)))
	runtime.KeepAlive(text)
	return uint32(result)
}

//go:wasmimport every bytes
func rawBytes(a0 unsafe.Pointer, a1 uint32) uint32

// Turn the bytes around.
func Bytes(data []byte) uint32 {
	result := rawBytes(unsafe.Pointer(unsafe.SliceData(data)), uint32(len(data)))
	runtime.KeepAlive(data)
	return uint32(result)
}

//go:wasmimport every array
func rawArray(a0 unsafe.Pointer, a1 uint32) uint64

// Add up, and double each in place.
func Array(values []uint32) uint64 {
	result := rawArray(unsafe.Pointer(unsafe.SliceData(values)), uint32(len(values)))
	runtime.KeepAlive(values)
	return uint64(result)
}

//go:wasmimport every points
func rawPoints(a0 unsafe.Pointer, a1 uint32) float64

func Points(points []Point) float64 {
	result := rawPoints(unsafe.Pointer(unsafe.SliceData(points)), uint32(len(points)))
	runtime.KeepAlive(points)
	return float64(result)
}

//go:wasmimport every names
func rawNames(a0 unsafe.Pointer, a1 uint32) uint32

func Names(names []Text) uint32 {
	result := rawNames(unsafe.Pointer(unsafe.SliceData(names)), uint32(len(names)))
	runtime.KeepAlive(names)
	return uint32(result)
}

//go:wasmimport every pointer
func rawPointer(a0 unsafe.Pointer)

func Pointer(value *uint64) {
	rawPointer(unsafe.Pointer(value))
	runtime.KeepAlive(value)
}

//go:wasmimport every nullable
func rawNullable(a0 unsafe.Pointer) uint32

func Nullable(point *Point) bool {
	result := rawNullable(unsafe.Pointer(point))
	runtime.KeepAlive(point)
	return result != 0
}

//go:wasmimport every sample
func rawSample(a0 unsafe.Pointer)

// Expect a value in every field, and change most of them.
func Sample(sample *SampleType) {
	rawSample(unsafe.Pointer(sample))
	runtime.KeepAlive(sample)
}

//go:wasmimport every find.out
func rawFind(a0 uint32, a1 unsafe.Pointer) int32

// Find a key.
func Find(key uint32) (uint32, error) {
	var value0 uint32
	errno := Errno(rawFind(key, unsafe.Pointer(&value0)))
	if errno != 0 {
		return value0, errno
	}
	return value0, nil
}

//go:wasmimport every attempt
func rawAttempt(a0 int32) int32

func Attempt(number_ int32) error {
	errno := Errno(rawAttempt(number_))
	if errno != 0 {
		return errno
	}
	return nil
}

//go:wasmimport every divide.out
func rawDivide(a0 int64, a1 int64, a2 unsafe.Pointer, a3 unsafe.Pointer)

// Return the quotient and the remainder.
func Divide(a int64, b int64) (int64, int32) {
	var value0 int64
	var value1 int32
	rawDivide(a, b, unsafe.Pointer(&value0), unsafe.Pointer(&value1))
	return value0, value1
}

//go:wasmimport every mix.out
func rawMix(a0 uint32, a1 unsafe.Pointer, a2 unsafe.Pointer) int32

func Mix(index uint32) (float32, ColorType, error) {
	var value0 float32
	var value1 ColorType
	errno := Errno(rawMix(index, unsafe.Pointer(&value0), unsafe.Pointer(&value1)))
	if errno != 0 {
		return value0, value1, errno
	}
	return value0, value1, nil
}

//go:wasmimport every pages
func rawPages(a0 int32) uint32

func Pages(value int32) bool {
	result := rawPages(value)
	return result != 0
}

// Reference cannot be declared: Go has no references to host objects.

// Dereference cannot be declared: Go has no references to host objects.

//go:wasmimport every return
func rawReturn(a0 int32, a1 int32) int32

func Return(default_ int32, type_ int32) int32 {
	result := rawReturn(default_, type_)
	return int32(result)
}

//go:wasmimport every find-me
func rawFindMe() int32

func FindMe() int32 {
	result := rawFindMe()
	return int32(result)
}
