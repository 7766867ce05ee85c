// Calls every function of every.rs; returns 0, or the line where the host did not answer as expected.
#[path = "every.rs"]
mod bindings;

use bindings::every::{self, Access, Celsius, Color, Large, Point, Sample};
use bindings::{Errno, Slice, Text};

macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return line!() as i32;
        }
    };
}

#[no_mangle]
pub extern "C" fn run() -> i32 {
    every::scalars(true, -128, 255, -32768, 65535, i32::MIN, u32::MAX, i64::MIN, u64::MAX, 0.5, 0.1, 1_500_000_000, 105);
    check!(every::invert(false) && !every::invert(true));
    check!(every::int8(-100) == -99 && every::uint8(200) == 201);
    check!(every::int16(-30000) == -29999 && every::uint16(60000) == 60001);
    check!(every::int32(-2000000000) == -1999999999 && every::uint32(4000000000) == 4000000001);
    check!(every::int64(i64::MIN) == i64::MIN + 1 && every::uint64(u64::MAX - 1) == u64::MAX);
    check!(every::float32(0.5) == 1.5 && every::float64(0.25) == 1.25);
    check!(every::later(-1) == 999_999_999 && Errno(every::errno(1)) == Errno::EVERY_ENOENT);
    check!(every::color(Color::RED) == Color::BLUE);
    check!(every::access(Access::READ | Access::EXECUTE) == Access::READ | Access::WRITE);
    check!(every::large(Large::ABOVE) == Large::BELOW);
    check!(every::celsius(200) == 215);

    check!(every::string("naïve") == 5);
    check!(every::cstring(&std::ffi::CString::new("café").unwrap()) == 4);
    let mut data = [1, 2, 3];
    check!(every::bytes(&mut data) == 3 && data == [3, 2, 1]);
    let mut values = [1000000000, 2000000000];
    check!(every::array(&mut values) == 3000000000 && values[1] == 4000000000);
    let mut points = [Point { x: 1.0, y: 2.0 }, Point { x: 3.0, y: 4.0 }];
    check!(every::points(&mut points) == 10.0 && points[1].x == 4.0 && points[1].y == 3.0);
    check!(every::names(&mut [Text::new("one"), Text::new(""), Text::new("three")]) == 8);
    let mut number = 1u64 << 40;
    every::pointer(&mut number);
    check!(number == 1 << 41);
    check!(!every::nullable(None) && every::nullable(Some(&mut points[0])));
    check!(points[0].x == 1.5 && points[0].y == 2.5);

    let mut shorts = [10u16, 20];
    let mut wider = [100000u32, 200000];
    let mut bytes = *b"data";
    number = 77;
    let mut sample = Sample {
        flag: true,
        small: -5,
        wide: -(1 << 40),
        half: -300,
        color: Color::GREEN,
        access: Access::WRITE | Access::EXECUTE,
        large: Large::ABOVE,
        ratio: 0.25,
        span: 7,
        point: Point { x: 1.0, y: 2.0 },
        numbers: [1, 2, 3],
        tag: *b"abcde",
        points: [Point { x: 3.0, y: 4.0 }, Point { x: 5.0, y: 6.0 }],
        type_: 9,
        error: 28,
        warmth: Celsius([110, 1, 0, 0]),
        name: Text::new("name"),
        label: b"label\0".as_ptr(),
        data: Slice::new(&mut bytes),
        values: Slice::new(&mut shorts),
        wider: Slice::new(&mut wider),
        count: &mut number,
        nothing: core::ptr::null_mut(),
    };
    every::sample(&mut sample);
    check!(!sample.flag && sample.small == 5 && sample.wide == 1 << 40 && sample.half == 300);
    check!(sample.color == Color::BLUE && sample.access == Access::READ && sample.large == Large::BELOW);
    check!(sample.ratio == 0.75 && sample.span == 8 && sample.point.x == 10.0 && sample.point.y == 20.0);
    check!(sample.numbers == [4, 5, 6] && &sample.tag == b"fghij" && sample.type_ == 10);
    check!(sample.points[1].x == 50.0 && sample.points[1].y == 60.0);
    check!(sample.error == 29 && sample.warmth.0 == [120, 1, 0, 0]);
    check!(unsafe { core::ptr::read_volatile(&number) } == 78 && &bytes == b"DATA");

    check!(every::find(0) == Err(Errno::EVERY_ENOENT));
    check!(every::find(21) == Ok(42));
    check!(every::attempt(0) == Ok(()) && every::attempt(105) == Err(Errno::EVERY_ENOBUFS));
    check!(every::divide(17, 5) == (3, 2));
    check!(every::mix(0) == Ok((0.5, Color::GREEN)) && every::mix(2) == Err(Errno::EVERY_EDOM));
    check!(every::pages(-1));
    check!(every::return_(7, 3) == 4 && every::find_me() == 11);
    0
}
