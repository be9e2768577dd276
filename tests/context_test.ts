// Two programs at once never see each other: each handle on a backend has its own memory scopes, clock and counts. And a
// tensor whose memory is gone is refused by name, wherever it is used.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend, HostArray } from "../kernels/kernel.ts";
import type { Precision } from "../experts/parts/precision.ts";
import { createModel } from "../models/model.ts";
import { rowsOf } from "../models/spec.ts";
import { type AnyRouterPlugin, findRouter, routers } from "../routers/registry.ts";
import { add, affine, multiply, square } from "../tensor/arithmetic.ts";
import { fork } from "../tensor/context.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { onHost } from "../tensor/on_host.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { stage, takePassSeconds, takeStageSeconds } from "../tensor/stage.ts";
import { dims, parameter, seenFrom, type Tensor, tensor } from "../tensor/tensor.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { specOf } from "../training/spec_of.ts";
import { trainingLoss } from "../training/training_loss.ts";
import { tinyConfig } from "./run_configs.ts";
import { together } from "./runs_at_once.ts";
import { data, small } from "./small_run.ts";

const backend = await cpu({ threads: 1 });
const other = await cpu({ threads: 1 });
addEventListener("unload", () => [backend, other].forEach((one) => one.close()));
const shared = openGpu();
const second = openGpu();

/** One of two asynchronous calls: it makes values, lets the other go on, and uses them. */
async function tripled(on: Backend, value: number): Promise<Float32Array> {
  using _scope = memory(on);
  const x = tensor(on, [value, value], [2]);
  await Promise.resolve();
  const double = add(x, x);
  await Promise.resolve();
  const [triple] = await onHost([add(double, x)], ([y]) => [affine(y, 1, 0)]);
  return await triple.read() as Float32Array;
}

const wanted = [[3, 3], [21, 21], [6, 6]];
const numbers = (found: readonly Float32Array[]) => found.map((values) => [...values]);

Deno.test("asynchronous calls with a handle each give their own values, on one backend and on two", async () => {
  const before = [backend, other].map((one) => one.statistics().usedBytes);
  const handles = [fork(backend), fork(fork(backend)), other];
  assertEquals(numbers(await Promise.all([1, 7, 2].map((value, at) => tripled(handles[at], value)))), wanted);
  assertEquals([backend, other].map((one) => one.statistics().usedBytes), before);
});

gpuTest("the same on WebGPU, through the host's solvers too", async () => {
  const gpu = await shared();
  const before = gpu.statistics().usedBytes;
  const handles = [fork(gpu), fork(gpu), fork(await second())];
  assertEquals(numbers(await Promise.all([1, 7, 2].map((value, at) => tripled(handles[at], value)))), wanted);
  assertEquals(gpu.statistics().usedBytes, before);
});

Deno.test("on one handle, scopes that close out of order are an error, and leave nothing open", async () => {
  const handle = fork(backend);
  const before = backend.statistics().usedBytes;
  const outcomes = await Promise.allSettled([tripled(handle, 1), tripled(handle, 7)]);
  const reasons = outcomes.flatMap((outcome) =>
    outcome.status === "rejected" ? [String(outcome.reason)] : []
  );
  assert(reasons.some((reason) => /Cannot close a memory scope before those opened inside it/.test(reason)));
  // A call that was done with its values before that has the right ones.
  outcomes.forEach((one, at) => one.status === "fulfilled" && assertEquals([...one.value], wanted[at]));
  {
    using _scope = memory(handle);
    assertEquals([...await affine(tensor(handle, [5], [1]), 2, 0).read()], [10]);
  }
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("a result that another call's scope took along is refused, never read as something else", async () => {
  const handle = fork(backend);
  using _outer = memory(handle);
  const x = tensor(handle, [3], [1]);
  let taken: Tensor;
  {
    using _inner = memory(handle);
    taken = add(x, x);
  }
  tensor(handle, [70], [1]); // may lie where it lay
  await assertRejects(() => taken.read(), TypeError, "its memory scope is closed");
});

for (const [where, two] of [["one backend", backend], ["two backends", other]] as const) {
  Deno.test(`runs at once on ${where} give the records they give alone, byte for byte`, async () => {
    const used = backend.statistics().usedBytes;
    await together(backend, two, routers().map(({ name }) => name));
    assertEquals(backend.statistics().usedBytes, used);
  });
}

// On WebGPU: tests/long/context_test.ts.

/** Loss and gradients of one step of a model on `on`, read. */
async function stepOf(
  plugin: AnyRouterPlugin,
  options: Record<string, unknown>,
  { made, on }: { readonly made: Backend; readonly on: Backend },
  precision: Precision = "full",
): Promise<(HostArray | undefined)[]> {
  const config = tinyConfig(plugin, options, small, { "experts.precision": precision });
  const model = createModel(specOf(config, data), createInit(made, random(1)));
  using _scope = memory(on);
  const V = rowsOf(data.input);
  const { batch: sequences, length } = config.train;
  const T = sequences * length;
  const id = Int32Array.from({ length: T }, (_, t) => (7 * t) % V);
  const batch = { tokenId_T: id, target_T: id.toReversed(), sequences: equalSequences(sequences, length) };
  const output = await model.forward(batch, { training: true, step: 0, random: random(3), backend: on });
  const total = trainingLoss(output);
  const params = Object.values(model.params);
  const found = await gradients(total, params);
  const read = await Promise.all([total.read(), ...found.map((gradient) => gradient?.read())]);
  model.free();
  return read;
}

const subjects = [
  ...routers().map((plugin) => [plugin, {}] as const),
  [findRouter("top-any"), { gate: "cosine" }] as const,
];
for (const [plugin, options] of subjects) {
  Deno.test(`${plugin.name} ${JSON.stringify(options)}: a model made on one handle works on another`, async () => {
    const parsed = options;
    const alone = await stepOf(plugin, parsed, { made: backend, on: backend });
    const before = backend.statistics().usedBytes;
    assertEquals(await stepOf(plugin, parsed, { made: backend, on: fork(backend) }), alone);
    assertEquals(backend.statistics().usedBytes, before, "all belongs to the second handle's scope");
  });
}

gpuTest("so does one in half precision on WebGPU, whose weights are copied", async () => {
  const gpu = await shared();
  const [plugin, options] = [findRouter("switch"), {}];
  const alone = await stepOf(plugin, options, { made: gpu, on: gpu }, "half");
  const before = gpu.statistics().usedBytes;
  assertEquals(await stepOf(plugin, options, { made: gpu, on: fork(gpu) }, "half"), alone);
  assertEquals(gpu.statistics().usedBytes, before, "all belongs to the second handle's scope");
});

Deno.test("two activations of two handles, or of two backends, are refused; parameters are not", async () => {
  const [a, b] = [fork(backend), fork(backend)];
  using _a = memory(a);
  using _b = memory(b);
  const w = parameter(a, Float32Array.of(2), [1], { name: "w" });
  const [x, y] = [tensor(a, [3], [1]), tensor(b, [5], [1])];
  assertThrows(() => add(x, y), TypeError, "Cannot run binary (add): its inputs belong to two handles");
  const elsewhere = tensor(other, [5], [1]);
  assertThrows(() => add(x, elsewhere), TypeError, "Cannot run binary (add): its inputs lie on two backends");
  assertThrows(() => multiply(w, elsewhere), TypeError, "its inputs lie on two backends");
  other.free(elsewhere.buffer);
  assertEquals([multiply(w, y).backend === b, multiply(y, w).backend === b], [true, true]);
  assertEquals(square(seenFrom(y, w)).backend === b, true);
  const [gradient] = await gradients(multiply(square(seenFrom(y, w)), y), [w]);
  assertEquals(await scalar(gradient!), 20);
  backend.free(w.buffer);
});

Deno.test("each handle books its own time", () => {
  const [a, b] = [fork(backend), fork(backend)];
  stage(a, "experts", () => stage(b, "route", () => 1));
  assertEquals(Object.keys(takeStageSeconds(a)).sort(), ["experts", "rest"]);
  assertEquals(Object.keys(takePassSeconds(b).forward).sort(), ["rest", "route"]);
});

Deno.test("dimensions that a pattern does not name do not compile", () => {
  const x_TD = tensor(backend, [1, 2], [1, 2]);
  // @ts-expect-error: Q is not a letter of the pattern
  const { Q } = dims(x_TD, "TD");
  const { T, D, E }: Record<"T" | "D" | "E", number> = dims(x_TD, "TD", { E: 5 });
  assertEquals([Q, T, D, E], [undefined, 1, 2, 5]);
  backend.free(x_TD.buffer);
});
