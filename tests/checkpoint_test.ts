// Checkpoints: the bytes of the format, round trips, and every way a file can be damaged.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Buffer } from "node:buffer";
import {
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from "../training/checkpoint.ts";
import { entry, fileOf } from "./safetensors_bytes.ts";

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

Deno.test("a Buffer of Node, whose slices are views, is read like any bytes", () => {
  const tensors = {
    a: { values: Float32Array.of(1), shape: [1] },
    b: { values: Int32Array.of(2, 3), shape: [2] },
  };
  assertEquals(decodeCheckpoint(Buffer.from(encodeCheckpoint(tensors, {})), "x").tensors, tensors);
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
  // What else the format refuses: safetensors_test.ts.
  const cases: [header: unknown, data: number, message: string][] = [
    ["not json", 0, "its header is not JSON"],
    [{ __metadata__: { step: 1 } }, 0, 'its "__metadata__" is not a map of texts'],
    [{ a: entry("BF16", [2], 0, 4) }, 4, 'tensor "a" is stored as BF16; checkpoints hold F32 and I32'],
    [{ a: entry("F32", [2], 0, 4) }, 4, 'tensor "a" has 4 bytes, and its shape [2] of F32 takes 8'],
    [{ a: entry("F32", [2], 0, 8) }, 4, 'tensor "a" ends at byte 8 of the data, and 4 are there'],
    [{ a: entry("F32", [1], 0, 4) }, 5, "it has 1 bytes after its last tensor"],
  ];
  for (const [header, data, message] of cases) {
    const refused = `Cannot read checkpoint x: ${message}`;
    assertThrows(() => decodeCheckpoint(fileOf(header, data), "x"), RangeError, refused);
  }
  const huge = new Uint8Array(16).fill(255);
  assertThrows(() => decodeCheckpoint(huge, "x"), RangeError, "cut short or damaged");
  const unusual = decodeCheckpoint(fileOf({ ["__proto__x"]: entry("I32", [], 0, 4) }, 4), "x");
  assert(unusual.tensors["__proto__x"].values instanceof Int32Array);
});

Deno.test("what cannot be saved is refused", () => {
  const wrong = { a: { values: Float32Array.of(1, 2), shape: [3] } };
  assertThrows(
    () => encodeCheckpoint(wrong, {}),
    RangeError,
    'Cannot save tensors: tensor "a" has 8 bytes, and its shape [3] of F32 takes 12',
  );
  const taken = { __metadata__: { values: Float32Array.of(1), shape: [1] } };
  assertThrows(() => encodeCheckpoint(taken, {}), RangeError, "__metadata__");
});

Deno.test("as a file: the same bytes, read back; a file that sorts by name alone, as this package once wrote them", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/run.safetensors`;
    const tensors = {
      b: { values: Float32Array.of(1, 2), shape: [2] },
      a: { values: Int32Array.of(-7), shape: [] },
    };
    await writeCheckpoint(path, tensors, { step: "7" });
    assertEquals(await Deno.readFile(path), encodeCheckpoint(tensors, { step: "7" }));
    assertEquals(await readCheckpoint(path), { tensors, metadata: { step: "7" } });
    const header = { __metadata__: { step: "7" }, a: entry("I32", [], 0, 4), b: entry("F32", [2], 4, 12) };
    const older = fileOf(header, Uint8Array.of(0xF9, 0xFF, 0xFF, 0xFF, 0, 0, 0x80, 0x3F, 0, 0, 0, 0x40));
    await Deno.writeFile(path, older);
    assertEquals(await readCheckpoint(path), { tensors, metadata: { step: "7" } });
    await Deno.writeFile(path, fileOf({ a: entry("F16", [1], 0, 2) }, 2));
    const message = `Cannot read checkpoint ${path}: tensor "a" is stored as F16`;
    await assertRejects(() => readCheckpoint(path), RangeError, message);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
