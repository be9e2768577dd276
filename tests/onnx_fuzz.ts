// Damaged ONNX files without end, a function of their number alone, and what must come of each: a refusal in one sentence, or
// what a second, simpler reader here finds.
import { assert, assertEquals } from "@std/assert";
import { decodeOnnx, encodeOnnx, type OnnxModel } from "../formats/mod.ts";
import { readFeedForward } from "../models/onnx/mod.ts";
import { random } from "../tensor/random.ts";
import oracle from "./oracles/onnx_model.json" with { type: "json" };

/** What a case takes its chances from: a whole number from 0, below the one given. */
type Draw = (below: number) => number;

const bytesOf = (size: number) => Uint8Array.from({ length: size }, (_, at) => 7 * at);
const small: OnnxModel = {
  opsets: { "": 18 },
  nodes: [{
    op: "MatMul",
    domain: "",
    inputs: ["x", "w"],
    outputs: ["y"],
    attributes: { k: { ints: [1, 2] } },
  }],
  weights: [
    { name: "w", dtype: "F32", shape: [2, 3], data: bytesOf(24) },
    { name: "ids", dtype: "I64", shape: [1], data: bytesOf(8) },
    { name: "beside", dtype: "U8", shape: [4], data: { location: "w.bin", offset: 8, bytes: 4 } },
  ],
  inputs: [{ name: "x", dtype: "F32", shape: ["N", 2] }],
  outputs: [{ name: "y", dtype: "F32", shape: ["N", 3] }],
  metadata: { note: "a" },
};
const node = (op: string, inputs: string[], output: string) => ({
  op,
  domain: "",
  inputs,
  outputs: [output],
  attributes: {},
});
const network: OnnxModel = {
  ...small,
  nodes: [
    node("MatMul", ["x", "a"], "h"),
    node("Sigmoid", ["h"], "s"),
    node("Mul", ["h", "s"], "u"),
    node("Gemm", ["u", "b", "c"], "y"),
  ],
  weights: [
    { name: "a", dtype: "F32", shape: [2, 3], data: bytesOf(24) },
    { name: "b", dtype: "F16", shape: [3, 2], data: bytesOf(12) },
    { name: "c", dtype: "BF16", shape: [2], data: bytesOf(4) },
  ],
};
const whole = [Uint8Array.fromBase64(oracle.file), await encodeOnnx(small), await encodeOnnx(network)];
const varints = [
  [0],
  [1],
  [127],
  [255, 1],
  [255, 255, 3],
  [255, 255, 255, 255, 15],
  Array(9).fill(255).concat(1),
]
  .concat([Array(9).fill(255).concat(127), Array(12).fill(255), [
    128,
    128,
    128,
    128,
    128,
    128,
    128,
    128,
    128,
    1,
  ]]);

function change(bytes: Uint8Array<ArrayBuffer>, draw: Draw): Uint8Array<ArrayBuffer> {
  const at = draw(bytes.length + 1);
  const length = draw(2) ? draw(4) : draw(bytes.length - at + 1);
  const spliced = (until: number, middle: Iterable<number>, from: number) =>
    new Uint8Array([...bytes.subarray(0, until), ...middle, ...bytes.subarray(from)]);
  switch (draw(6)) {
    case 0:
      return bytes.slice(0, at);
    case 1:
      return spliced(at, [], at + length);
    case 2:
      return spliced(at + length, [], at);
    case 3:
      return spliced(at, varints[draw(varints.length)], at + draw(3));
    default: {
      const changed = bytes.slice();
      if (changed.length > 0) changed[at % changed.length] ^= 1 << draw(8);
      return changed;
    }
  }
}

/** The damaged file of a number. */
function damaged(seed: number): Uint8Array {
  const chances = random(seed).split("damaged onnx").uniform(64);
  let at = 0;
  const draw: Draw = (below) => Math.floor(chances[at++] * below);
  let bytes = whole[draw(whole.length)];
  for (let changes = 1 + draw(3); changes > 0; changes--) bytes = change(bytes, draw);
  return bytes;
}

/** Raw weights by a reader that trusts what has passed the other one. */
function rawWeights(file: Uint8Array): [name: string, shape: number[], bytes: Uint8Array][] {
  type Fields = [number: number, value: bigint | Uint8Array][];
  const parse = (bytes: Uint8Array): Fields => {
    const fields: Fields = [];
    let at = 0;
    const next = () => {
      let [value, scale] = [0n, 1n];
      do {
        value += BigInt(bytes[at] % 128) * scale;
        scale *= 128n;
      } while (bytes[at++] >= 128);
      return value % 2n ** 64n;
    };
    while (at < bytes.length) {
      const tag = Number(next());
      const size = [0, 8, -1, 0, 0, 4][tag % 8];
      if (tag % 8 === 0) fields.push([tag >>> 3, next()]);
      else {
        const long = size < 0 ? Number(next()) : size;
        fields.push([tag >>> 3, bytes.subarray(at, at += long)]);
      }
    }
    return fields;
  };
  const inside = (fields: Fields, number: number) =>
    fields.flatMap(([one, value]) => one === number && value instanceof Uint8Array ? [value] : []);
  const graph = inside(parse(file), 7).flatMap(parse);
  return inside(graph, 5).map(parse).flatMap((tensor) => {
    const raw = inside(tensor, 9).at(-1);
    const isBeside = tensor.findLast(([number]) => number === 14)?.[1] === 1n;
    if (!raw || isBeside) return [];
    const shape = tensor.flatMap(([number, value]) =>
      number !== 1 ? [] : value instanceof Uint8Array ? parse(spaced(value)).map(([, one]) => one) : [value]
    );
    const name = new TextDecoder().decode(inside(tensor, 8).at(-1));
    return [[name, shape.map((one) => Number(one)), raw] as [string, number[], Uint8Array]];
  });
}

/** A packed list as fields: each number behind a tag. */
function spaced(packed: Uint8Array): Uint8Array {
  const bytes: number[] = [];
  packed.forEach((byte, at) => {
    if (at === 0 || packed[at - 1] < 128) bytes.push(8);
    bytes.push(byte);
  });
  return Uint8Array.from(bytes);
}

/** Checks one damaged file; true when it was whole after all. */
async function check(seed: number): Promise<boolean> {
  const bytes = damaged(seed);
  let model: OnnxModel;
  try {
    model = decodeOnnx(bytes, "damaged");
  } catch (error) {
    assert(error instanceof RangeError, `seed ${seed}: ${(error as Error).stack}`);
    assert(/^Cannot read damaged: [^\n]{8,600}$/.test(error.message), `seed ${seed}: ${error.message}`);
    return false;
  }
  const raw = rawWeights(bytes);
  const found = model.weights.filter(({ name, data }) =>
    data instanceof Uint8Array && raw.some(([one]) => one === name)
  );
  for (const [name, shape, data] of raw) {
    const same = found.some((one) =>
      one.name === name && String(one.shape) === String(shape) && String(one.data) === String(data)
    );
    assert(same, `seed ${seed}: ${name} [${shape}] was read otherwise`);
  }
  assertEquals(decodeOnnx(await encodeOnnx(model)), model, `seed ${seed}`);
  try {
    const { D, F, weights } = await readFeedForward(bytes);
    assertEquals([weights.in.length, weights.out.length], [D * F, F * D], `seed ${seed}`);
  } catch (error) {
    assert(error instanceof RangeError && /^Cannot read /.test(error.message), `seed ${seed}: ${error}`);
  }
  return true;
}

/** Tests the damaged files of many numbers. */
export function testDamaged(from: number, count: number): void {
  Deno.test(`${count} damaged ONNX files are refused in one sentence or read as they are`, async () => {
    let taken = 0;
    for (let seed = from; seed < from + count; seed++) if (await check(seed)) taken++;
    // The chances are the same everywhere; both ends of them are met.
    assert(taken > count / 20 && taken < count / 2, `${taken} of ${count} were read`);
  });
}
