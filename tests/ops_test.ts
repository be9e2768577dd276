// Ops at the points where a definition has to be chosen (ties, ends of a range, zeros, NaN), pow against f64, and what ops on
// columns and real tokens refuse. On both backends; gradients elsewhere: gradients_test.ts.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { concatColumns, sliceColumns } from "../tensor/columns.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory, release } from "../tensor/memory.ts";
import { abs, clamp, maximum, minimum } from "../tensor/piecewise.ts";
import { pow } from "../tensor/power.ts";
import { meanOfReal, sumAll } from "../tensor/reduce.ts";
import { concatRows, sliceRows } from "../tensor/row_blocks.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { gpuTest, openGpu } from "./gpu.ts";

const onCpu = await cpu({ threads: 1 });
const onGpu = openGpu();

addEventListener("unload", () => onCpu.close());

/** The same test on the CPU and on WebGPU. */
function onBoth(name: string, body: (backend: Backend) => Promise<void>): void {
  const scoped = async (backend: Backend) => {
    using _scope = memory(backend);
    await body(backend);
  };
  Deno.test(name, () => scoped(onCpu));
  gpuTest(`${name}, on WebGPU`, async () => await scoped(await onGpu()));
}

/** Values of an op, and gradients of their sum with weights 1, 2, 3, ... to each input. */
async function look(
  backend: Backend,
  inputs: readonly (readonly number[])[],
  op: (...x: Tensor[]) => Tensor,
): Promise<{ readonly y: readonly number[]; readonly slopes: readonly (readonly number[])[] }> {
  const params = inputs.map((values) => parameter(backend, Float32Array.from(values), [values.length]));
  const y = op(...params);
  const weight = tensor(backend, Array.from({ length: y.shape[0] }, (_, at) => at + 1), y.shape);
  const found = await gradients(sumAll(multiply(y, weight)), params);
  const slopes: number[][] = [];
  for (const gradient of found) slopes.push([...await gradient!.read()]);
  const result = { y: [...await y.read()], slopes };
  params.forEach(release);
  return result;
}

onBoth("maximum and minimum share the gradient of a tie, and give NaN for NaN", async (backend) => {
  const sides = [[1, 5, -2, Infinity, NaN], [3, 5, -4, Infinity, 0]];
  assertEquals(await look(backend, sides, maximum), {
    y: [3, 5, -2, Infinity, NaN],
    slopes: [[0, 1, 3, 2, 2.5], [1, 1, 0, 2, 2.5]],
  });
  assertEquals(await look(backend, sides, minimum), {
    y: [1, 5, -4, Infinity, NaN],
    slopes: [[1, 1, 0, 2, 2.5], [0, 1, 3, 2, 2.5]],
  });
  const one = await look(backend, [[1, 2, 3], [2]], maximum);
  assertEquals(one.slopes, [[0, 1, 3], [1 + 1]]);
});

onBoth("clamp passes gradients at both ends of its range, and none outside", async (backend) => {
  const x = [[-7, -1, 0.5, 2, 2.5, Infinity, NaN]];
  assertEquals(await look(backend, x, (one) => clamp(one, -1, 2)), {
    y: [-1, -1, 0.5, 2, 2, 2, NaN],
    slopes: [[0, 2, 3, 4, 0, 0, 7]],
  });
  assertEquals(await look(backend, x, (one) => clamp(one, -1, Infinity)), {
    y: [-1, -1, 0.5, 2, 2.5, Infinity, NaN],
    slopes: [[0, 2, 3, 4, 5, 6, 7]],
  });
});

Deno.test("clamp refuses a range whose ends are swapped or NaN", () => {
  using _scope = memory(onCpu);
  const x = tensor(onCpu, [1], [1]);
  assertThrows(() => clamp(x, 2, 1), RangeError, "Cannot clamp to 2 to 1");
  assertThrows(() => clamp(x, NaN, 1), RangeError, "Cannot clamp to NaN to 1");
});

onBoth("abs has the gradient 0 at 0", async (backend) => {
  const found = await look(backend, [[-3, 0, -0, 2, -Infinity]], abs);
  assertEquals(found, { y: [3, 0, 0, 2, Infinity], slopes: [[-1, 0, 0, 4, -5]] });
});

onBoth("pow at zeros, infinities and negative numbers is Math.pow's", async (backend) => {
  const x = [0, -2, 4, Infinity, -0.5, 1];
  for (const exponent of [3, 2, 1, 0, -1, -2, 0.5, -0.5, 1.75, -0.25]) {
    const { y, slopes } = await look(backend, [x], (one) => pow(one, exponent));
    for (const [at, value] of x.entries()) {
      close(y[at], value ** exponent, `${value} ** ${exponent}`);
      const slope = exponent === 0 ? 0 : exponent * value ** (exponent - 1);
      close(slopes[0][at], (at + 1) * slope, `slope of ${value} ** ${exponent}`);
    }
  }
});

Deno.test("pow keeps to f64 over many magnitudes, whole exponents to a few roundings", async () => {
  using _scope = memory(onCpu);
  const x = Float32Array.from({ length: 400 }, (_, at) => 10 ** (at / 40 - 5));
  for (const exponent of [2, 3, 5, -3, 0.5, 1.5, -2.5, 1 / 3, 2.9, -0.1]) {
    const y = await pow(tensor(onCpu, x, [400]), exponent).read();
    const inexact = !Number.isInteger(2 * exponent);
    y.forEach((value, at) => {
      // Products round once each; a logarithm and an exponential err by 8 epsilons, the first as often as its value.
      const roundings = 2 * Math.abs(exponent) + 4 + (inexact ? 8 * (1 + Math.abs(Math.log(x[at]))) : 0);
      const want = x[at] ** exponent;
      assert(
        Math.abs(value / want - 1) <= roundings * 2 ** -23,
        `${x[at]} ** ${exponent}: ${value}, ${want}`,
      );
    });
  }
  assertThrows(
    () => pow(tensor(onCpu, [1], [1]), Infinity),
    RangeError,
    "Cannot raise to the power Infinity",
  );
});

function close(got: number, want: number, what: string): void {
  const same = Object.is(got, want) || got === want;
  assert(same || Math.abs(got - want) <= 1e-5 * Math.abs(want), `${what}: ${got}, not ${want}`);
}

onBoth("columns are taken out and put side by side, whole numbers too", async (backend) => {
  const x = tensor(backend, Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [2, 4]);
  const [left, right] = [sliceColumns(x, 0, 1), sliceColumns(x, 1, 4)];
  assertEquals(await right.read(), Int32Array.of(2, 3, 4, 6, 7, 8));
  assertEquals(await concatColumns([left, right]).read(), await x.read());
  assertEquals(await concatColumns([right, left]).read(), Int32Array.of(2, 3, 4, 1, 6, 7, 8, 5));
  assertEquals(sliceColumns(x, 2, 2).shape, [2, 0]);
});

Deno.test("columns that are not there, or do not fit, are refused", () => {
  using _scope = memory(onCpu);
  const x = tensor(onCpu, [1, 2, 3, 4, 5, 6], [2, 3]);
  for (const [from, to] of [[-1, 2], [2, 1], [0, 4], [0.5, 2]]) {
    assertThrows(
      () => sliceColumns(x, from, to),
      RangeError,
      `Cannot slice columns ${from} to ${to} of shape`,
    );
  }
  assertThrows(() => concatColumns([]), RangeError, "Cannot join columns of no arrays");
  const tall = tensor(onCpu, [1, 2, 3], [3, 1]);
  assertThrows(() => concatColumns([x, tall]), RangeError, "shapes [2, 3] and [3, 1]");
  const whole = tensor(onCpu, Int32Array.of(1, 2), [2, 1]);
  assertThrows(() => concatColumns([x, whole]), TypeError, "f32 and i32");
});

onBoth("rows are taken out and put one below the other, in any number of dimensions", async (backend) => {
  const x = tensor(backend, Int32Array.of(1, 2, 3, 4, 5, 6, 7, 8), [4, 2]);
  const [above, below] = [sliceRows(x, 0, 1), sliceRows(x, 1, 4)];
  assertEquals([below.shape, await below.read()], [[3, 2], Int32Array.of(3, 4, 5, 6, 7, 8)]);
  assertEquals(await concatRows([above, below]).read(), await x.read());
  assertEquals(
    await concatRows([below, sliceRows(x, 2, 2), above]).read(),
    Int32Array.of(3, 4, 5, 6, 7, 8, 1, 2),
  );
  const deep = concatRows([tensor(backend, [1, 2], [1, 2, 1]), tensor(backend, [3, 4, 5, 6], [2, 2, 1])]);
  assertEquals([deep.shape, await deep.read()], [[3, 2, 1], Float32Array.of(1, 2, 3, 4, 5, 6)]);
  assertEquals([sliceRows(x, 4, 4).shape, concatRows([tensor(backend, [], [0, 3])]).shape], [[0, 2], [0, 3]]);
});

Deno.test("rows that are not there, or do not fit, are refused", () => {
  using _scope = memory(onCpu);
  const x = tensor(onCpu, [1, 2, 3, 4, 5, 6], [3, 2]);
  for (const [from, to] of [[-1, 2], [2, 1], [0, 4], [0.5, 2]]) {
    assertThrows(
      () => sliceRows(x, from, to),
      RangeError,
      `Cannot slice rows ${from} to ${to} of shape [3, 2]`,
    );
  }
  assertThrows(() => concatRows([]), RangeError, "Cannot join rows of no arrays");
  assertThrows(
    () => concatRows([x, tensor(onCpu, [1, 2, 3], [1, 3])]),
    RangeError,
    "Cannot join rows of shapes [3, 2] and [1, 3]: they may differ in their first axis alone",
  );
  assertThrows(
    () => concatRows([x, tensor(onCpu, Int32Array.of(1, 2), [1, 2])]),
    TypeError,
    "rows of f32 and i32",
  );
});

onBoth("the mean over real tokens is 0 where none is, and padding gets no gradient", async (backend) => {
  const mask = tensor(backend, [1, 0, 1], [3]);
  const found = await look(backend, [[1, NaN, 3]], (x) => meanOfReal(x, mask));
  assertEquals(found, { y: [2], slopes: [[0.5, 0, 0.5]] });
  const none = await look(backend, [[1, 2]], (x) => meanOfReal(x, tensor(backend, [0, 0], [2])));
  assertEquals(none, { y: [0], slopes: [[0, 0]] });
  const rows = meanOfReal(tensor(backend, [1, 2, Infinity, NaN, 3, 6], [3, 2]), mask);
  assertEquals(await rows.read(), Float32Array.of(2, 4));
  const whole = tensor(backend, [1, 2, 3, 4], [2, 2]);
  assertThrows(() => meanOfReal(whole, mask), RangeError, "with a mask of [T], not [3]");
});
