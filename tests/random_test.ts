// The generator against known answers, and the promises streams make.
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { threefry } from "../kernels/parts/threefry.ts";
import { random } from "../tensor/random.ts";

Deno.test("Threefry-2x32 meets JAX's known answer and Random123's vectors", () => {
  const out = new Uint32Array(2);
  threefry(0, 0, 0, 0, out, 0);
  assertEquals([...out], [0x6b200159, 0x99ba4efe]);
  threefry(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, out, 0);
  assertEquals([...out], [0x1cb996fc, 0xbb002be7]);
  threefry(0x13198a2e, 0x03707344, 0x243f6a88, 0x85a308d3, out, 0);
  assertEquals([...out], [0xc4923a9c, 0x483df7a0]);
});

Deno.test("streams are pure, named and independent", () => {
  const root = random(7);
  assertEquals(root.split("gate").uniform(5), root.split("gate").uniform(5));
  assertEquals(root.split("gate").uniform(9).slice(0, 5), root.split("gate").uniform(5));
  assertNotEquals(root.split("gate").uniform(5), root.split("data").uniform(5));
  assertNotEquals(root.split(1).uniform(5), root.split("1").uniform(5));
  assertNotEquals(root.split(1).uniform(5), root.split(2).uniform(5));
  assertNotEquals(random(8).uniform(5), root.uniform(5));
});

Deno.test("uniform, normal and permutation have the moments they should", () => {
  const count = 40_000;
  const uniform = random(1).uniform(count);
  const mean = uniform.reduce((sum, value) => sum + value, 0) / count;
  assert(Math.abs(mean - 0.5) < 5 * Math.sqrt(1 / 12 / count));
  assert(uniform.every((value) => value >= 0 && value < 1));
  const normal = random(2).normal(count);
  const average = normal.reduce((sum, value) => sum + value, 0) / count;
  const square = normal.reduce((sum, value) => sum + value * value, 0) / count;
  assert(Math.abs(average) < 5 / Math.sqrt(count));
  assert(Math.abs(square - 1) < 5 * Math.sqrt(2 / count));
  const order = random(3).permutation(1000);
  assertEquals([...order].sort((a, b) => a - b), Array.from({ length: 1000 }, (_, at) => at));
  const places = Array.from({ length: 2000 }, (_, seed) => random(seed).permutation(4)[0]);
  for (let place = 0; place < 4; place++) {
    const share = places.filter((found) => found === place).length / 2000;
    assert(Math.abs(share - 0.25) < 5 * Math.sqrt(0.25 * 0.75 / 2000));
  }
});

Deno.test("bad seeds are refused by value", () => {
  assertThrows(() => random(-1), RangeError, "-1");
  assertThrows(() => random(0.5), RangeError, "0.5");
});
