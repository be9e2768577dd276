// Weights in fewer bits: codes are those of the formats as others define them, the error against f32 stays below the bound that
// follows from each format, products read codes without a whole copy, and training goes straight through the rounding.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { ExpertBank } from "../experts/expert.ts";
import { feedForward } from "../experts/feed_forward.ts";
import type { WeightsKept } from "../experts/parts/matrices.ts";
import { parseExpertOptions } from "../experts/registry.ts";
import { swiglu } from "../experts/swiglu.ts";
import { floatsOf } from "../formats/number_formats.ts";
import type { Backend } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import {
  packedBytesOf,
  packedLayout,
  packMatrices,
  unpackMatrices,
} from "../kernels/parts/packed_weights.ts";
import { type WeightFormat, weightFormatNames, weightFormats } from "../kernels/parts/weight_formats.ts";
import { multiply, subtract } from "../tensor/arithmetic.ts";
import { fork } from "../tensor/context.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit, type Init, type Params } from "../tensor/init.ts";
import { memory, releaseHeld } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { assignmentsOf, groupBy, sortRows } from "../tensor/rows.ts";
import { lasting, type Parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { train } from "../training/train.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

const onGpu = openGpu();

const no = (why: string): never => {
  throw new Error(why);
};

/** Every code of a format in scales of 1, as its row of K weights with one output. */
function everyCode(format: WeightFormat): Float64Array {
  const codes = 2 ** weightFormats[format].bits;
  return Float64Array.from({ length: codes }, (_, code) => weightFormats[format].decode(code));
}

Deno.test("codes are worth what other readers say: F16, BF16, E4M3 by formats/number_formats, E2M1 by OCP's table", () => {
  const halves = Uint16Array.from({ length: 2 ** 16 }, (_, code) => code);
  assertEquals(everyCode("f16"), Float64Array.from(floatsOf("F16", halves.slice().buffer, no)));
  assertEquals(everyCode("bf16"), Float64Array.from(floatsOf("BF16", halves.slice().buffer, no)));
  const bytes = Uint8Array.from({ length: 256 }, (_, code) => code);
  assertEquals(everyCode("fp8"), Float64Array.from(floatsOf("F8_E4M3", bytes.slice().buffer, no)));
  const positive = [0, 0.5, 1, 1.5, 2, 3, 4, 6];
  assertEquals([...everyCode("mxfp4")], [...positive, ...positive.map((value) => -value)]);
});

Deno.test("a code's own value gets that code back", () => {
  for (const format of weightFormatNames) {
    const { encode, decode } = weightFormats[format];
    everyCode(format).forEach((value, code) => {
      // What no number is rounded to: NaN, and integers below those whose negative there is.
      if (
        Number.isNaN(value) || (format === "int8" && value === -128) || (format === "int4" && value === -8)
      ) {
        return;
      }
      assertEquals(decode(encode(value, 1)), value, `${format} ${code}`);
      if (format !== "int4" && format !== "int8") assertEquals(encode(value, 1), code, `${format} ${code}`);
    });
  }
});

for (const format of weightFormatNames) {
  Deno.test(`${format}: no weight is off by more than its bound, and some nearly are`, () => {
    const shape = [2, 300, 200] as const;
    const [E, K, M] = shape;
    const values = random(0).split(format).normal(E * K * M).map((value, at) => value * 2 ** (at % 11 - 9));
    const words = packMatrices(format, values, shape);
    const found = unpackMatrices(format, words, shape);
    const scales = scalesOf(format, words, shape);
    let closest = 0, square = 0, all = 0;
    for (let e = 0; e < E; e++) {
      for (let k = 0; k < K; k++) {
        for (let j = 0; j < M; j++) {
          const at = (e * K + k) * M + j;
          const error = Math.abs(found[at] - values[at]);
          const bound = weightFormats[format].bound(values[at], scales(e, k, j));
          assert(error <= bound, `${format}: ${values[at]} became ${found[at]}; the bound is ${bound}`);
          closest = Math.max(closest, error / bound);
        }
      }
    }
    assert(closest > 0.95, `the bound is ${1 / closest} times the largest error`);
    const normal = random(1).normal(E * K * M);
    const rounded = unpackMatrices(format, packMatrices(format, normal, shape), shape);
    normal.forEach((value, at) => {
      square += (value - rounded[at]) ** 2;
      all += value ** 2;
    });
    const bits = 32 * packedLayout(format, 1024, 1024).words / 2 ** 20;
    console.log(
      `${format}: ${bits} bits a weight (1024 x 1024); normal weights are off by ` +
        `${(100 * Math.sqrt(square / all)).toPrecision(2)} % of their size (root of mean squares)`,
    );
  });
}

/** Scales as numbers, read from the words by hand. */
function scalesOf(
  format: WeightFormat,
  words: Int32Array,
  [, K, M]: readonly [number, number, number],
): (e: number, k: number, j: number) => number {
  const { block, scaleBits } = weightFormats[format];
  if (!block) return () => 1;
  const { scalesAt, scaleColumns, words: each } = packedLayout(format, K, M);
  const floats = new Float32Array(words.buffer);
  const bytes = new Uint8Array(words.buffer);
  return (e, k, j) => {
    const index = Math.floor(j / block[0]) * scaleColumns + Math.floor(k / block[1]);
    const start = e * each + scalesAt;
    return scaleBits === 32 ? floats[start + index] : 2 ** (bytes[4 * start + index] - 127);
  };
}

const kinds = {
  "feed-forward": (weights: WeightsKept) => ({
    plugin: feedForward,
    options: parseExpertOptions(feedForward, { activation: "gelu", bias: true, weights }),
  }),
  swiglu: (weights: WeightsKept) => ({ plugin: swiglu, options: parseExpertOptions(swiglu, { weights }) }),
  "swiglu, interleaved": (weights: WeightsKept) => ({
    plugin: swiglu,
    options: parseExpertOptions(swiglu, { weights, interleaved: true, bias: true }),
  }),
};

const dims = { D: 40, F: 72, E: 3 };
const N = 50;

function bankOf(kind: keyof typeof kinds, weights: WeightsKept, init: Init): ExpertBank {
  const { plugin, options } = kinds[kind](weights);
  // deno-lint-ignore no-explicit-any -- kinds have options of their own
  return plugin.create(dims, options as any, init);
}

/** Rows with experts in turn, every seventh of none. */
function rowsFor(backend: Backend, x_ND: Tensor) {
  const byExpert = groupBy(
    tensor(backend, Int32Array.from({ length: N }, (_, n) => n % 7 === 0 ? -1 : n % dims.E), [N]),
    dims.E,
  );
  const token_N = tensor(backend, Int32Array.from({ length: N }, (_, n) => n), [N]);
  return { rows: sortRows(x_ND, assignmentsOf(token_N, N, 1), byExpert), offset_O: byExpert.offset_O };
}

/** Result, and gradients of rows and parameters by name. */
async function resultsOf(backend: Backend, bank: ExpertBank): Promise<Record<string, Float32Array>> {
  using _scope = memory(backend);
  const x_ND = createInit(backend, random(2)).parameter(
    "x",
    [N, dims.D],
    (stream, count) => stream.normal(count),
  );
  const y_ND = await bank.apply(rowsFor(backend, x_ND));
  const weights_ND = tensor(backend, random(3).normal(N * dims.D), [N, dims.D]);
  const params: Params = { x: x_ND, ...bank.params };
  const found = await gradients(sumAll(multiply(y_ND, weights_ND)), Object.values(params));
  const values: Record<string, Float32Array> = { y: await y_ND.read() as Float32Array };
  for (const [at, name] of Object.keys(params).entries()) {
    values[name] = await found[at]!.read() as Float32Array;
  }
  releaseHeld([x_ND]);
  return values;
}

/** Rounds a bank's f32 matrices to a format, as plain loops do it. */
async function roundMatrices(bank: ExpertBank, format: WeightFormat): Promise<void> {
  for (const param of Object.values(bank.params)) {
    if (param.shape.length !== 3) continue;
    param.assign(tensor(param.backend, await rounded(param, format), param.shape));
  }
}

async function rounded(param: Parameter, format: WeightFormat): Promise<Float32Array<ArrayBuffer>> {
  const shape = param.shape as readonly [number, number, number];
  return Float32Array.from(unpackMatrices(format, packMatrices(format, await param.read(), shape), shape));
}

for (const kind of Object.keys(kinds) as (keyof typeof kinds)[]) {
  Deno.test(`${kind}: bit for bit what f32 experts make of weights that plain loops have rounded, gradients too`, async () => {
    using backend = await cpu({ threads: 2 });
    for (const format of weightFormatNames) {
      const quantised = bankOf(kind, format, createInit(backend, random(0)));
      const plain = bankOf(kind, "f32", createInit(backend, random(0)));
      const before = await plain.params.out.read();
      await roundMatrices(plain, format);
      assert(
        (await plain.params.out.read()).some((value, at) => value !== before[at]),
        "rounding changes weights",
      );
      assertEquals(await quantised.params.out.read(), before, "parameters stay as they are");
      assertEquals(await resultsOf(backend, quantised), await resultsOf(backend, plain), format);
      for (const bank of [quantised, plain]) releaseHeld(Object.values(bank.params));
    }
  });
}

// Every format's programs are held to their reference in tests/kernels_test.ts.
gpuTest(
  "on WebGPU results and gradients are those of rounded f32 weights within their sums' roundings",
  async () => {
    const backend = await onGpu();
    const quantised = bankOf("feed-forward", "mxfp4", createInit(backend, random(0)));
    const plain = bankOf("feed-forward", "f32", createInit(backend, random(0)));
    await roundMatrices(plain, "mxfp4");
    const [found, wanted] = [await resultsOf(backend, quantised), await resultsOf(backend, plain)];
    for (const [name, values] of Object.entries(wanted)) {
      const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const worst = values.reduce((most, value, at) => Math.max(most, Math.abs(value - found[name][at])), 0);
      // Both are sums of up to N, D or F terms, one after another and in two layers.
      const tolerance = 2 * 2 * (N + dims.D + dims.F) * 2 ** -24 * largest;
      assert(worst <= tolerance, `${name}: off by ${worst}, tolerance ${tolerance}`);
    }
    for (const bank of [quantised, plain]) releaseHeld(Object.values(bank.params));
  },
);

Deno.test("training goes straight through: losses of a plain loop that rounds, multiplies and moves the f32 weights", async () => {
  using backend = await cpu({ threads: 1 });
  for (const format of ["int4", "mxfp4", "fp8"] as const) {
    const target = random(9).normal(N * dims.D);
    const losses = async (weights: WeightsKept) => {
      const bank = bankOf("swiglu", weights, createInit(backend, random(0)));
      const kept = new Map<Parameter, Float32Array>();
      for (const param of Object.values(bank.params)) kept.set(param, await param.read() as Float32Array);
      const found: number[] = [];
      for (let step = 0; step < 12; step++) {
        using _scope = memory(backend);
        if (weights === "f32") {
          for (const [param, values] of kept) param.assign(tensor(backend, values, param.shape));
          await roundMatrices(bank, format);
        }
        const x_ND = tensor(backend, random(2).normal(N * dims.D), [N, dims.D]);
        const y_ND = await bank.apply(rowsFor(backend, x_ND));
        const off_ND = subtract(y_ND, tensor(backend, target, [N, dims.D]));
        const loss = sumAll(multiply(off_ND, off_ND));
        found.push((await loss.read())[0]);
        const gradient = await gradients(loss, [...kept.keys()]);
        for (const [at, [param, values]] of [...kept].entries()) {
          const by = await gradient[at]!.read();
          const moved = values.map((value, i) => value - 2e-4 * by[i]);
          kept.set(param, moved);
          param.assign(tensor(backend, moved, param.shape));
        }
      }
      releaseHeld(kept.keys());
      return found;
    };
    const [found, wanted] = [await losses(format), await losses("f32")];
    assertEquals(found, wanted, format);
    assert(found.at(-1)! < 0.9 * found[0], `${format}: ${found[0]} to ${found.at(-1)}`);
  }
});

const data = await madeUpData();

for (const weights of ["int8", "int4", "mxfp4"] as const) {
  Deno.test(`a run with --set experts.weights=${weights} learns, evaluates with rounded weights and says so`, async () => {
    using backend = await cpu({ threads: 1 });
    const config = tinyConfig("switch", {}, {
      "train.length": 16,
      "train.steps": 10,
      "experts.weights": weights,
    });
    using trained = await train(config, { backend, data });
    const { header, steps } = trained.record;
    assertEquals(header.config!.experts.weights, weights);
    assert(steps[9].loss < steps[0].loss - 0.1, `${steps[0].loss} to ${steps[9].loss}`);
    using plain = await train(tinyConfig("switch", {}, { "train.length": 16, "train.steps": 10 }), {
      backend,
      data,
    });
    assert(plain.record.steps[0].loss !== steps[0].loss, "the first loss is that of rounded weights");
  });
}

/** An init whose matrices are kept in the format alone; all of them are 0. */
function packedInit(backend: Backend): Init {
  const init = createInit(backend, random(0));
  return {
    ...init,
    quantised(name, shape, format) {
      const [E, K, M] = shape;
      const { words } = packedLayout(format, K, M);
      return { format, shape, words: lasting(backend, new Int32Array(E * words), [E, words], name) };
    },
  };
}

Deno.test("an evaluation reads codes where they lie: no copy of a matrix in 32 bits, on several threads and a fork", async () => {
  const large = { D: 512, F: 1024, E: 2 };
  const matrix = large.E * large.D * large.F;
  for (const weights of weightFormatNames) {
    using backend = await cpu({ threads: 2 });
    const before = backend.statistics();
    const options = parseExpertOptions(feedForward, { weights });
    const bank = feedForward.create(large, options, packedInit(backend));
    const kept = backend.statistics().usedBytes - before.usedBytes;
    assertEquals(Object.keys(bank.params), []);
    assert(kept <= 1.01 * feedForward.keptBytes!(large, options) + 4096, `${weights}: ${kept} bytes`);
    const handle = fork(backend);
    {
      using _scope = memory(handle);
      const x_ND = tensor(handle, random(1).normal(8 * large.D), [8, large.D]);
      const every_N = tensor(handle, Int32Array.from({ length: 8 }, (_, n) => n % large.E), [8]);
      const byExpert = groupBy(every_N, large.E);
      const token_N = tensor(handle, Int32Array.from({ length: 8 }, (_, n) => n), [8]);
      const rows = sortRows(x_ND, assignmentsOf(token_N, 8, 1), byExpert);
      await bank.apply({ rows, offset_O: byExpert.offset_O });
    }
    // The heap's extent only grows: it is the most that was in use at once.
    const peak = backend.statistics().carvedBytes - before.carvedBytes - kept;
    // Eight rows in and out and hidden, and what two threads pack of a tile: less than one expert's matrix in f32.
    assert(peak < 4 * matrix / large.E, `${weights}: ${peak} bytes besides the ${kept} kept`);
    bank.free!();
    assertEquals(backend.statistics().usedBytes, before.usedBytes, "all is given back");
  }
});

Deno.test("a training pass adds the codes and no more", async () => {
  using backend = await cpu({ threads: 1 });
  const taken = (weights: WeightsKept) => {
    const bank = bankOf("feed-forward", weights, createInit(backend, random(0)));
    using _scope = memory(backend);
    const x_ND = tensor(backend, random(1).normal(N * dims.D), [N, dims.D]);
    const rows = rowsFor(backend, x_ND);
    const before = backend.statistics().usedBytes;
    bank.apply(rows);
    const after = backend.statistics().usedBytes - before;
    releaseHeld(Object.values(bank.params));
    return after;
  };
  const plain = taken("f32");
  const { E, D, F } = dims;
  for (const format of weightFormatNames) {
    const codes = packedBytesOf(format, E, D, F) + packedBytesOf(format, E, F, D);
    // Blocks of the heap are of whole 64 bytes.
    assert(taken(format) - plain - codes < 4 * 64, `${format}: ${taken(format) - plain} for ${codes}`);
    assert(taken(format) > plain);
  }
});

Deno.test("what cannot be is refused by name", async () => {
  using backend = await cpu({ threads: 1 });
  assertThrows(
    () => parseExpertOptions(feedForward, { weights: "int3" }),
    RangeError,
    'expected one of "f32"|"f16"|"bf16"|"int8"|"int4"|"fp8"|"mxfp4"',
  );
  const words = backend.upload(new Int32Array(10), [1, 10]);
  const x = backend.upload(new Float32Array(32), [1, 32]);
  const offset = backend.upload(Int32Array.of(0, 1), [2]);
  const params = { transposeB: false, format: "int4", inputs: 32, outputs: 3 } as const;
  assertThrows(
    () => backend.run(kernels.quantisedMatmul, [x, words, offset], params),
    RangeError,
    "a matrix of 32 inputs and 3 outputs in int4 takes 15 words, not 10",
  );
});

gpuTest("half precision and a format at once are refused", async () => {
  const backend = await onGpu();
  const options = parseExpertOptions(feedForward, { weights: "int8", precision: "half" });
  assertThrows(
    () => feedForward.create(dims, options, createInit(backend, random(0))),
    RangeError,
    'Cannot run experts in half precision with weights kept as int8; choose precision "full" or weights "f32"',
  );
});
