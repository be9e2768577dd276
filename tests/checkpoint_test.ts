// Checkpoints: the bytes of the format, round trips, and every way a file can be damaged.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { decodeCheckpoint, encodeCheckpoint } from "../training/checkpoint.ts";

function withHeader(header: unknown, data: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + text.length + data);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

Deno.test("the bytes are those of the format", () => {
  const bytes = encodeCheckpoint(
    { b: { values: Int32Array.of(-1), shape: [1] }, a: { values: Float32Array.of(1, 2), shape: [1, 2] } },
    { step: "7" },
  );
  const header = '{"__metadata__":{"step":"7"},"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
    '"b":{"dtype":"I32","shape":[1],"data_offsets":[8,12]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  assertEquals([...bytes.subarray(0, 8)], [padded.length, 0, 0, 0, 0, 0, 0, 0]);
  assertEquals(new TextDecoder().decode(bytes.subarray(8, 8 + padded.length)), padded);
  assertEquals([...bytes.subarray(8 + padded.length)], [0, 0, 128, 63, 0, 0, 0, 64, 255, 255, 255, 255]);
});

Deno.test("what was saved comes back, to the bit", () => {
  const tensors = {
    "block.0/gate": { values: Float32Array.of(NaN, -0, Infinity, 1e-45, 0.1, -3), shape: [2, 3] },
    scalar: { values: Float32Array.of(5), shape: [] },
    empty: { values: new Float32Array(0), shape: [0, 4] },
    "größe": { values: Int32Array.of(2 ** 31 - 1, -(2 ** 31)), shape: [2] },
    // A view into a larger array, to see that only its part is written.
    view: { values: new Float32Array([9, 8, 7, 6]).subarray(1, 3), shape: [2] },
  };
  const metadata = { router: '{"name":"switch"}', "": "empty" };
  const bytes = encodeCheckpoint(tensors, metadata);
  // Read from an odd place in a larger buffer.
  const shifted = new Uint8Array(bytes.length + 3);
  shifted.set(bytes, 3);
  const found = decodeCheckpoint(shifted.subarray(3), "x");
  assertEquals(found.metadata, metadata);
  assertEquals(Object.keys(found.tensors).sort(), Object.keys(tensors).sort());
  for (const [name, { values, shape }] of Object.entries(tensors)) {
    assertEquals(found.tensors[name].shape, shape);
    assertEquals(found.tensors[name].values, values);
  }
  assertEquals(encodeCheckpoint(found.tensors, found.metadata), bytes);
  assertEquals(decodeCheckpoint(encodeCheckpoint({}, {}), "x"), { tensors: {}, metadata: {} });
});

Deno.test("a file cut short anywhere is refused by name", () => {
  const bytes = encodeCheckpoint({ a: { values: Float32Array.of(1, 2, 3), shape: [3] } }, { step: "1" });
  for (let length = 0; length < bytes.length; length++) {
    assertThrows(
      () => decodeCheckpoint(bytes.subarray(0, length), "run.ckpt"),
      RangeError,
      "Cannot read checkpoint run.ckpt: ",
    );
  }
});

Deno.test("damage is named", () => {
  const tensor = (dtype: string, shape: unknown, from: number, to: number) => ({
    dtype,
    shape,
    data_offsets: [from, to],
  });
  const cases: [header: unknown, data: number, message: string][] = [
    ["not json", 0, "its header is not JSON"],
    ["[1]", 0, "its header is not a JSON object"],
    [{ __metadata__: { step: 1 } }, 0, 'its "__metadata__" is not a map of texts'],
    [{ a: { dtype: "F32" } }, 4, 'the header\'s entry for "a" is malformed'],
    [{ a: tensor("F32", [-1], 0, 4) }, 4, 'the header\'s entry for "a" is malformed'],
    [{ a: tensor("F32", [0.5], 0, 2) }, 2, 'the header\'s entry for "a" is malformed'],
    [{ a: tensor("BF16", [2], 0, 4) }, 4, '"a" is stored as BF16; known are F32 and I32'],
    [{ a: tensor("F32", [2], 0, 4) }, 4, '"a" has 4 bytes for a shape [2] of 2 values'],
    [{ a: tensor("F32", [1], 4, 8) }, 8, '"a" should start at byte 0 of the data, not 4'],
    [{ a: tensor("F32", [1], 0, 4), b: tensor("F32", [1], 0, 4) }, 8, '"b" should start at byte 4'],
    [{ a: tensor("F32", [2], 0, 8) }, 4, '"a" should end at byte 8 of the data, and 4 are there'],
    [{ a: tensor("F32", [1], 0, 4) }, 5, "it has 1 bytes after its last tensor"],
  ];
  for (const [header, data, message] of cases) {
    assertThrows(() => decodeCheckpoint(withHeader(header, data), "x"), RangeError, message);
  }
  const huge = new Uint8Array(16).fill(255);
  assertThrows(() => decodeCheckpoint(huge, "x"), RangeError, "cut short or damaged");
  const unusual = decodeCheckpoint(withHeader({ ["__proto__x"]: tensor("I32", [], 0, 4) }, 4), "x");
  assert(unusual.tensors["__proto__x"].values instanceof Int32Array);
});

Deno.test("what cannot be saved is refused", () => {
  const wrong = { a: { values: Float32Array.of(1, 2), shape: [3] } };
  assertThrows(
    () => encodeCheckpoint(wrong, {}),
    RangeError,
    'Cannot save tensor "a": shape [3] does not hold 2 values',
  );
  const taken = { __metadata__: { values: Float32Array.of(1), shape: [1] } };
  assertThrows(() => encodeCheckpoint(taken, {}), RangeError, "__metadata__");
});
