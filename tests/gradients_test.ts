// Every differentiable op against finite differences, and what the tape promises: paths add, memory stays flat.
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { sizeOf } from "../kernels/kernel.ts";
import * as activations from "../tensor/activations.ts";
import * as arithmetic from "../tensor/arithmetic.ts";
import * as columns from "../tensor/columns.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import * as piecewise from "../tensor/piecewise.ts";
import { pow } from "../tensor/power.ts";
import { batchedMatmul, groupedMatmul, matmul } from "../tensor/products.ts";
import { random } from "../tensor/random.ts";
import * as reduce from "../tensor/reduce.ts";
import { logSoftmax } from "../routers/parts/assignment.ts";
import { cosineToChunks } from "../routers/parts/orthogonal_gates.ts";
import { localityLoss } from "../routers/parts/locality.ts";
import { jitter } from "../routers/parts/scoring.ts";
import * as blocks from "../tensor/row_blocks.ts";
import * as rows from "../tensor/rows.ts";
import { equalSequences, sequencesOf } from "../tensor/sequences.ts";
import { type Parameter, parameter, reshape, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import * as transformer from "../tensor/transformer.ts";
import { vocabularyLoss } from "../tensor/vocabulary_loss.ts";

const backend = await cpu({ threads: 2 });

interface OpCase {
  readonly name: string;
  /** Shapes of the differentiable inputs. */
  readonly shapes: readonly (readonly number[])[];
  readonly apply: (...inputs: Tensor[]) => Tensor;
  /** Maps normal draws to where the op is smooth. */
  readonly domain?: (value: number) => number;
}

const int = (values: number[], shape = [values.length]) => tensor(backend, Int32Array.from(values), shape);
const positive = (value: number) => Math.abs(value) + 0.5;
const awayFromZero = (value: number) => value + Math.sign(value) * 0.2;
const short = (value: number) => Math.max(-1.5, Math.min(1.5, value));
/** No such number is closer than a quarter to one that is `apart`: ties have a test of their own, in ops_test.ts. */
const inHalves = (value: number) => Math.round(2 * value) / 2;
const apart = (x: Tensor) => arithmetic.affine(x, 1, 0.25);

const gptOss = { limit: 7, steepness: 1.702, shift: 1 };

const key_N = () => int([2, 0, -1, 2, 1, 0]);
const token_N = () => int([0, 0, 1, 1, 2, 2]);

const cases: readonly OpCase[] = [
  { name: "relu", shapes: [[3, 5]], apply: activations.relu, domain: awayFromZero },
  { name: "gelu", shapes: [[3, 5]], apply: activations.gelu },
  { name: "silu", shapes: [[3, 5]], apply: activations.silu },
  { name: "exp", shapes: [[3, 5]], apply: arithmetic.exp },
  { name: "log", shapes: [[3, 5]], apply: arithmetic.log, domain: positive },
  { name: "negate", shapes: [[7]], apply: arithmetic.negate },
  { name: "square", shapes: [[7]], apply: arithmetic.square },
  { name: "sqrt", shapes: [[7]], apply: arithmetic.sqrt, domain: positive },
  { name: "sigmoid", shapes: [[7]], apply: activations.sigmoid },
  { name: "softplus", shapes: [[7]], apply: activations.softplus },
  { name: "normalCdf", shapes: [[7]], apply: activations.normalCdf },
  { name: "affine", shapes: [[7]], apply: (x) => arithmetic.affine(x, -2.5, 3) },
  { name: "add", shapes: [[3, 4], [3, 4]], apply: arithmetic.add },
  { name: "add per column", shapes: [[3, 4], [4]], apply: arithmetic.add },
  { name: "subtract per row", shapes: [[3, 4], [3, 1]], apply: arithmetic.subtract },
  { name: "multiply", shapes: [[3, 4], [3, 4]], apply: arithmetic.multiply },
  { name: "multiply by one value", shapes: [[3, 4], [1]], apply: arithmetic.multiply },
  { name: "multiply per row", shapes: [[3, 4], [3, 1]], apply: arithmetic.multiply },
  { name: "gated", shapes: [[3, 5], [3, 5]], apply: (gate, x) => activations.gated(gate, x) },
  {
    name: "gated, GPT-OSS",
    shapes: [[3, 5], [3, 5]],
    apply: (gate, x) => activations.gated(gate, x, gptOss),
  },
  { name: "gatedPairs", shapes: [[3, 6]], apply: (h) => activations.gatedPairs(h) },
  { name: "gatedPairs, GPT-OSS", shapes: [[3, 6]], apply: (h) => activations.gatedPairs(h, gptOss) },
  {
    name: "gated, one side a constant, and both sides one",
    shapes: [[3, 5]],
    apply: (x) => {
      const fixed = tensor(backend, Float32Array.from({ length: 15 }, (_, at) => at / 7 - 1), [3, 5]);
      return arithmetic.add(activations.gated(fixed, activations.gated(x, x)), activations.gated(x, fixed));
    },
  },
  { name: "divide per row", shapes: [[3, 4], [3, 1]], apply: arithmetic.divide, domain: positive },
  { name: "divide", shapes: [[3, 4], [3, 4]], apply: arithmetic.divide, domain: positive },
  {
    name: "maximum",
    shapes: [[3, 4], [3, 4]],
    apply: (a, b) => piecewise.maximum(a, apart(b)),
    domain: inHalves,
  },
  {
    name: "maximum per column",
    shapes: [[3, 4], [4]],
    apply: (a, b) => piecewise.maximum(a, apart(b)),
    domain: inHalves,
  },
  {
    name: "minimum",
    shapes: [[3, 4], [3, 4]],
    apply: (a, b) => piecewise.minimum(a, apart(b)),
    domain: inHalves,
  },
  {
    name: "minimum per row",
    shapes: [[3, 4], [3, 1]],
    apply: (a, b) => piecewise.minimum(a, apart(b)),
    domain: inHalves,
  },
  {
    name: "clamp",
    shapes: [[3, 5]],
    apply: (x) => piecewise.clamp(x, -0.5, 0.5),
    domain: (value) => value + (Math.abs(value) < 0.5 ? 0 : Math.sign(value) * 0.1),
  },
  { name: "abs", shapes: [[3, 5]], apply: piecewise.abs, domain: awayFromZero },
  ...[2, 3, 7, 0, 1].map((exponent): OpCase => ({
    name: `pow ${exponent}`,
    shapes: [[7]],
    apply: (x) => pow(x, exponent),
    domain: short,
  })),
  ...[-2, 0.5, -1.5, 2.3, -0.7].map((exponent): OpCase => ({
    name: `pow ${exponent}`,
    shapes: [[7]],
    apply: (x) => pow(x, exponent),
    domain: positive,
  })),
  { name: "sliceColumns", shapes: [[2, 3, 5]], apply: (x) => columns.sliceColumns(x, 1, 4) },
  { name: "concatColumns", shapes: [[3, 2], [3, 1], [3, 4]], apply: (...x) => columns.concatColumns(x) },
  { name: "concatColumns of one array twice", shapes: [[3, 2]], apply: (x) => columns.concatColumns([x, x]) },
  {
    name: "meanOfReal",
    shapes: [[5]],
    apply: (x) => reduce.meanOfReal(x, tensor(backend, [1, 0, 1, 1, 0], [5])),
  },
  {
    name: "meanOfReal of rows",
    shapes: [[4, 3]],
    apply: (x) => reduce.meanOfReal(x, tensor(backend, [0, 1, 1, 0], [4])),
  },
  { name: "meanOfReal without padding", shapes: [[4, 3]], apply: (x) => reduce.meanOfReal(x) },
  { name: "where", shapes: [[4], [4]], apply: (a, b) => arithmetic.where(int([1, 0, 0, 1]), a, b) },
  { name: "reshape", shapes: [[3, 4]], apply: (x) => arithmetic.square(reshape(x, [2, 6])) },
  { name: "sumLast", shapes: [[3, 4]], apply: reduce.sumLast },
  { name: "sumFirst", shapes: [[2, 3, 4]], apply: reduce.sumFirst },
  { name: "sumAll", shapes: [[2, 3, 4]], apply: reduce.sumAll },
  { name: "meanAll", shapes: [[6]], apply: reduce.meanAll },
  { name: "meanFirst", shapes: [[5, 3]], apply: reduce.meanFirst },
  { name: "softmax", shapes: [[3, 5]], apply: reduce.softmax },
  { name: "logsumexp", shapes: [[3, 5]], apply: reduce.logsumexp },
  { name: "shareOfRow", shapes: [[4, 3]], apply: reduce.shareOfRow, domain: positive },
  { name: "logSoftmax", shapes: [[3, 5]], apply: logSoftmax },
  { name: "cosineToChunks", shapes: [[3, 8]], apply: (x) => cosineToChunks(x, 4) },
  { name: "jitter", shapes: [[3, 5]], apply: (x) => jitter(x, 0.25, random(3)) },
  {
    name: "localityLoss",
    shapes: [[4, 4]],
    apply: (x) => {
      const probability_TE = reduce.softmax(x);
      const topology = {
        ranks: 2,
        homeRank_T: Int32Array.of(0, 1, 0, 0),
        rankOfExpert_E: Int32Array.of(0, 0, 1, 1),
        nodeOfRank_R: Int32Array.of(0, 1),
      };
      return localityLoss({ probability_TE, topology, near: "node", smoothing: 0.1, weight: 3 })!;
    },
  },
  { name: "crossEntropy", shapes: [[4, 6]], apply: (x) => reduce.crossEntropy(x, int([2, -1, 5, 0])) },
  {
    name: "vocabularyLoss",
    shapes: [[4, 3], [6, 3]],
    apply: (x, w) => vocabularyLoss(x, w, int([2, -1, 5, 0])),
  },
  { name: "matmul", shapes: [[3, 4], [4, 5]], apply: (a, b) => matmul(a, b) },
  {
    name: "matmul, A transposed",
    shapes: [[4, 3], [4, 5]],
    apply: (a, b) => matmul(a, b, { transposeA: true }),
  },
  {
    name: "matmul, B transposed",
    shapes: [[3, 4], [5, 4]],
    apply: (a, b) => matmul(a, b, { transposeB: true }),
  },
  {
    name: "matmul, both transposed",
    shapes: [[4, 3], [5, 4]],
    apply: (a, b) => matmul(a, b, { transposeA: true, transposeB: true }),
  },
  {
    name: "groupedMatmul",
    shapes: [[7, 3], [3, 3, 4]],
    apply: (x, w) => groupedMatmul(x, w, int([0, 2, 2, 6])),
  },
  ...(["relu", "gelu", "silu"] as const).flatMap((activation) =>
    [true, false].map((inOrder): OpCase => ({
      name: `two products of sorted rows with ${activation} and biases, ${
        inOrder ? "two assignments a token" : "in any order"
      }`,
      shapes: [[3, 4], [3, 4, 5], [3, 5], [3, 5, 2], [3, 2]],
      // Far enough from 0 for relu, and only one of its sides would be no test: biases of both signs.
      domain: (value) => value + Math.sign(value),
      apply: (x, into, inBias, out, outBias) => {
        const byExpert = rows.groupBy(key_N(), 3);
        const sorted = rows.sortRows(x, rows.assignmentsOf(token_N(), 3, inOrder ? 2 : null), byExpert);
        const hidden = groupedMatmul(sorted, into, byExpert.offset_O, { bias_EM: inBias, activation });
        return groupedMatmul(hidden, out, byExpert.offset_O, { bias_EM: outBias });
      },
    }))
  ),
  {
    name: "an activated product that is used twice",
    shapes: [[7, 3], [3, 3, 4], [3, 4, 4]],
    apply: (x, into, out) => {
      const offset_O = int([0, 2, 2, 6]);
      const hidden = groupedMatmul(x, into, offset_O, { activation: "gelu" });
      return arithmetic.add(arithmetic.square(hidden), groupedMatmul(hidden, out, offset_O));
    },
  },
  { name: "batchedMatmul", shapes: [[2, 3, 4], [2, 4, 5]], apply: batchedMatmul },
  { name: "concatRows", shapes: [[2, 3], [3, 3]], apply: (...x) => blocks.concatRows(x) },
  { name: "sliceRows", shapes: [[5, 3]], apply: (x) => blocks.sliceRows(x, 1, 4) },
  { name: "embedding", shapes: [[4, 3]], apply: (table) => rows.embedding(table, int([3, 0, 3, -1, 1])) },
  {
    name: "regroupRows",
    shapes: [[6, 2]],
    apply: (x) => rows.regroupRows(x, rows.groupBy(int([1, -1, 0, 0, 1, -1]), 2), rows.groupBy(key_N(), 3)),
  },
  {
    name: "dispatchRows",
    shapes: [[3, 4]],
    apply: (x) =>
      rows.dispatchRows(rows.sortRows(x, rows.assignmentsOf(token_N(), 3, null), rows.groupBy(key_N(), 3))),
  },
  {
    name: "combineRows",
    shapes: [[6, 4], [6]],
    apply: (y, weight) =>
      rows.combineRows(y, weight, rows.assignmentsOf(token_N(), 3, null), rows.groupBy(key_N(), 3)),
  },
  {
    name: "combineRows, two assignments a token, on a base",
    shapes: [[6, 4], [6], [3, 4]],
    apply: (y, weight, base_TD) =>
      rows.combineRows(y, weight, rows.assignmentsOf(token_N(), 3, 2), rows.groupBy(key_N(), 3), { base_TD }),
  },
  { name: "takeAlong", shapes: [[3, 4]], apply: (x) => rows.takeAlong(x, int([1, 1, 0, 3, -1, 2], [3, 2])) },
  { name: "putAlong", shapes: [[3, 2]], apply: (x) => rows.putAlong(x, int([1, 0, 3, -1, 2, 0], [3, 2]), 4) },
  { name: "transpose", shapes: [[2, 3, 5]], apply: rows.transpose },
  { name: "topK", shapes: [[4, 6]], apply: (x) => rows.topK(x, 2).value_TK },
  { name: "rmsNorm", shapes: [[3, 8], [8]], apply: (x, gain) => transformer.rmsNorm(x, gain) },
  {
    name: "rope",
    shapes: [[6, 8]],
    apply: (x) => transformer.rope(x, { sequences: sequencesOf([4, 2]), heads: 2, rotaryWidth: 2 }),
  },
  {
    name: "packed rope",
    shapes: [[6, 24]],
    apply: (x) => transformer.packedRope(x, { sequences: equalSequences(2, 3), heads: 2 }),
  },
  {
    name: "attention",
    shapes: [[6, 16], [6, 8], [6, 8]],
    apply: (q, k, v) =>
      transformer.attention(q, k, v, { sequences: sequencesOf([4, 2]), heads: 4, keyValueHeads: 2 }),
  },
  {
    name: "packed attention",
    shapes: [[8, 24]],
    apply: (x) => transformer.packedAttention(x, { sequences: equalSequences(2, 4), heads: 2 }),
  },
];

for (const { name, shapes, apply, domain = (value: number) => value } of cases) {
  Deno.test(`gradient of ${name} equals finite differences`, async () => {
    using _scope = memory(backend);
    const stream = random(11).split(name);
    const values = shapes.map((shape, at) => stream.split(at).normal(sizeOf(shape)).map(domain));
    const params = values.map((value, at) => parameter(backend, value, shapes[at]));
    const weight = stream.split("weight");
    // A random direction of the output, so that every element's gradient matters.
    const loss = (inputs: readonly Tensor[]) => {
      const y = apply(...inputs);
      const direction = tensor(backend, weight.normal(sizeOf(y.shape)), y.shape);
      return reduce.sumAll(arithmetic.multiply(y, direction));
    };
    const found = await gradients(loss(params), params);
    const step = 1e-2;
    for (const [at, value] of values.entries()) {
      const gradient = await found[at]!.read();
      for (let element = 0; element < value.length; element++) {
        const shifted = async (by: number) => {
          using _inner = memory(backend);
          const moved = value.slice();
          moved[element] += by;
          const inputs = values.map((other, index) =>
            tensor(backend, index === at ? moved : other, shapes[index])
          );
          return await reduce.scalar(loss(inputs));
        };
        // Fourth-order central difference: truncation about step^4, rounding about 2^-24 / step.
        const [a, b, c, d] = [
          await shifted(2 * step),
          await shifted(step),
          await shifted(-step),
          await shifted(-2 * step),
        ];
        const want = (-a + 8 * b - 8 * c + d) / (12 * step);
        const tolerance = 1e-3 * Math.max(1, Math.abs(want), ...value.map(Math.abs));
        assertAlmostEquals(gradient[element], want, tolerance, `${name}: input ${at}, element ${element}`);
      }
    }
    free(params);
  });
}

Deno.test("a gradient weight scales what flows back into rows, and nothing else", async () => {
  using _scope = memory(backend);
  const [rows_ND, weight_N] = [[6, 4], [6]].map((shape, at) =>
    parameter(backend, random(5).split(at).normal(sizeOf(shape)), shape)
  );
  const factor_N = [0.5, 3, 7, 0, 2, -1];
  const found = [];
  for (const gradientWeight_N of [undefined, tensor(backend, factor_N, [6])]) {
    const assignments = rows.assignmentsOf(token_N(), 3, 2);
    const byExpert = rows.groupBy(key_N(), 3);
    const y = rows.combineRows(rows_ND, weight_N, assignments, byExpert, { gradientWeight_N });
    const gradient = await gradients(reduce.sumAll(arithmetic.square(y)), [rows_ND, weight_N]);
    found.push(await Promise.all([y, gradient[0]!, gradient[1]!].map((one) => one.read())));
  }
  const [[y, toRows, toWeights], [sameY, scaled, sameWeights]] = found;
  assertEquals([sameY, sameWeights], [y, toWeights]);
  // Rows are those of assignments 1 and 5, 4, 0 and 3, in the order of their experts; assignment 2 has none.
  const order = [1, 5, 4, 0, 3];
  for (let at = 0; at < 24; at++) {
    const want = Math.floor(at / 4) < 5 ? factor_N[order[Math.floor(at / 4)]] * toRows[at] : 0;
    assertAlmostEquals(scaled[at], want, 1e-6 * (1 + Math.abs(want)));
  }
});

Deno.test("paths that meet add up, and stopGradient cuts one", async () => {
  using _scope = memory(backend);
  const x = parameter(backend, Float32Array.of(3), [1]);
  const [both] = await gradients(arithmetic.add(arithmetic.multiply(x, x), x), [x]);
  assertEquals([...await both!.read()], [7]);
  const [cut] = await gradients(arithmetic.multiply(x, stopGradient(x)), [x]);
  assertEquals([...await cut!.read()], [3]);
  const [doubled] = await gradients(arithmetic.add(x, x), [x]);
  assertEquals([...await doubled!.read()], [2]);
  free([x]);
});

Deno.test("a parameter no path leads to gets null; a loss must be one value that depends on a parameter", async () => {
  using _scope = memory(backend);
  const [x, unused] = [
    parameter(backend, Float32Array.of(1, 2), [2]),
    parameter(backend, Float32Array.of(1), [1]),
  ];
  const found = await gradients(reduce.sumAll(x), [x, unused]);
  assertEquals(found[1], null);
  await assertRejects(() => gradients(x, [x]), RangeError, "shape [2]");
  await assertRejects(() => gradients(tensor(backend, [1], [1]), [x]), TypeError, "no parameter");
  free([x, unused]);
});

Deno.test("the vocabulary's loss has the bits of its two ops, and is differentiated once", async () => {
  const [T, D, V] = [37, 12, 50];
  const x_TD = parameter(backend, random(1).normal(T * D), [T, D]);
  const weight_VD = parameter(backend, random(2).normal(V * D), [V, D]);
  {
    using _scope = memory(backend);
    const target_T = int(Array.from({ length: T }, (_, t) => t % 7 === 0 ? -1 : t));
    const scores = matmul(x_TD, weight_VD, { transposeB: true });
    const losses = [reduce.crossEntropy(scores, target_T), vocabularyLoss(x_TD, weight_VD, target_T)];
    const found = [];
    for (const loss_T of losses) {
      const both = await gradients(reduce.sumAll(arithmetic.square(loss_T)), [x_TD, weight_VD]);
      found.push(await Promise.all([loss_T, both[0]!, both[1]!].map((one) => one.read())));
    }
    assertEquals(found[1], found[0]);
    await assertRejects(
      () => gradients(reduce.sumAll(losses[1]), [x_TD, weight_VD]),
      TypeError,
      "Cannot differentiate vocabularyLoss again",
    );
  }
  free([x_TD, weight_VD]);
});

Deno.test("a thousand steps hold memory flat, and nothing is left when scopes close", async () => {
  const before = backend.statistics().usedBytes;
  const x = parameter(backend, random(1).normal(64 * 32), [64, 32]);
  const w = parameter(backend, random(2).normal(32 * 16), [32, 16]);
  const step = async () => {
    using _scope = memory(backend);
    const y = reduce.softmax(activations.gelu(matmul(x, w)));
    const [gx, gw] = await gradients(reduce.meanAll(arithmetic.square(y)), [x, w]);
    x.assign(arithmetic.subtract(x, arithmetic.affine(gx!, 0.1, 0)));
    w.assign(arithmetic.subtract(w, arithmetic.affine(gw!, 0.1, 0)));
  };
  for (let at = 0; at < 10; at++) await step();
  const warm = backend.statistics();
  for (let at = 0; at < 1000; at++) await step();
  assertEquals(backend.statistics(), warm);
  free([x, w]);
  assertEquals(backend.statistics().usedBytes, before);
});

Deno.test("keep hands a tensor to the scope around", async () => {
  const before = backend.statistics().usedBytes;
  {
    using outer = memory(backend);
    let kept: Tensor;
    {
      using inner = memory(backend);
      kept = inner.keep(arithmetic.square(tensor(backend, [1, 2, 3], [3])));
    }
    assertEquals([...await kept.read()], [1, 4, 9]);
    void outer;
  }
  assertEquals(backend.statistics().usedBytes, before);
  assert(before >= 0);
});

function free(params: readonly Parameter[]): void {
  for (const param of params) backend.free(param.buffer);
}
