// ONNX files: what Python's onnx wrote is read as it reads it, what is written here is read back, weights beside the model
// included, and whoever lies is told so.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { decodeOnnx, encodeOnnx, onnxFloats, type OnnxModel, readOnnx, writeOnnx } from "../formats/mod.ts";
import { fieldsOf, messageWriter } from "../formats/protobuf.ts";
import oracle from "./oracles/onnx_model.json" with { type: "json" };

const published = Uint8Array.fromBase64(oracle.file);

Deno.test("a model of Python's onnx is read field by field", async () => {
  const model = decodeOnnx(published);
  assertEquals(model.opsets, { "": 18, "com.microsoft": 1 });
  assertEquals(model.metadata, { note: "größer" });
  const v = { name: "v", dtype: "F32", shape: [1], data: new Uint8Array(Float32Array.of(2).buffer) } as const;
  assertEquals(model.nodes, [
    {
      op: "Gemm",
      domain: "",
      inputs: ["x", "raw"],
      outputs: ["h"],
      attributes: { alpha: { float: 0.5 }, transB: { int: 1 } },
    },
    { op: "Constant", domain: "", inputs: [], outputs: ["c"], attributes: { value: { tensor: v } } },
    {
      op: "Reshape",
      domain: "",
      inputs: ["h", ""],
      outputs: ["y"],
      attributes: { axes: { ints: [0, -1] }, mode: { text: "linear" }, scales: { floats: [0.5, 2] } },
    },
    { op: "Gelu", domain: "com.microsoft", inputs: ["h"], outputs: ["z"], attributes: {} },
  ]);
  assertEquals(model.inputs, [{ name: "x", dtype: "F32", shape: ["N", 2] }]);
  assertEquals(model.outputs, [
    { name: "y", dtype: "F32", shape: ["", 2] },
    { name: "z", dtype: "I64", shape: [3] },
  ]);
  const values: Record<string, number[]> = oracle.values;
  for (const tensor of model.weights) {
    if (tensor.name === "wide") {
      assertEquals(tensor.data, new Uint8Array(BigUint64Array.of(2n ** 63n + 5n).buffer));
    } else {
      assertEquals([...await onnxFloats(tensor)], values[tensor.name].map(Math.fround), tensor.name);
    }
  }
  const kinds = "F32 F32 F64 I64 I32 I8 U8 U64 BOOL F16 BF16 F32 F32";
  assertEquals(model.weights.map(({ dtype }) => dtype).join(" "), kinds);
  assertEquals(model.weights.slice(-2).map(({ shape }) => shape), [[], [0, 3]]);
});

Deno.test("what was read is written and read again as it was", async () => {
  const model = decodeOnnx(published);
  assertEquals(decodeOnnx(await encodeOnnx(model)), model);
});

const numbers = (count: number, first: number) => Float32Array.from({ length: count }, (_, at) => first + at);

function modelOf(sizes: readonly number[]): OnnxModel {
  const weights = sizes.map((size, at) => ({
    name: `w${at}`,
    dtype: "F32",
    shape: [size],
    data: { length: 4 * size, make: () => Promise.resolve(new Uint8Array(numbers(size, 1000 * at).buffer)) },
  } as const));
  return { opsets: { "": 18 }, nodes: [], weights, inputs: [], outputs: [], metadata: {} };
}

Deno.test("a model too large for one file has its weights beside it, and reads them from there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/m.onnx`;
    const sizes = [400, 10, 300, 2000];
    const files = await writeOnnx(path, modelOf(sizes), { oneFileBytes: 4000, dataFileBytes: 6000 });
    assertEquals(files, ["m.onnx", "m.onnx.0.data", "m.onnx.1.data"]);
    const size = (name: string) => Deno.statSync(`${folder}/${name}`).size;
    // 400 numbers, and at the next page 300: 4096 + 1200. The ten stay in the model; 2000 have a file of their own.
    assertEquals(files.slice(1).map(size), [5296, 8000]);
    assert(size("m.onnx") < 1000);
    for (const [at, tensor] of (await readOnnx(path)).weights.entries()) {
      assertEquals(await onnxFloats(tensor), numbers(sizes[at], 1000 * at));
    }
    await Deno.truncate(`${folder}/m.onnx.1.data`, 7999);
    const why = 'tensor "w3" of .*: it is said to end at byte 8000 of m.onnx.1.data, which has 7999';
    assert(new RegExp(why).test((await assertRejects(() => readOnnx(path), RangeError)).message));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("weights outside the model's folder, or beside bytes without a place, are refused", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const location of ["../w.bin", "/etc/passwd", "a/../../w.bin", "..\\w.bin", "C:\\w.bin"]) {
      const data = { location, offset: 0, bytes: 4 };
      const weights = [{ name: "w", dtype: "F32", shape: [1], data }] as const;
      const bytes = await encodeOnnx({ ...modelOf([]), weights });
      await Deno.writeFile(`${folder}/m.onnx`, bytes);
      await assertRejects(() => readOnnx(`${folder}/m.onnx`), RangeError, "outside the model's folder");
      await assertRejects(() => readOnnx(bytes), RangeError, "and no path is known");
      await assertRejects(
        () => onnxFloats(decodeOnnx(bytes).weights[0]),
        RangeError,
        "read the model with readOnnx()",
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a tensor that was not made as it was announced leaves what was there", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/m.onnx`;
    await Deno.writeTextFile(path, "before");
    const short = { length: 8, make: () => new Uint8Array(7) };
    const weights = [{ name: "w", dtype: "F32", shape: [2], data: short }] as const;
    await assertRejects(
      () => writeOnnx(path, { ...modelOf([]), weights }),
      Error,
      "made with 7 bytes, not 8",
    );
    assertEquals(await Deno.readTextFile(path), "before");
    assertEquals(Array.from(Deno.readDirSync(folder)).length, 1);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** A model with one weight, of these fields. */
function withTensor(tensor: ReturnType<typeof messageWriter>): Uint8Array {
  const { pieces, length } = messageWriter().message(7, messageWriter().message(5, tensor));
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces as Uint8Array[]) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

Deno.test("tensors whose fields do not fit each other are refused by name", () => {
  const named = () => messageWriter().text(8, "w");
  const cases: [ReturnType<typeof messageWriter>, string][] = [
    [
      named().whole(1, 2).whole(2, 1).bytes(9, new Uint8Array(4)),
      'tensor "w" has 4 bytes, and its shape [2] of F32 takes 8',
    ],
    [named().whole(1, -1).whole(2, 1), 'tensor "w" has shape [-1]'],
    [
      named().whole(1, 2n ** 40n).whole(1, 2n ** 40n).whole(2, 1),
      'tensor "w" has shape [1099511627776,1099511627776]',
    ],
    [named().whole(1, 1).whole(2, 8), 'tensor "w" has numbers of kind 8; this reader takes F32, U8'],
    [named().whole(1, 1).whole(2, 1).whole(7, 5), 'tensor "w" of F32 lists its numbers in field 7'],
    [named().whole(1, 1).whole(2, 3).whole(5, 300), 'tensor "w" of I8 lists 300, which does not fit'],
    [
      named().whole(1, 1).whole(2, 1).float(4, 1).bytes(9, new Uint8Array(4)),
      'tensor "w" has its numbers twice',
    ],
    [named().whole(1, 1).whole(2, 1).whole(14, 1), "lies in another file and does not say in which"],
    [named().text(6, "a"), 'tensor "w" holds texts'],
  ];
  for (const [tensor, why] of cases) {
    assertThrows(() => decodeOnnx(withTensor(tensor), "mine"), RangeError, why);
  }
});

Deno.test("a graph may have any number of nodes", async () => {
  const nodes = Array.from({ length: 50_000 }, (_, at) => ({
    op: "Relu",
    domain: "",
    inputs: [`v${at}`],
    outputs: [`v${at + 1}`],
    attributes: {},
  }));
  assertEquals(decodeOnnx(await encodeOnnx({ ...modelOf([]), nodes })).nodes.at(-1), nodes.at(-1));
});

Deno.test("the encoding guide's own examples are read and written", () => {
  const { pieces } = messageWriter().whole(1, 150).text(2, "testing");
  const bytes = Uint8Array.of(0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67);
  assertEquals(Uint8Array.from((pieces as Uint8Array[]).flatMap((piece) => [...piece])), bytes);
  const never = (why: string): never => {
    throw new RangeError(why);
  };
  const fields = [...fieldsOf(bytes, never)];
  assertEquals(fields.map(({ number, whole }) => [number, whole]), [[1, 150n], [2, null]]);
  assertEquals(new TextDecoder().decode(fields[1].bytes), "testing");
});
