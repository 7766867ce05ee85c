// Written by `hostmod bindgen rust`; what stands here follows the Python declaration.
//
// How Python's annotations arrive here:
//
//     String            &str
//     CString           &std::ffi::CStr
//     Bytes             &mut [u8]          a buffer that the host reads or fills
//     Array[T] List[T]  &mut [T]
//     Pointer[T]        &mut T             a T that the host reads or fills; Option<&mut T> for a null
//     Duration          i64                nanoseconds
//     Error             Result<(), Errno>
//     Optional[T]       Result<T, Errno>
//     tuple[A, B]       (A, B)
#![allow(dead_code)]
#![allow(clippy::all)]

/// What went wrong, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Errno(pub i32);

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "errno {}", self.0)
    }
}

/// Text as it lies in memory. Whoever makes one keeps the text alive.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub struct Text {
    pub data: *const u8,
    pub length: u32,
}

impl Text {
    pub fn new(text: &str) -> Self {
        Text { data: text.as_ptr(), length: text.len() as u32 }
    }
}

/// A slice as it lies in memory. Whoever makes one keeps the items alive.
#[derive(Debug)]
#[repr(C)]
pub struct Slice<T> {
    pub data: *mut T,
    pub length: u32,
}

impl<T> Slice<T> {
    pub fn new(items: &mut [T]) -> Self {
        Slice { data: items.as_mut_ptr(), length: items.len() as u32 }
    }
}

impl<T> Clone for Slice<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Slice<T> {}

/// The host module "every". Every guest type, both ways.
pub mod every {
    use super::*;

    /// The errors of this module, and the Python exceptions that they stand for.
    impl Errno {
        /// KeyError
        pub const EVERY_ENOENT: Errno = Errno(2);
        /// IndexError
        pub const EVERY_EDOM: Errno = Errno(33);
        /// BufferError
        pub const EVERY_ENOBUFS: Errno = Errno(105);
    }

    /// A colour of the traffic light.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(transparent)]
    pub struct Color(pub u8);

    impl Color {
        pub const RED: Color = Color(1);
        pub const GREEN: Color = Color(2);
        pub const BLUE: Color = Color(200);
    }

    /// What may be done.
    ///
    /// Members can be combined.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(transparent)]
    pub struct Access(pub u16);

    impl Access {
        pub const READ: Access = Access(1);
        pub const WRITE: Access = Access(2);
        pub const EXECUTE: Access = Access(8);
    }

    impl core::ops::BitOr for Access {
        type Output = Access;
        fn bitor(self, other: Access) -> Access {
            Access(self.0 | other.0)
        }
    }

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[repr(transparent)]
    pub struct Large(pub i64);

    impl Large {
        pub const BELOW: Large = Large(-1099511627776);
        pub const ABOVE: Large = Large(1099511627776);
    }

    /// Celsius: hostmod knows its size only.
    #[derive(Clone, Copy, Debug)]
    #[repr(C, align(4))]
    pub struct Celsius(pub [u8; 4]);

    /// A place; y is at offset 8, since it is aligned to 8 bytes.
    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    pub struct Point {
        pub x: f32,
        pub y: f64,
    }
    #[cfg(target_arch = "wasm32")]
    const _: () = {
        assert!(core::mem::size_of::<Point>() == 16);
        assert!(core::mem::offset_of!(Point, x) == 0);
        assert!(core::mem::offset_of!(Point, y) == 8);
    };

    #[derive(Clone, Copy, Debug)]
    #[repr(C)]
    pub struct Sample {
        pub flag: bool,
        pub small: i8,
        pub wide: i64,
        pub half: i16,
        pub color: Color,
        pub access: Access,
        pub large: Large,
        pub ratio: f32,
        pub span: i64,
        pub point: Point,
        pub numbers: [u32; 3],
        pub tag: [u8; 5],
        pub points: [Point; 2],
        pub type_: u8,
        pub error: i32,
        pub warmth: Celsius,
        pub name: Text,
        pub label: *const u8,
        pub data: Slice<u8>,
        pub values: Slice<u16>,
        pub wider: Slice<u32>,
        pub count: *mut u64,
        pub nothing: *mut Point,
    }
    #[cfg(target_arch = "wasm32")]
    const _: () = {
        assert!(core::mem::size_of::<Sample>() == 176);
        assert!(core::mem::offset_of!(Sample, flag) == 0);
        assert!(core::mem::offset_of!(Sample, small) == 1);
        assert!(core::mem::offset_of!(Sample, wide) == 8);
        assert!(core::mem::offset_of!(Sample, half) == 16);
        assert!(core::mem::offset_of!(Sample, color) == 18);
        assert!(core::mem::offset_of!(Sample, access) == 20);
        assert!(core::mem::offset_of!(Sample, large) == 24);
        assert!(core::mem::offset_of!(Sample, ratio) == 32);
        assert!(core::mem::offset_of!(Sample, span) == 40);
        assert!(core::mem::offset_of!(Sample, point) == 48);
        assert!(core::mem::offset_of!(Sample, numbers) == 64);
        assert!(core::mem::offset_of!(Sample, tag) == 76);
        assert!(core::mem::offset_of!(Sample, points) == 88);
        assert!(core::mem::offset_of!(Sample, type_) == 120);
        assert!(core::mem::offset_of!(Sample, error) == 124);
        assert!(core::mem::offset_of!(Sample, warmth) == 128);
        assert!(core::mem::offset_of!(Sample, name) == 132);
        assert!(core::mem::offset_of!(Sample, label) == 140);
        assert!(core::mem::offset_of!(Sample, data) == 144);
        assert!(core::mem::offset_of!(Sample, values) == 152);
        assert!(core::mem::offset_of!(Sample, wider) == 160);
        assert!(core::mem::offset_of!(Sample, count) == 168);
        assert!(core::mem::offset_of!(Sample, nothing) == 172);
    };

    mod raw {
        use super::*;
        #[link(wasm_import_module = "every")]
        extern "C" {
            #[link_name = "scalars"]
            pub fn scalars(a0: bool, a1: i8, a2: u8, a3: i16, a4: u16, a5: i32, a6: u32, a7: i64, a8: u64, a9: f32, a10: f64, a11: i64, a12: i32);
            #[link_name = "invert"]
            pub fn invert(a0: bool) -> bool;
            #[link_name = "int8"]
            pub fn int8(a0: i8) -> i8;
            #[link_name = "uint8"]
            pub fn uint8(a0: u8) -> u8;
            #[link_name = "int16"]
            pub fn int16(a0: i16) -> i16;
            #[link_name = "uint16"]
            pub fn uint16(a0: u16) -> u16;
            #[link_name = "int32"]
            pub fn int32(a0: i32) -> i32;
            #[link_name = "uint32"]
            pub fn uint32(a0: u32) -> u32;
            #[link_name = "int64"]
            pub fn int64(a0: i64) -> i64;
            #[link_name = "uint64"]
            pub fn uint64(a0: u64) -> u64;
            #[link_name = "float32"]
            pub fn float32(a0: f32) -> f32;
            #[link_name = "float64"]
            pub fn float64(a0: f64) -> f64;
            #[link_name = "later"]
            pub fn later(a0: i64) -> i64;
            #[link_name = "errno"]
            pub fn errno(a0: i32) -> i32;
            #[link_name = "color"]
            pub fn color(a0: Color) -> Color;
            #[link_name = "access"]
            pub fn access(a0: Access) -> Access;
            #[link_name = "large"]
            pub fn large(a0: Large) -> Large;
            #[link_name = "celsius"]
            pub fn celsius(a0: u32) -> u32;
            #[link_name = "string"]
            pub fn string(a0: *const u8, a1: u32) -> u32;
            #[link_name = "cstring"]
            pub fn cstring(a0: *const u8) -> u32;
            #[link_name = "bytes"]
            pub fn bytes(a0: *mut u8, a1: u32) -> u32;
            #[link_name = "array"]
            pub fn array(a0: *mut u32, a1: u32) -> u64;
            #[link_name = "points"]
            pub fn points(a0: *mut Point, a1: u32) -> f64;
            #[link_name = "names"]
            pub fn names(a0: *mut Text, a1: u32) -> u32;
            #[link_name = "pointer"]
            pub fn pointer(a0: *mut u64);
            #[link_name = "nullable"]
            pub fn nullable(a0: *mut Point) -> bool;
            #[link_name = "sample"]
            pub fn sample(a0: *mut Sample);
            #[link_name = "find.out"]
            pub fn find(a0: u32, a1: *mut u32) -> i32;
            #[link_name = "attempt"]
            pub fn attempt(a0: i32) -> i32;
            #[link_name = "divide.out"]
            pub fn divide(a0: i64, a1: i64, a2: *mut i64, a3: *mut i32);
            #[link_name = "mix.out"]
            pub fn mix(a0: u32, a1: *mut f32, a2: *mut Color) -> i32;
            #[link_name = "pages"]
            pub fn pages(a0: i32) -> bool;
            #[link_name = "return"]
            pub fn return_(a0: i32, a1: i32) -> i32;
            #[link_name = "find-me"]
            pub fn find_me() -> i32;
        }
    }

    /// Expect the widest value of each.
    pub fn scalars(a: bool, b: i8, c: u8, d: i16, e: u16, f: i32, g: u32, h: i64, i: u64, j: f32, k: f64, m: i64, n: i32) {
        unsafe { raw::scalars(a, b, c, d, e, f, g, h, i, j, k, m, n) }
    }

    pub fn invert(value: bool) -> bool {
        unsafe { raw::invert(value) }
    }

    pub fn int8(value: i8) -> i8 {
        unsafe { raw::int8(value) }
    }

    pub fn uint8(value: u8) -> u8 {
        unsafe { raw::uint8(value) }
    }

    pub fn int16(value: i16) -> i16 {
        unsafe { raw::int16(value) }
    }

    pub fn uint16(value: u16) -> u16 {
        unsafe { raw::uint16(value) }
    }

    pub fn int32(value: i32) -> i32 {
        unsafe { raw::int32(value) }
    }

    pub fn uint32(value: u32) -> u32 {
        unsafe { raw::uint32(value) }
    }

    pub fn int64(value: i64) -> i64 {
        unsafe { raw::int64(value) }
    }

    pub fn uint64(value: u64) -> u64 {
        unsafe { raw::uint64(value) }
    }

    pub fn float32(value: f32) -> f32 {
        unsafe { raw::float32(value) }
    }

    pub fn float64(value: f64) -> f64 {
        unsafe { raw::float64(value) }
    }

    pub fn later(span: i64) -> i64 {
        unsafe { raw::later(span) }
    }

    pub fn errno(number: i32) -> i32 {
        unsafe { raw::errno(number) }
    }

    pub fn color(color: Color) -> Color {
        unsafe { raw::color(color) }
    }

    pub fn access(access: Access) -> Access {
        unsafe { raw::access(access) }
    }

    pub fn large(large: Large) -> Large {
        unsafe { raw::large(large) }
    }

    pub fn celsius(warmth: u32) -> u32 {
        unsafe { raw::celsius(warmth) }
    }

    /// Return how many characters the text has.
    ///
    /// It is "naïve".
    pub fn string(text: &str) -> u32 {
        unsafe { raw::string(text.as_ptr(), text.len() as u32) }
    }

    pub fn cstring(text: &std::ffi::CStr) -> u32 {
        unsafe { raw::cstring(text.as_ptr() as *const u8) }
    }

    /// Turn the bytes around.
    pub fn bytes(data: &mut [u8]) -> u32 {
        unsafe { raw::bytes(data.as_mut_ptr(), data.len() as u32) }
    }

    /// Add up, and double each in place.
    pub fn array(values: &mut [u32]) -> u64 {
        unsafe { raw::array(values.as_mut_ptr(), values.len() as u32) }
    }

    pub fn points(points: &mut [Point]) -> f64 {
        unsafe { raw::points(points.as_mut_ptr(), points.len() as u32) }
    }

    pub fn names(names: &mut [Text]) -> u32 {
        unsafe { raw::names(names.as_mut_ptr(), names.len() as u32) }
    }

    pub fn pointer(value: &mut u64) {
        unsafe { raw::pointer(value) }
    }

    pub fn nullable(point: Option<&mut Point>) -> bool {
        unsafe { raw::nullable(point.map_or(core::ptr::null_mut(), |value| value as *mut Point)) }
    }

    /// Expect a value in every field, and change most of them.
    pub fn sample(sample: &mut Sample) {
        unsafe { raw::sample(sample) }
    }

    /// Find a key.
    pub fn find(key: u32) -> Result<u32, Errno> {
        let mut out0 = core::mem::MaybeUninit::<u32>::zeroed();
        match unsafe { raw::find(key, out0.as_mut_ptr()) } {
            0 => Ok(unsafe { out0.assume_init() }),
            number => Err(Errno(number)),
        }
    }

    pub fn attempt(number: i32) -> Result<(), Errno> {
        match unsafe { raw::attempt(number) } {
            0 => Ok(()),
            number => Err(Errno(number)),
        }
    }

    /// Return the quotient and the remainder.
    pub fn divide(a: i64, b: i64) -> (i64, i32) {
        let mut out0 = core::mem::MaybeUninit::<i64>::zeroed();
        let mut out1 = core::mem::MaybeUninit::<i32>::zeroed();
        unsafe {
            raw::divide(a, b, out0.as_mut_ptr(), out1.as_mut_ptr());
            (out0.assume_init(), out1.assume_init())
        }
    }

    pub fn mix(index: u32) -> Result<(f32, Color), Errno> {
        let mut out0 = core::mem::MaybeUninit::<f32>::zeroed();
        let mut out1 = core::mem::MaybeUninit::<Color>::zeroed();
        match unsafe { raw::mix(index, out0.as_mut_ptr(), out1.as_mut_ptr()) } {
            0 => Ok(unsafe { (out0.assume_init(), out1.assume_init()) }),
            number => Err(Errno(number)),
        }
    }

    pub fn pages(value: i32) -> bool {
        unsafe { raw::pages(value) }
    }

    // reference cannot be declared: Rust has no references to host objects.

    // dereference cannot be declared: Rust has no references to host objects.

    pub fn return_(default: i32, type_: i32) -> i32 {
        unsafe { raw::return_(default, type_) }
    }

    pub fn find_me() -> i32 {
        unsafe { raw::find_me() }
    }
}
