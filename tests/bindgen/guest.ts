// Calls every function of every.py; returns 0, or the number of the check where the host did not answer as expected.
import * as every from "./every";

let failed: i32 = 0;
let count: i32 = 0;

function check(condition: bool): void {
  count++;
  if (!condition && failed == 0) failed = count;
}

export function run(): i32 {
  every.scalars(true, -128, 255, -32768, 65535, i32.MIN_VALUE, u32.MAX_VALUE, i64.MIN_VALUE, u64.MAX_VALUE, 0.5, 0.1, 1500000000, every.ENOBUFS);
  check(every.invert(false) && !every.invert(true));
  check(every.int8(-100) == -99 && every.uint8(200) == 201);
  check(every.int16(-30000) == -29999 && every.uint16(60000) == 60001);
  check(every.int32(-2000000000) == -1999999999 && every.uint32(4000000000) == 4000000001);
  check(every.int64(i64.MIN_VALUE) == i64.MIN_VALUE + 1 && every.uint64(u64.MAX_VALUE - 1) == u64.MAX_VALUE);
  check(every.float32(0.5) == 1.5 && every.float64(0.25) == 1.25);
  check(every.later(-1) == 999999999 && every.errno(1) == every.ENOENT);
  check(every.color(every.Color.RED) == every.Color.BLUE);
  check(every.access(every.Access.READ | every.Access.EXECUTE) == (every.Access.READ | every.Access.WRITE));
  check(every.large(every.Large.ABOVE) == every.Large.BELOW);
  check(every.celsius(200) == 215); // 11

  check(every.string_("naïve") == 5);
  check(every.cstring("café") == 4);
  const data = new Uint8Array(3);
  data[0] = 1; data[1] = 2; data[2] = 3;
  check(every.bytes(data) == 3 && data[0] == 3 && data[2] == 1);
  const values: StaticArray<u32> = [1000000000, 2000000000];
  check(every.array(values) == 3000000000 && values[1] == 4000000000);
  const points = new every.PointList(2);
  points.at(0).x = 1; points.at(0).y = 2; points.at(1).x = 3; points.at(1).y = 4;
  check(every.points(points) == 10 && points.at(1).x == 4 && points.at(1).y == 3);
  check(every.names(["one", "", "three"]) == 8);
  const number = new every.Box<u64>(1 << 40);
  every.pointer(number);
  check(number.value == (<u64>1) << 41); // 18
  const point = new every.Point();
  check(!every.nullable(null) && every.nullable(point) && point.x == 1.5 && point.y == 2.5);

  const shorts: StaticArray<u16> = [10, 20];
  const wider: StaticArray<u32> = [100000, 200000];
  const bytes = Uint8Array.wrap(String.UTF8.encode("data"));
  number.value = 77;
  const sample = new every.Sample();
  sample.flag = true; sample.small = -5; sample.wide = -((<i64>1) << 40); sample.half = -300;
  sample.color = every.Color.GREEN; sample.access = every.Access.WRITE | every.Access.EXECUTE;
  sample.large = every.Large.ABOVE; sample.ratio = 0.25; sample.span = 7;
  sample.point.x = 1; sample.point.y = 2;
  for (let i = 0; i < 3; i++) sample.setNumbersAt(i, i + 1);
  for (let i = 0; i < 5; i++) sample.setTagAt(i, <u8>(97 + i));
  sample.pointsAt(0).x = 3; sample.pointsAt(0).y = 4; sample.pointsAt(1).x = 5; sample.pointsAt(1).y = 6;
  sample.type_ = 9; sample.error = 28;
  store<u32>(sample.warmthPtr, 366);
  sample.name = "name"; sample.label = "label";
  sample.dataPtr = bytes.dataStart; sample.dataLength = 4;
  sample.valuesPtr = changetype<usize>(shorts); sample.valuesLength = 2;
  sample.widerPtr = changetype<usize>(wider); sample.widerLength = 2;
  sample.countPtr = changetype<usize>(number);
  every.sample(sample);
  check(!sample.flag && sample.small == 5 && sample.wide == (<i64>1) << 40 && sample.half == 300);
  check(sample.color == every.Color.BLUE && sample.access == every.Access.READ && sample.large == every.Large.BELOW);
  check(sample.ratio == 0.75 && sample.span == 8 && sample.point.x == 10 && sample.point.y == 20);
  check(sample.numbersAt(0) == 4 && sample.numbersAt(2) == 6 && sample.tagAt(0) == 102 && sample.tagAt(4) == 106);
  check(sample.pointsAt(1).x == 50 && sample.pointsAt(1).y == 60 && sample.type_ == 10); // 24
  check(sample.error == 29 && load<u32>(sample.warmthPtr) == 376);
  check(sample.name == "name" && sample.label == "label" && sample.nothingPtr == 0);
  check(number.value == 78 && String.UTF8.decode(bytes.buffer) == "DATA");

  check(every.find(0).error == every.ENOENT);
  const found = every.find(21);
  check(found.error == 0 && found.value == 42);
  check(every.attempt(0) == 0 && every.attempt(105) == every.ENOBUFS);
  const divided = every.divide(17, 5);
  check(divided.value0 == 3 && divided.value1 == 2);
  const mixed = every.mix(0);
  check(mixed.error == 0 && mixed.value0 == 0.5 && mixed.value1 == every.Color.GREEN);
  check(every.mix(2).error == every.EDOM);
  check(every.pages(-1));
  check(every.return_(7, 3) == 4 && every.findMe() == 11);
  check(every.dereference(every.reference()));
  return failed;
}
