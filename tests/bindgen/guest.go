// Calls every function of every.py; exits with 0, or with the number of the check that failed.
package main

import (
	"math"
	"os"
	"time"
	"unsafe"

	"guest/every"
)

var count, failed int

func check(condition bool) {
	count++
	if !condition && failed == 0 {
		failed = count
	}
}

func main() {
	every.Scalars(true, -128, 255, -32768, 65535, math.MinInt32, math.MaxUint32, math.MinInt64, math.MaxUint64, 0.5, 0.1, 1500*time.Millisecond, int32(every.ENOBUFS))
	check(every.Invert(false) && !every.Invert(true))
	check(every.Int8(-100) == -99 && every.Uint8(200) == 201)
	check(every.Int16(-30000) == -29999 && every.Uint16(60000) == 60001)
	check(every.Int32(-2000000000) == -1999999999 && every.Uint32(4000000000) == 4000000001)
	check(every.Int64(math.MinInt64) == math.MinInt64+1 && every.Uint64(math.MaxUint64-1) == math.MaxUint64)
	check(every.Float32(0.5) == 1.5 && every.Float64(0.25) == 1.25)
	check(every.Later(-1) == 999999999 && every.Errno_(1) == int32(every.ENOENT))
	check(every.Color(every.ColorTypeRed) == every.ColorTypeBlue)
	check(every.Access(every.AccessTypeRead|every.AccessTypeExecute) == every.AccessTypeRead|every.AccessTypeWrite)
	check(every.Large(every.LargeTypeAbove) == every.LargeTypeBelow)
	check(every.Celsius(200) == 215)

	check(every.String("naïve") == 5)
	check(every.Cstring([]byte("café\x00")) == 4)
	data := []byte{1, 2, 3}
	check(every.Bytes(data) == 3 && data[0] == 3 && data[2] == 1)
	values := []uint32{1000000000, 2000000000}
	check(every.Array(values) == 3000000000 && values[1] == 4000000000)
	points := []every.Point{{X: 1, Y: 2}, {X: 3, Y: 4}}
	check(every.Points(points) == 10 && points[1].X == 4 && points[1].Y == 3)
	check(every.Names([]every.Text{every.MakeText("one"), every.MakeText(""), every.MakeText("three")}) == 8)
	number := new(uint64)
	*number = 1 << 40
	every.Pointer(number)
	check(*number == 1<<41)
	check(!every.Nullable(nil) && every.Nullable(&points[0]) && points[0].X == 1.5 && points[0].Y == 2.5)

	*number = 77
	bytes, label := []byte("data"), []byte("label\x00")
	sample := &every.SampleType{
		Flag: true, Small: -5, Wide: -(1 << 40), Half: -300, Color: every.ColorTypeGreen,
		Access: every.AccessTypeWrite | every.AccessTypeExecute, Large: every.LargeTypeAbove, Ratio: 0.25, Span: 7,
		Point: every.Point{X: 1, Y: 2}, Numbers: [3]uint32{1, 2, 3}, Tag: [5]byte{'a', 'b', 'c', 'd', 'e'},
		Points: [2]every.Point{{X: 3, Y: 4}, {X: 5, Y: 6}}, Type: 9, Error: 28,
		Warmth: every.CelsiusType{Words: [1]uint32{366}}, Name: every.MakeText("name"),
		Label: every.AddressOf(unsafe.Pointer(&label[0])), Data: every.MakeSlice(bytes),
		Values: every.MakeSlice([]uint16{10, 20}), Wider: every.MakeSlice([]uint32{100000, 200000}),
		Count: every.AddressOf(unsafe.Pointer(number)),
	}
	every.Sample(sample)
	check(!sample.Flag && sample.Small == 5 && sample.Wide == 1<<40 && sample.Half == 300)
	check(sample.Color == every.ColorTypeBlue && sample.Access == every.AccessTypeRead && sample.Large == every.LargeTypeBelow)
	check(sample.Ratio == 0.75 && sample.Span == 8 && sample.Point.X == 10 && sample.Point.Y == 20)
	check(sample.Numbers == [3]uint32{4, 5, 6} && string(sample.Tag[:]) == "fghij")
	check(sample.Points[1] == every.Point{X: 50, Y: 60} && sample.Type == 10)
	check(sample.Error == 29 && sample.Warmth.Words[0] == 376)
	check(*number == 78 && string(bytes) == "DATA" && label[0] == 'l')

	_, err := every.Find(0)
	check(err == every.ENOENT)
	found, err := every.Find(21)
	check(err == nil && found == 42)
	check(every.Attempt(0) == nil && every.Attempt(105) == every.ENOBUFS)
	quotient, remainder := every.Divide(17, 5)
	check(quotient == 3 && remainder == 2)
	ratio, color, err := every.Mix(0)
	check(ratio == 0.5 && color == every.ColorTypeGreen && err == nil)
	_, _, err = every.Mix(2)
	check(err == every.EDOM && err.Error() == "errno 33")
	check(every.Pages(-1))
	check(every.Return(7, 3) == 4 && every.FindMe() == 11)
	os.Exit(failed)
}
