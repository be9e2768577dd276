// Sequences of different lengths in one batch: rope, attention and their gradients give each what it gets alone, bit for
// bit, however queries, keys and values come, and grouped heads follow a plain loop.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";

import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { equalSequences, type Sequences, sequencesOf } from "../tensor/sequences.ts";
import { type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { attention, packedAttention, packedRope, rope } from "../tensor/transformer.ts";

const backend = await cpu({ threads: 2 });
addEventListener("unload", () => backend.close());

/** Batches of 1 to 64 sequences; long ones are cut into several blocks by the programs. */
const batches: readonly (readonly number[])[] = [
  [7],
  [3, 0, 1, 12],
  [131, 2, 300, 97],
  [16, 16, 16, 16],
  Array.from({ length: 64 }, (_, b) => (b * 37) % 29),
];

const [H, G, W] = [4, 2, 6];
const widths = { q: H * W, k: G * W, v: G * W };
type Name = keyof typeof widths;
const names = ["q", "k", "v"] as const;

/** Rows of queries, keys and values of T tokens, and a direction to differentiate along. */
function drawn(T: number): Record<Name | "direction", Float32Array> {
  const normal = (name: string, columns: number) => random(3).split(name).normal(T * columns);
  return {
    q: normal("q", widths.q),
    k: normal("k", widths.k),
    v: normal("v", widths.v),
    direction: normal("direction", H * W),
  };
}

type Values = ReturnType<typeof drawn>;

/** Result and gradients of turning queries and keys by half their width and attending. */
async function attended(values: Values, sequences: Sequences, packed: boolean): Promise<Float32Array[]> {
  using _scope = memory(backend);
  const { T } = sequences;
  const turn = { sequences, rotaryWidth: 4 };
  const shape = { sequences, heads: H, keyValueHeads: G };
  const columns = { qkv: widths.q + widths.k + widths.v, ...widths };
  const given = (name: keyof typeof columns, rows: Float32Array) =>
    parameter(backend, rows, [T, columns[name]]);
  let inputs: Parameter[];
  let o: Tensor;
  if (packed) {
    const rows = new Float32Array(T * columns.qkv);
    let from = 0;
    for (const name of names) {
      for (let t = 0; t < T; t++) {
        const row = values[name].subarray(t * columns[name], (t + 1) * columns[name]);
        rows.set(row, t * columns.qkv + from);
      }
      from += columns[name];
    }
    const qkv = given("qkv", rows);
    inputs = [qkv];
    o = packedAttention(packedRope(qkv, { ...turn, ...shape }), shape);
  } else {
    const [q, k, v] = names.map((name) => given(name, values[name]));
    inputs = [q, k, v];
    o = attention(rope(q, { ...turn, heads: H }), rope(k, { ...turn, heads: G }), v, shape);
  }
  const along = multiply(o, tensor(backend, values.direction, [T, H * W]));
  const found = await gradients(sumAll(along), inputs);
  const read = await Promise.all([o, ...found].map((each) => each!.read() as Promise<Float32Array>));
  for (const { buffer } of inputs) backend.free(buffer);
  if (!packed) return read;
  let from = 0;
  return [
    read[0],
    ...names.map((name) => {
      const own = from;
      from += columns[name];
      const rows = new Float32Array(T * columns[name]);
      for (let t = 0; t < T; t++) {
        const row = t * columns.qkv + own;
        rows.set(read[1].subarray(row, row + columns[name]), t * columns[name]);
      }
      return rows;
    }),
  ];
}

function rowsOf(values: Values, from: number, to: number): Values {
  const cut = (rows: Float32Array, columns: number) => rows.slice(from * columns, to * columns);
  const { q, k, v, direction } = values;
  return {
    q: cut(q, widths.q),
    k: cut(k, widths.k),
    v: cut(v, widths.v),
    direction: cut(direction, H * W),
  };
}

for (const lengths of batches) {
  Deno.test(`rope and attention give ${lengths.length} sequences (${lengths.slice(0, 4)}) what each gets alone`, async () => {
    const sequences = sequencesOf(lengths);
    const values = drawn(sequences.T);
    const together = await attended(values, sequences, false);
    assertEquals(await attended(values, sequences, true), together, "packed");
    assert(together.every((rows) => rows.some((value) => value !== 0)));
    for (const [b, length] of lengths.entries()) {
      const [from, to] = [sequences.offset_B1[b], sequences.offset_B1[b + 1]];
      const alone = await attended(rowsOf(values, from, to), sequencesOf([length]), false);
      for (const [at, columns] of [H * W, widths.q, widths.k, widths.v].entries()) {
        assertEquals(
          together[at].slice(from * columns, to * columns),
          alone[at],
          `array ${at} of sequence ${b}`,
        );
      }
    }
  });
}

Deno.test("grouped heads attend as plain loops say, each to the head of keys and values it shares", async () => {
  using _scope = memory(backend);
  const sequences = sequencesOf([5, 9]);
  const { T, offset_B1 } = sequences;
  const values = drawn(T);
  const [q, k, v] = names.map((name) => tensor(backend, values[name], [T, widths[name]]));
  const o = await attention(q, k, v, { sequences, heads: H, keyValueHeads: G }).read();
  for (let t = 0; t < T; t++) {
    const start = t < offset_B1[1] ? 0 : offset_B1[1];
    for (let h = 0; h < H; h++) {
      const g = h < 2 ? 0 : 1; // two query heads a group
      const weight: number[] = [];
      for (let s = start; s <= t; s++) {
        let score = 0;
        for (let w = 0; w < W; w++) score += values.q[(t * H + h) * W + w] * values.k[(s * G + g) * W + w];
        weight.push(Math.exp(score / Math.sqrt(W)));
      }
      const sum = weight.reduce((total, each) => total + each);
      for (let w = 0; w < W; w++) {
        let mean = 0;
        weight.forEach((each, at) => mean += each / sum * values.v[((start + at) * G + g) * W + w]);
        assertAlmostEquals(o[(t * H + h) * W + w], mean, 1e-5, `token ${t}, head ${h}, column ${w}`);
      }
    }
  }
});

Deno.test("a part of a head turns, by positions that begin anew in every sequence; the rest is copied", async () => {
  using _scope = memory(backend);
  const sequences = sequencesOf([2, 3]);
  const x = random(4).normal(5 * 6);
  const turned = await rope(tensor(backend, x, [5, 6]), { sequences, heads: 1, rotaryWidth: 4, base: 100 })
    .read();
  for (const [t, position] of [0, 1, 0, 1, 2].entries()) {
    for (const [i, angle] of [position, position / 10].entries()) {
      const [a, b] = [x[t * 6 + i], x[t * 6 + i + 2]];
      assertAlmostEquals(turned[t * 6 + i], a * Math.cos(angle) - b * Math.sin(angle), 1e-6);
      assertAlmostEquals(turned[t * 6 + i + 2], b * Math.cos(angle) + a * Math.sin(angle), 1e-6);
    }
    assertEquals(turned.slice(t * 6 + 4, t * 6 + 6), x.slice(t * 6 + 4, t * 6 + 6));
  }
});

Deno.test("the last rows of sequences, behind those of before, get what they get in the whole, bit for bit", async () => {
  using _scope = memory(backend);
  const columns = H * W + 2 * G * W;
  for (const [past, length, B] of [[1, 1, 1], [5, 2, 3], [200, 131, 2], [17, 40, 4]] as const) {
    const whole = sequencesOf(new Array(B).fill(past + length));
    const rows = random(4).normal(whole.T * columns);
    // Of each sequence its rows from `past` on.
    const last = (values: Float32Array, width: number) =>
      Float32Array.from(
        Array.from({ length: B }, (_, b) => {
          const start = b * (past + length);
          return [...values.subarray((start + past) * width, (start + past + length) * width)];
        }).flat(),
      );
    const shape = { heads: H, keyValueHeads: G, rotaryWidth: 4 };
    const all = packedRope(tensor(backend, rows, [whole.T, columns]), { ...shape, sequences: whole });
    const expected = (await packedAttention(all, { ...shape, sequences: whole }).read()) as Float32Array;
    const behind = sequencesOf(new Array(B).fill(length), past);
    const own = packedRope(tensor(backend, last(rows, columns), [behind.T, columns]), {
      ...shape,
      sequences: behind,
    });
    assertEquals(await own.read(), last(await all.read() as Float32Array, columns));
    const found = await packedAttention(own, { ...shape, sequences: behind }, all).read();
    assertEquals(found, last(expected, H * W));
  }
});

Deno.test("attention behind earlier rows refuses gradients, and arrays without those rows", () => {
  using _scope = memory(backend);
  const shape = { sequences: sequencesOf([2], 3), heads: 1 };
  const own = tensor(backend, new Float32Array(12), [2, 6]);
  const all = tensor(backend, new Float32Array(30), [5, 6]);
  assertEquals(packedAttention(own, shape, all).shape, [2, 2]);
  assertThrows(
    () => packedAttention(own, shape),
    RangeError,
    "Cannot run attention: there are 2 keys for 2 queries in 1 sequences with 3 keys before them",
  );
  const param = parameter(backend, new Float32Array(12), [2, 6]);
  assertThrows(
    () => packedAttention(param, shape, all),
    TypeError,
    "Cannot run attention behind 3 tokens on inputs that carry a gradient",
  );
  backend.free(param.buffer);
});

Deno.test("sequences know their offsets, positions and pairs; what is no length is refused", () => {
  const { B, T, length_B, offset_B1, position_T, longest, pairs } = sequencesOf([2, 0, 3]);
  assertEquals([B, T, longest, pairs], [3, 5, 3, 9]);
  assertEquals([[...length_B], [...offset_B1]], [[2, 0, 3], [0, 2, 2, 5]]);
  assertEquals([...position_T], [0, 1, 0, 1, 2]);
  assertEquals(equalSequences(2, 3), sequencesOf([3, 3]));
  const behind = sequencesOf([2, 0, 3], 4);
  assertEquals([...behind.position_T], [4, 5, 4, 5, 6]);
  assertEquals([behind.past, behind.longest, behind.pairs], [4, 3, 9 + 5 * 4]);
  assertThrows(() => sequencesOf([2], -1), RangeError, "Cannot lay out sequences behind -1 tokens");
  const none = sequencesOf([]);
  assertEquals([none.B, none.T, none.longest, [...none.offset_B1]], [0, 0, 0, [0]]);
  assertThrows(() => sequencesOf([2, -1]), RangeError, "Cannot lay out a sequence of -1 tokens");
  assertThrows(() => sequencesOf([1.5]), RangeError, "a sequence of 1.5 tokens");
  assertThrows(() => equalSequences(-1, 2), RangeError, "Cannot lay out -1 sequences");
});

Deno.test("rope and attention refuse sequences of other tokens, and heads that do not fit", () => {
  using _scope = memory(backend);
  const x = (columns: number): Tensor => tensor(backend, new Float32Array(4 * columns), [4, columns]);
  const four = sequencesOf([1, 3]);
  const [q, k, v] = [x(12), x(6), x(6)];
  assertThrows(
    () => rope(q, { sequences: sequencesOf([3]), heads: 2 }),
    RangeError,
    "4 rows for sequences of 3",
  );
  assertThrows(
    () => rope(q, { sequences: four, heads: 5 }),
    RangeError,
    "12 columns do not split into 5 heads",
  );
  assertThrows(() => rope(q, { sequences: four, heads: 2, rotaryWidth: 3 }), RangeError, "rotary width is 3");
  const attend = (heads: number, keyValueHeads: number) => () =>
    attention(q, k, v, { sequences: four, heads, keyValueHeads });
  assertThrows(attend(4, 3), RangeError, "3 heads of keys and values do not divide 4");
  assertThrows(attend(4, 4), RangeError, "keys have 6 columns and values 6, 12 were expected");
});
