// Values that are no longer there are refused by name, in every kernel and on every way to read them: a closed scope's, a
// released tensor's, one that was given to a parameter, and a parameter's from before it was assigned.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { type Kernel, sizeOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { findRouter, registerRouter } from "../routers/registry.ts";
import { add, affine, multiply, square } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory, release } from "../tensor/memory.ts";
import { onHost } from "../tensor/on_host.ts";
import { matmul } from "../tensor/products.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import {
  apply,
  type Parameter,
  parameter,
  reshape,
  seenFrom,
  stopGradient,
  type Tensor,
  tensor,
} from "../tensor/tensor.ts";
import { createAdamW } from "../training/optimizer.ts";
import { train } from "../training/train.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

const backend = await cpu({ threads: 1 });
const other = await cpu({ threads: 1 });
addEventListener("unload", () => [backend, other].forEach((one) => one.close()));

const P = (...values: number[]) =>
  parameter(backend, Float32Array.from(values), [values.length], { name: "w" });

/** A tensor of this shape after its scope closed. */
function closed(shape: readonly number[]): Tensor {
  using _scope = memory(backend);
  return tensor(backend, new Float32Array(sizeOf(shape)), shape);
}

Deno.test("every kernel refuses a closed scope's tensor as any of its inputs", () => {
  using _scope = memory(backend);
  let refused = 0;
  for (const kernel of Object.values(kernels) as unknown as Kernel<unknown>[]) {
    const { inputs, params } = kernel.cases[0];
    inputs.forEach((_, gone) => {
      const given = inputs.map(({ type: { dtype, shape } }, at) => {
        const values = dtype === "i32" ? new Int32Array(sizeOf(shape)) : new Float32Array(sizeOf(shape));
        return at === gone ? closed(shape) : tensor(backend, values, shape);
      });
      const error = assertThrows(() => apply(kernel, given, params), TypeError, "its memory scope is closed");
      assert(error.message.startsWith(`Cannot run ${kernel.name}`), error.message);
      refused++;
    });
  }
  assert(refused > 100, `only ${refused} inputs were tried`);
});

Deno.test("so does all else that reads, views or hands on a tensor, and so do views made before", async () => {
  using scope = memory(backend);
  const gone = closed([2]);
  const views: Tensor[] = [];
  {
    using _inner = memory(backend);
    const x = tensor(backend, [1, 2], [2]);
    views.push(reshape(x, [2, 1]), stopGradient(x), reshape(stopGradient(x), [1, 2]));
  }
  tensor(backend, [70, 70], [2]); // may lie where they lay
  for (const one of [gone, ...views]) {
    await assertRejects(() => one.read(), TypeError, "Cannot read: a tensor");
  }
  for (const view of views) {
    assertThrows(() => add(view, view), TypeError, "Cannot run binary (add): a tensor of shape");
  }
  const w = P(1, 2);
  assertThrows(() => reshape(gone, [1, 2]), TypeError, "Cannot reshape: a tensor of shape [2] is gone");
  assertThrows(
    () => stopGradient(gone),
    TypeError,
    "Cannot stop the gradient: a tensor of shape [2] is gone",
  );
  assertThrows(
    () => w.assign(gone),
    TypeError,
    'Cannot assign to parameter "w": a tensor of shape [2] is gone',
  );
  assertThrows(() => scope.keep(gone), TypeError, "Cannot keep a tensor: a tensor of shape [2] is gone");
  assertThrows(() => release(gone), TypeError, "Cannot release a tensor: a tensor of shape [2] is gone");
  await assertRejects(() => onHost([gone], ([x]) => [x]), TypeError, "a tensor of shape [2] is gone");
  assertEquals(await w.read(), Float32Array.of(1, 2));
  release(w);
});

Deno.test("the tape refuses what its scope took along", async () => {
  using _scope = memory(backend);
  const w = P(3);
  let loss: Tensor;
  {
    using inner = memory(backend);
    loss = inner.keep(square(multiply(w, tensor(backend, [2], [1]))));
  }
  await assertRejects(() => gradients(loss, [w]), TypeError, "its memory scope is closed");
  release(w);
});

Deno.test("a released tensor or parameter is gone, for its views too", async () => {
  using _scope = memory(backend);
  const [x, w] = [tensor(backend, [1], [1]), P(1)];
  const view = reshape(w, [1, 1]);
  [x, w].forEach(release);
  assertThrows(() => add(x, x), TypeError, "a tensor of shape [1] is gone: it was released");
  assertThrows(() => release(x), TypeError, "it was released");
  assertThrows(() => matmul(view, view), TypeError, 'parameter "w" of shape [1, 1] is gone: it was released');
  await assertRejects(() => w.read(), TypeError, 'Cannot read: parameter "w" of shape [1] is gone');
});

Deno.test("a router that keeps a constant from one pass to the next is stopped at the second, by name", async () => {
  const plugin = findRouter("switch");
  let bias: Tensor | undefined;
  const router: typeof plugin = {
    ...plugin,
    name: "keeps-a-constant",
    create(dims, options, init) {
      const made = plugin.create(dims, options, init);
      return {
        ...made,
        route(x_TD, step) {
          bias ??= tensor(x_TD.backend, new Float32Array(x_TD.shape[1]), [x_TD.shape[1]]);
          return made.route(add(x_TD, bias), step);
        },
      };
    },
  };
  const rows: number[] = [];
  registerRouter(router);
  const running = train(tinyConfig(router, {}, { "train.steps": 3 }), {
    backend,
    data: await madeUpData(),
    onStep: ({ step }) => rows.push(step),
  });
  await assertRejects(() => running, TypeError, "Cannot run binary (add): a tensor of shape [32] is gone");
  assertEquals(rows, [], "the first evaluation was the first pass");
});

Deno.test("assigning a parameter copies it, bit for bit; a tensor is given away once", async () => {
  using _scope = memory(backend);
  const values = Float32Array.of(-0, 0, 1, -Infinity, NaN, 1e-42, 3.4e38);
  const [w, view, copy] = [P(...values), P(...values), P(0, 0, 0, 0, 0, 0, 0)];
  const bits = async (one: Tensor) => new Int32Array((await one.read() as Float32Array).buffer);
  for (const source of [w, stopGradient(view)]) {
    copy.assign(source);
    assertEquals(await bits(copy), new Int32Array(values.buffer));
    assert(copy.buffer !== source.buffer);
  }
  createAdamW({ w }).update({ w: tensor(backend, new Float32Array(7).fill(1), [7]) }, 0.5, 0);
  assertEquals(await bits(copy), new Int32Array(values.buffer));
  w.assign(w);
  const x = tensor(backend, new Float32Array(7), [7]);
  w.assign(x);
  const given = 'is gone: it was given to parameter "w"';
  assertThrows(() => copy.assign(x), TypeError, given);
  assertThrows(() => add(x, x), TypeError, given);
  await assertRejects(() => x.read(), TypeError, given);
  assertEquals(await w.read(), new Float32Array(7));
  [w, view, copy].forEach(release);
});

Deno.test("what does not fit a parameter is refused, and changes nothing", async () => {
  using _scope = memory(backend);
  const w = P(1, 2);
  const what = 'Cannot assign to parameter "w"';
  assertThrows(() => w.assign(tensor(backend, [1], [1])), RangeError, `${what}: it has shape [2], not [1]`);
  assertThrows(() => w.assign(tensor(backend, Int32Array.of(1, 2), [2])), TypeError, "must be f32, not i32");
  const elsewhere = tensor(other, [1, 2], [2]);
  assertThrows(() => w.assign(elsewhere), TypeError, `${what}: values lie on another backend`);
  assertEquals(await Promise.all([w.read(), elsewhere.read()]), [
    Float32Array.of(1, 2),
    Float32Array.of(1, 2),
  ]);
  [w, elsewhere].forEach(release);
});

Deno.test("a parameter assigned between forward and gradients is refused by name; after them it is not", async () => {
  using _scope = memory(backend);
  const w = P(1, 2);
  const optimizer = createAdamW({ w });
  const losses: ((x: Tensor) => Tensor)[] = [
    square,
    (x) => matmul(reshape(x, [1, 2]), reshape(x, [2, 1])),
    (x) => affine(x, 2, 0),
    (x) => multiply(seenFrom(x, x), stopGradient(x)),
  ];
  for (const [step, of] of losses.entries()) {
    const loss = sumAll(of(w));
    const [gradient] = await gradients(loss, [w]);
    optimizer.update({ w: gradient! }, 0.1, step);
    const refused = 'Cannot differentiate: parameter "w" was assigned after the loss was made from it';
    await assertRejects(() => gradients(loss, [w]), TypeError, refused);
  }
  const view = stopGradient(w);
  w.assign(tensor(backend, [5, 6], [2]));
  const stale = 'Cannot run unary (square): parameter "w" was assigned after this view of it was made';
  assertThrows(() => square(view), TypeError, stale);
  assertEquals(await square(w).read(), Float32Array.of(25, 36));
  free([w, ...Object.values(optimizer.moments.w)]);
});

Deno.test("an optimizer refuses a parameter under two names, and an update without a gradient, by name", async () => {
  using _scope = memory(backend);
  const w = P(1);
  assertThrows(
    () => createAdamW({ tied: w, head: w }),
    RangeError,
    'Cannot train "head": it is the parameter "tied"',
  );
  assertThrows(() => createAdamW({}), RangeError, "Cannot train without parameters");
  const optimizer = createAdamW({ w });
  for (const none of [{}, { w: null as unknown as Tensor }]) {
    assertThrows(() => optimizer.update(none, 0.1, 0), TypeError, 'Cannot update "w": no gradient was given');
  }
  assertEquals(await w.read(), Float32Array.of(1));
  free([w, ...Object.values(optimizer.moments.w)]);
});

Deno.test("weight decay shrinks weights and leaves biases alone, those of experts too", async () => {
  using _scope = memory(backend);
  const options = feedForward.options.parse({ bias: true });
  const { params } = feedForward.create({ D: 2, F: 3, E: 2 }, options, createInit(backend, random(0)));
  const optimizer = createAdamW(params);
  const before: Record<string, Float32Array> = {};
  const zeros: Record<string, Tensor> = {};
  for (const [name, param] of Object.entries(params)) {
    param.assign(tensor(backend, new Float32Array(sizeOf(param.shape)).fill(1), param.shape));
    before[name] = await param.read() as Float32Array;
    zeros[name] = tensor(backend, new Float32Array(sizeOf(param.shape)), param.shape);
  }
  optimizer.update(zeros, 0.1, 0);
  for (const [name, param] of Object.entries(params)) {
    const want = name.endsWith("Bias") ? 1 : Math.fround(0.99);
    assertEquals(await param.read(), before[name].fill(want), name);
  }
  assertEquals(Object.values(params).map(({ name }) => name), ["in", "out", "inBias", "outBias"]);
  free([
    ...Object.values(params),
    ...Object.values(optimizer.moments).flatMap((both) => Object.values(both)),
  ]);
});

function free(params: readonly Parameter[]): void {
  params.forEach(release);
}
