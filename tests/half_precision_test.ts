// Experts in half precision on WebGPU: operands of their products are rounded where the documentation says and nowhere
// else, routing and gradients stay f32, training follows the run in full precision, and the CPU says that it cannot.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { ExpertBank, ExpertPlugin } from "../experts/expert.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { swiglu } from "../experts/swiglu.ts";
import type { Backend, HostArray } from "../kernels/kernel.ts";
import { createModel } from "../models/model.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { assignmentsOf, groupBy, sortRows } from "../tensor/rows.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { type Parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import type { RunHeader } from "../training/record.ts";
import { checkSameRun, plannedHeader } from "../training/run_rows.ts";
import { specOf } from "../training/spec_of.ts";
import { experiments, filesIn, inFolder } from "./experiments_command.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { configFor, data, HALF_EPSILON } from "./half_precision_run.ts";
import { madeUpDataset } from "./made_up_text.ts";

const shared = openGpu();
const EPSILON = 2 ** -24;

Deno.test("the CPU refuses half precision in one sentence", async () => {
  using backend = await cpu({ threads: 1 });
  const init = createInit(backend, random(0));
  const reason = 'Cannot run experts in half precision on cpu: it stores f32 and i32; choose "full"';
  const dims = { D: 4, F: 8, E: 2 };
  const options = { precision: "half" };
  assertThrows(() => feedForward.create(dims, feedForward.options.parse(options), init), RangeError, reason);
  assertThrows(() => swiglu.create(dims, swiglu.options.parse(options), init), RangeError, reason);
});

/** Whole numbers, most of them small, some with a bit too many for f16. */
function wholeNumbers(words: string, count: number): Float32Array {
  return random(1).split(words).uniform(count).map((value) => {
    const small = Math.floor(value * 1000) % 15 - 7;
    return value < 0.2 ? 2049 + 2 * small : small;
  });
}

/** Fills parameters with whole numbers times a power of two. */
function fill(backend: Backend, params: Readonly<Record<string, Parameter>>, scale: number): void {
  for (const [name, param] of Object.entries(params)) {
    const size = param.shape.reduce((product, dimension) => product * dimension, 1);
    param.assign(tensor(backend, wholeNumbers(name, size).map((value) => value * scale), param.shape));
  }
}

interface Rows {
  readonly N: number;
  readonly D: number;
  readonly expert: readonly number[];
}

/** A bank's result for rows of whole numbers, and gradients of its sum weighted by whole numbers. */
async function applied(backend: Backend, bank: ExpertBank, { N, D, expert }: Rows) {
  const byExpert = groupBy(tensor(backend, Int32Array.from(expert), [N]), 3);
  const token_N = tensor(backend, Int32Array.from({ length: N }, (_, at) => at), [N]);
  const init = createInit(backend, random(0));
  const x_ND = init.parameter("x", [N, D], () => wholeNumbers("x", N * D));
  const y_ND = await bank.apply({
    rows: sortRows(x_ND, assignmentsOf(token_N, N, 1), byExpert),
    offset_O: byExpert.offset_O,
  });
  const weights = tensor(backend, wholeNumbers("g", N * D), [N, D]);
  const params = [x_ND, ...Object.values(bank.params)];
  const found = await gradients(sumAll(multiply(y_ND, weights)), params);
  const dtypes = found.map((each) => each!.dtype);
  const [y, ...values] = await Promise.all([y_ND, ...found as Tensor[]].map((each) => each.read()));
  backend.free(x_ND.buffer);
  return { y, values, dtypes };
}

/** The same in f64 from operands rounded to f16; also sums of absolute values, which roundings are relative to. */
function expected(params: Readonly<Record<string, Float32Array>>, { N, D, expert }: Rows, F: number) {
  const half = (values: Float32Array) => Float64Array.from(values, Math.f16round);
  const [x, into, out] = [half(wholeNumbers("x", N * D)), half(params.in), half(params.out)];
  const g = wholeNumbers("g", N * D);
  const y = new Float64Array(N * D), dx = new Float64Array(N * D);
  const dIn = new Float64Array(into.length), dOut = new Float64Array(out.length);
  const sizes = { y: 0, dx: 0, dIn: new Float64Array(into.length), dOut: new Float64Array(out.length) };
  const order = [0, 1, 2].flatMap((e) => expert.flatMap((one, n) => one === e ? [n] : []));
  order.forEach((n, p) => {
    const e = expert[n];
    let sizeOfX = new Float64Array(D);
    const sizeOfY = new Float64Array(D);
    for (let f = 0; f < F; f++) {
      let sum = params.inBias[e * F + f];
      for (let d = 0; d < D; d++) sum += x[n * D + d] * into[(e * D + d) * F + f];
      // Whole numbers below 2^24 times a power of two: exact in f32, so that rounding to f16 has one result.
      assert(Math.abs(sum) < 2 ** 16, `a hidden unit of ${sum} does not fit into f16`);
      const hidden = Math.f16round(Math.max(0, sum));
      let back = 0, sizeOfBack = 0;
      for (let d = 0; d < D; d++) {
        const weight = out[(e * F + f) * D + d];
        y[p * D + d] += hidden * weight;
        sizeOfY[d] += Math.abs(hidden * weight);
        dOut[(e * F + f) * D + d] += hidden * g[p * D + d];
        sizes.dOut[(e * F + f) * D + d] += Math.abs(hidden * g[p * D + d]);
        back += weight * g[p * D + d];
        sizeOfBack += Math.abs(weight * g[p * D + d]);
      }
      if (hidden === 0) continue;
      for (let d = 0; d < D; d++) {
        dIn[(e * D + d) * F + f] += x[n * D + d] * back;
        sizes.dIn[(e * D + d) * F + f] += Math.abs(x[n * D + d]) * sizeOfBack;
        dx[n * D + d] += back * into[(e * D + d) * F + f];
        sizeOfX[d] += sizeOfBack * Math.abs(into[(e * D + d) * F + f]);
      }
    }
    for (let d = 0; d < D; d++) y[p * D + d] += params.outBias[e * D + d];
    sizes.y = Math.max(sizes.y, ...sizeOfY);
    sizes.dx = Math.max(sizes.dx, ...sizeOfX);
    sizeOfX = new Float64Array(D);
  });
  return {
    y,
    values: [dx, dIn, dOut],
    sizes: [sizes.y, sizes.dx, Math.max(...sizes.dIn), Math.max(...sizes.dOut)],
  };
}

for (const [D, F] of [[8, 12], [7, 9]]) {
  gpuTest(`operands are rounded, sums and gradients are not: ${D} columns, ${F} units`, async () => {
    const backend = await shared();
    using _scope = memory(backend);
    const rows: Rows = { N: 40, D, expert: Array.from({ length: 40 }, (_, n) => n % 7 === 0 ? -1 : n % 2) };
    const init = createInit(backend, random(0));
    const options = feedForward.options.parse({ precision: "half", bias: true });
    const bank = feedForward.create({ D, F, E: 3 }, options, init);
    fill(backend, bank.params, 2 ** -8);
    const params: Record<string, Float32Array> = {};
    for (const [name, param] of Object.entries(bank.params)) {
      params[name] = await param.read() as Float32Array;
    }
    const found = await applied(backend, bank, rows);
    const wanted = expected(params, rows, F);
    assertEquals(new Set(found.dtypes), new Set(["f32"]));
    // Every result went through at most this many sums and products, one after the other.
    const roundings = rows.N + D + F + 4;
    const names = ["y", "dx", "dIn", "dOut"];
    [found.y, found.values[0], found.values[1], found.values[2]].forEach((got, at) => {
      const want = at === 0 ? wanted.y : wanted.values[at - 1];
      const tolerance = roundings * EPSILON * wanted.sizes[at];
      let worst = 0;
      want.forEach((value, i) => worst = Math.max(worst, Math.abs(got[i] - value)));
      assert(worst <= tolerance, `${names[at]} is off by ${worst}, tolerance ${tolerance}`);
      // f16 anywhere else would be seen: its roundings are 8192 times as large.
      assert(tolerance < HALF_EPSILON * wanted.sizes[at] / 16);
    });
    for (const { buffer } of Object.values(bank.params)) backend.free(buffer);
  });
}

const others = [
  { about: "SwiGLU", bank: (precision: string) => ({ plugin: swiglu, options: { precision } }) },
  {
    about: "SwiGLU with dropout",
    bank: (precision: string) => ({ plugin: swiglu, options: { precision, dropout: 0.3 } }),
  },
  {
    about: "GELU with dropout",
    bank: (precision: string) => ({
      plugin: feedForward,
      options: { precision, activation: "gelu", bias: true, dropout: 0.3 },
    }),
  },
];

for (const { about, bank } of others) {
  gpuTest(
    `${about}: results and gradients are those of full precision within what rounding explains`,
    async () => {
      const backend = await shared();
      const [N, D, F, E] = [64, 32, 48, 3];
      const found: Record<string, HostArray[]> = {};
      for (const precision of ["full", "half"]) {
        using _scope = memory(backend);
        const { plugin, options } = bank(precision);
        const init = createInit(backend, random(5));
        const made = (plugin as ExpertPlugin<unknown>).create(
          { D, F, E },
          plugin.options.parse(options),
          init,
        );
        const x_ND = init.parameter("x", [N, D], (stream, count) => stream.normal(count));
        const byExpert = groupBy(tensor(backend, Int32Array.from({ length: N }, (_, n) => n % E), [N]), E);
        const token_N = tensor(backend, Int32Array.from({ length: N }, (_, n) => n), [N]);
        const y_ND = await made.apply({
          rows: sortRows(x_ND, assignmentsOf(token_N, N, 1), byExpert),
          offset_O: byExpert.offset_O,
          random: random(6),
        });
        const weights = tensor(backend, random(7).normal(N * D), [N, D]);
        const params = [x_ND, ...Object.values(made.params)];
        const gradient = await gradients(sumAll(multiply(y_ND, weights)), params);
        found[precision] = await Promise.all([y_ND, ...gradient as Tensor[]].map((each) => each.read()));
        for (const { buffer } of params) backend.free(buffer);
      }
      found.full.forEach((full, at) => {
        let [error, square] = [0, 0];
        full.forEach((value, i) => {
          error += (value - found.half[at][i]) ** 2;
          square += value ** 2;
        });
        // No result depends on more than eight roundings to f16 of the numbers in a term: two operands of up to three
        // products, and what two derivatives are taken at. They are independent, so their squares add.
        const distance = Math.sqrt(error / square);
        if (at === 0) assert(distance > 0, "half precision changed nothing");
        assert(distance <= Math.sqrt(8) * HALF_EPSILON, `array ${at} is ${distance} of its size off`);
      });
    },
  );
}

gpuTest("half precision holds less memory between forward and backward", async () => {
  const backend = await shared();
  const [N, D, F] = [512, 64, 256];
  const held = ["full", "half"].map((precision) => {
    const init = createInit(backend, random(0));
    const bank = feedForward.create({ D, F, E: 1 }, feedForward.options.parse({ precision }), init);
    using _scope = memory(backend);
    const x_ND = tensor(backend, random(1).normal(N * D), [N, D]);
    const every_N = tensor(backend, new Int32Array(N), [N]);
    const byExpert = groupBy(every_N, 1);
    const rows = sortRows(x_ND, assignmentsOf(every_N, N, 1), byExpert);
    const before = backend.statistics().usedBytes;
    bank.apply({ rows, offset_O: byExpert.offset_O });
    const taken = backend.statistics().usedBytes - before;
    for (const { buffer } of Object.values(bank.params)) backend.free(buffer);
    return taken;
  });
  // Hidden units halve; copies of weights and of tokens come on top; all of these fill their size classes.
  const copies = 2 * (2 * D * F + N * D);
  assertEquals(held[0] - held[1], 2 * N * F - copies);
});

const dataset = madeUpDataset();

const { batch, length } = configFor("switch", "half").train;
const T = batch * length;

gpuTest("routers see f32: they decide and weigh bit for bit as in full precision", async () => {
  const backend = await shared();
  using _scope = memory(backend);
  const routings: Record<"experts" | "weights" | "losses", HostArray>[] = [];
  for (const precision of ["full", "half"] as const) {
    const spec = specOf(configFor("gshard", precision), data);
    const model = createModel(spec, createInit(backend, random(3)));
    const tokenId_T = dataset.train.slice(0, T);
    const sequences = equalSequences(batch, length);
    const step = { training: true, step: 0, random: random(4) };
    const { loss_T, layers } = await model.forward({ tokenId_T, target_T: tokenId_T, sequences }, step);
    const { expert_N, weight_N } = layers[0].routing;
    const [experts, weights, losses] = await Promise.all(
      [expert_N, weight_N, loss_T!].map((each) => each.read()),
    );
    routings.push({ experts, weights, losses });
    model.free();
  }
  assertEquals(routings[1].experts, routings[0].experts);
  assertEquals(routings[1].weights, routings[0].weights);
  assert(
    routings[0].losses.some((loss, t) => loss !== routings[1].losses[t]),
    "half precision changed nothing",
  );
});

// Other routers: tests/long/half_precision_test.ts.

gpuTest("f16 keeps weights and gradients stay out of it: what would be lost of either", async () => {
  const backend = await shared();
  using _scope = memory(backend);
  const model = createModel(specOf(configFor("switch", "half"), data), createInit(backend, random(3)));
  const words = {
    tokenId_T: dataset.train.slice(0, T),
    target_T: dataset.train.slice(1, T + 1),
    sequences: equalSequences(batch, length),
  };
  const { loss } = await model.forward(words, { training: true, step: 0, random: random(4) });
  const names = Object.keys(model.params).filter((name) => name.includes(".experts."));
  const found = await gradients(loss!, names.map((name) => model.params[name]));
  const share = (values: Float32Array, below: number) => {
    const there = values.filter((value) => value !== 0);
    return there.filter((value) => Math.abs(value) < below).length / there.length;
  };
  for (const [at, name] of names.entries()) {
    const weight = await model.params[name].read() as Float32Array;
    const gradient = await found[at]!.read() as Float32Array;
    // Below 2^-25 nothing is left in f16, below 2^-14 it has fewer digits.
    const [lost, coarse] = [share(weight, 2 ** -25), share(weight, 2 ** -14)];
    console.log(
      `${name}: f16 loses ${lost} and coarsens ${
        coarse.toExponential(1)
      } of the weights; of the gradients it ` +
        `would lose ${share(gradient, 2 ** -25).toExponential(1)} and coarsen ${
          share(gradient, 2 ** -14).toExponential(1)
        }`,
    );
    assertEquals(lost, 0);
    // Normal weights of deviation s lie below b with probability 2 b / (s sqrt(2 pi)); s is at least 0.03 here.
    assert(coarse < 5 * 2 * 2 ** -14 / (0.03 * Math.sqrt(2 * Math.PI)), `${name}: ${coarse}`);
  }
  model.free();
});

gpuTest("a run goes on in the precision it was started in", async () => {
  const options = { data, backend: await shared() };
  const started = await plannedHeader(configFor("switch", "half"), options) as RunHeader;
  const wanted = await plannedHeader(configFor("switch", "full"), options);
  assertThrows(
    () => checkSameRun(started, wanted),
    RangeError,
    'Cannot resume switch-seed0: its experts.precision was "half" and is now "full"',
  );
});

gpuTest("--precision half reaches records and report", () =>
  inFolder(async (folder) => {
    const { code, error } = await experiments(
      ...["--size", "tiny", "--steps", "2", "--seeds", "1", "--routers", "switch", "--device", "webgpu"],
      ...["--no-controls", "--precision", "half", "--text", `${folder}/text.txt`, "--out", `${folder}/out`],
    );
    assertEquals(code, 0, error);
    const files = filesIn(`${folder}/out`);
    const [header] = files.get("records.jsonl")!.split("\n").map((line) => line && JSON.parse(line));
    assertEquals(header.experts.precision, "half");
    assertStringIncludes(files.get("report.html")!, "Precision of experts");
  }));
