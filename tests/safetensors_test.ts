// Safetensors beside what PyTorch and the reference reader (Rust, through its Python package) make of the same bytes, and
// back: what is written is what the reference writes.
import { assert, assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { bitsOf, dtypes, floatsOf, type SafetensorsDtype } from "../formats/number_formats.ts";
import { readSafetensors } from "../formats/safetensors.ts";
import { encodeSafetensors, type TensorToMake, writeSafetensors } from "../formats/safetensors_write.ts";
import { random } from "../tensor/random.ts";
import oracle from "./oracles/safetensors_dtypes.json" with { type: "json" };
import { inOwnFolder } from "./own_folder.ts";
import { entry, fileOf } from "./safetensors_bytes.ts";

const published = Uint8Array.fromBase64(oracle.file);

/** A number of the oracle, where strings stand for what JSON has no number for. */
function numberOf(value: number | string | boolean): number {
  return typeof value === "string" ? Number(value.replace("inf", "Infinity")) : Number(value);
}

function integers(dtype: string, bytes: ArrayBuffer): string[] {
  return Array.from(dtype === "I64" ? new BigInt64Array(bytes) : new Uint32Array(bytes), String);
}

Deno.test("a file of PyTorch's: kinds, shapes, texts and every value", async () => {
  const file = await readSafetensors(published);
  assertEquals(file.metadata, { note: "naïve ✓" });
  assertEquals([...file.tensors.keys()].sort(), Object.keys(oracle.values).sort());
  const shape = (name: string) => file.tensors.get(name)!.shape;
  assertEquals([shape("f64"), shape("scalar"), shape("empty")], [[2, 2], [], [0, 3]]);
  for (const [name, values] of Object.entries(oracle.values) as [string, (number | string | boolean)[]][]) {
    const { dtype } = file.tensors.get(name)!;
    if (dtype === "I64" || dtype === "U32") {
      assertEquals(integers(dtype, (await file.bytes(name)).buffer), values.map(String), name);
    } else if (name === "f64") {
      assertEquals([...new Float64Array((await file.bytes(name)).buffer)], values.map(Number));
    } else {
      assertEquals([...await file.floats(name)], values.map(numberOf), name);
    }
  }
});

Deno.test("the same tensors are written to the bytes of PyTorch's file", async () => {
  const file = await readSafetensors(published);
  const tensors: Record<string, TensorToMake & { data: Uint8Array }> = {};
  for (const name of [...file.tensors.keys()].reverse()) {
    const { dtype, shape } = file.tensors.get(name)!;
    tensors[name] = Object.assign({ dtype, shape, data: await file.bytes(name) });
  }
  assertEquals(encodeSafetensors(tensors, file.metadata), published);
});

Deno.test("all codes of the formats of 8 bits that PyTorch's file lacks", () => {
  const codes = Uint8Array.from({ length: 256 }, (_, code) => code).buffer;
  for (const [dtype, values] of Object.entries(oracle.codes) as [SafetensorsDtype, (number | string)[]][]) {
    assertEquals(
      [...floatsOf(dtype, codes, (why) => assert(false, why) as never)],
      values.map(numberOf),
      dtype,
    );
  }
});

Deno.test("values that no 32-bit float holds are refused by place, never rounded away", async () => {
  const file = await readSafetensors(published, "mine");
  const cases: readonly (readonly [string, string])[] = [
    [
      "i64",
      'Cannot read tensor "i64" of mine: value 1 is 9007199254740993, which no 32-bit float is; read its bytes',
    ],
    [
      "u32",
      'Cannot read tensor "u32" of mine: value 1 is 4294967295, which no 32-bit float is; read its bytes',
    ],
    [
      "f64",
      'Cannot read tensor "f64" of mine: value 3 is 1e+300, past the largest 32-bit float; read its bytes',
    ],
  ];
  for (const [name, message] of cases) await assertRejects(() => file.floats(name), RangeError, message);
  assertEquals(await file.floats("f64", { from: 0, to: 3 }), Float32Array.of(0.5, -1.25, 3));
  assertEquals(await file.floats("i64", { from: 0, to: 1 }), Float32Array.of(-(2 ** 62)));
  const packed = await readSafetensors(
    encodeSafetensors({ p: { dtype: "F4", shape: [2], data: Uint8Array.of(7) } }),
  );
  await assertRejects(
    () => packed.floats("p"),
    RangeError,
    "F4 has no values as 32-bit floats; read its bytes",
  );
});

Deno.test("every kind of number comes back byte by byte, whole and in part", async () => {
  const tensors = Object.fromEntries(dtypes.map((dtype, at) => {
    const data = Uint8Array.from(random(at).uniform(3 * bitsOf(dtype)), (value) => Math.floor(256 * value));
    return [`of ${dtype}`, { dtype, shape: [4, 1, 6], data }] as const;
  }));
  const file = await readSafetensors(encodeSafetensors(tensors));
  assertEquals([...file.tensors.keys()], [...dtypes].reverse().map((dtype) => `of ${dtype}`));
  for (const [name, { dtype, shape, data }] of Object.entries(tensors)) {
    assertEquals([file.tensors.get(name)?.dtype, file.tensors.get(name)?.shape], [dtype, shape]);
    assertEquals(await file.bytes(name), data);
    const row = 6 * bitsOf(dtype) / 8;
    if (Number.isInteger(row)) {
      assertEquals(await file.bytes(name, { from: 6, to: 12 }), data.slice(row, 2 * row), name);
    }
  }
  assertEquals(await file.bytes("of F32", { from: 24, to: 24 }), new Uint8Array(0));
  const wrong = (part: { from: number; to: number }, name = "of F32") => () => file.bytes(name, part);
  const message = 'Cannot read tensor "of F32" of bytes in memory: it has 24 elements, not a part from';
  for (const [from, to] of [[-1, 2], [3, 2], [0, 25], [0.5, 2], [NaN, 2]]) {
    await assertRejects(wrong({ from, to }), RangeError, `${message} ${from} to ${to}`);
  }
  await assertRejects(
    wrong({ from: 0, to: 1 }, "of F4"),
    RangeError,
    "elements 0 to 1 of F4 are no whole bytes",
  );
  await assertRejects(wrong({ from: 0, to: 1 }, "other"), RangeError, "it has no tensor of that name");
});

const ok = entry("F32", [2], 0, 8);
const twice = JSON.stringify(ok);

/** Files of one fault each, and what is said about them; the reference reader (safetensors 0.8.0) refuses all of these. */
const malformed: readonly (readonly [name: string, file: Uint8Array, message: string])[] = [
  ["seven bytes", new Uint8Array(7), "it has 7 bytes, too few for a header"],
  [
    "header longer than file",
    fileOf({ a: ok }, 8, 10n ** 9n),
    "its header should have 1000000000 bytes, and 62 are",
  ],
  [
    "length past 64 bits",
    fileOf({ a: ok }, 8, 2n ** 64n - 1n),
    "its header should have 18446744073709551615 bytes",
  ],
  ["no header", fileOf("", 0), "its header is not JSON: it ends too early"],
  ["header not JSON", fileOf("{not json", 8), 'its header is not JSON: "not" stands where a name was to be'],
  ["header not an object", fileOf("[1,2]   ", 8), "its header is [1,2], not a JSON object"],
  ["text after the header", fileOf(`{"a":${twice}}x`, 8), 'its header is not JSON: "x" follows its end'],
  ["byte order mark", fileOf(`\uFEFF{"a":${twice}}`, 8), "its header is not JSON"],
  ["not UTF-8", fileOf(Uint8Array.of(0x7B, 0xFF, 0x7D), 0), "its header is not UTF-8 text"],
  [
    "half a surrogate",
    fileOf(`{"\\ud800":${twice}}`, 8),
    String.raw`the string "\"\\ud800\"" is not well formed`,
  ],
  ["control character", fileOf(`{"\x01":${twice}}`, 8), "is not well formed"],
  ["string without end", fileOf('{"a', 8), "a string that begins at character 1 does not end"],
  ["nested too deep", fileOf(`{"a":${"[".repeat(127)}`, 8), "it is nested more than 127 levels deep"],
  ["number past the largest", fileOf('{"a":{"x":1e999}}', 8), '"1e999" is no value'],
  [
    "unknown dtype",
    fileOf({ a: entry("F3", [2], 0, 8) }, 8),
    'tensor "a" has dtype "F3"; known are BOOL, F4, F6_E2M3',
  ],
  [
    "no dtype",
    fileOf({ a: { shape: [2], data_offsets: [0, 8] } }, 8),
    'tensor "a" has dtype undefined; known are',
  ],
  [
    "size disagrees",
    fileOf({ a: entry("F32", [3], 0, 8) }, 8),
    'tensor "a" has 8 bytes, and its shape [3] of F32 takes 12',
  ],
  [
    "offset past the end",
    fileOf({ a: entry("F32", [4], 0, 16) }, 8),
    'tensor "a" ends at byte 16 of the data, and 8 are',
  ],
  ["offsets reversed", fileOf({ a: entry("F32", [2], 8, 0) }, 8), 'tensor "a" has data_offsets [8,0]'],
  ["three offsets", fileOf({ a: entry("F32", [2], 0, 8, 8) }, 8), 'tensor "a" has data_offsets [0,8,8]'],
  [
    "offsets with a fraction",
    fileOf(`{"a":${twice.replace("8]", "8.0]")}}`, 8),
    'tensor "a" has data_offsets [0,8.0]',
  ],
  [
    "overlap",
    fileOf({ a: ok, b: entry("F32", [2], 4, 12) }, 12),
    'tensor "b" begins at byte 4 of the data, within',
  ],
  [
    "same place",
    fileOf({ a: ok, b: ok }, 8),
    'tensor "b" begins at byte 0 of the data, within the tensor before it',
  ],
  [
    "hole",
    fileOf({ a: ok, b: entry("F32", [1], 12, 16) }, 16),
    'tensor "b" begins at byte 12 of the data, and bytes from 8',
  ],
  ["hole at the start", fileOf({ a: entry("F32", [2], 8, 16) }, 16), "bytes from 0 on belong to none"],
  ["trailing bytes", fileOf({ a: ok }, 12), "it has 4 bytes after its last tensor"],
  ["negative dimension", fileOf({ a: entry("F32", [-2], 0, 8) }, 8), 'tensor "a" has shape [-2]; a shape is'],
  [
    "fraction in a shape",
    fileOf({ a: entry("F32", [0.5], 0, 2) }, 2),
    'tensor "a" has shape [0.5]; a shape is',
  ],
  [
    "dimension past 64 bits",
    fileOf(`{"a":{"dtype":"F32","shape":[18446744073709551616,0],"data_offsets":[0,0]}}`, 0),
    "has shape [18446744073709551616,0]; a shape is",
  ],
  [
    "shape overflows",
    fileOf({ a: entry("F32", [2 ** 40, 2 ** 40], 0, 8) }, 8),
    "shape [1099511627776,1099511627776] of F32, whose size is past 64 bits",
  ],
  [
    "overflow before a zero",
    fileOf({ a: entry("F32", [2 ** 40, 2 ** 40, 0], 0, 0) }, 0),
    "whose size is past 64 bits",
  ],
  [
    "half a byte",
    fileOf({ a: entry("F4", [3], 0, 1) }, 1),
    'tensor "a" has shape [3] of F4: 12 bits, which are no whole bytes',
  ],
  [
    "metadata not texts",
    fileOf({ __metadata__: { n: 1 }, a: ok }, 8),
    'its "__metadata__" is not a map of texts: "n" is 1',
  ],
  ["metadata a list", fileOf({ __metadata__: [] }, 0), 'its "__metadata__" is [], not a map of texts'],
  [
    "metadata twice",
    fileOf('{"__metadata__":{},"__metadata__":{}}', 0),
    'its header has "__metadata__" 2 times',
  ],
  [
    "dtype twice",
    fileOf(`{"a":${twice.replace("{", '{"dtype":"F32",')}}`, 8),
    'tensor "a" has "dtype" 2 times',
  ],
];

for (const [name, bytes, message] of malformed) {
  Deno.test(`refused in one sentence: ${name}`, async () => {
    const error = await assertRejects(() => readSafetensors(bytes, "model.safetensors"), RangeError) as Error;
    assertStringIncludes(error.message, message);
    assert(error.message.startsWith("Cannot read model.safetensors: ") && !error.message.includes("\n"));
  });
}

Deno.test("what the reference reader takes is taken", async () => {
  const names = async (bytes: Uint8Array) => [...(await readSafetensors(bytes)).tensors.keys()];
  assertEquals(await names(fileOf(`{"a":${twice},"a":${twice}}`, 8)), ["a"]);
  assertEquals(await names(fileOf("{}", 0)), []);
  assertEquals(await names(fileOf(' {"__metadata__":null}\n\t\r ', 0)), []);
  assertEquals(await names(fileOf(`{"__proto__":${twice}}`, 8)), ["__proto__"]);
  assertEquals(await names(fileOf(`{"":${twice}}`, 8)), [""]);
  assertEquals(await names(fileOf(`{"a":${twice.replace("{", '{"more":[1.5,null,{"x":""}],')}}`, 8)), ["a"]);
  assertEquals(await names(fileOf({ a: entry("F32", [0, 2 ** 40], 0, 0) }, 0)), ["a"]);
  const deep = `${"[".repeat(125)}${"]".repeat(125)}`;
  assertEquals(await names(fileOf(`{"a":${twice.replace("{", `{"x":${deep},`)}}`, 8)), ["a"]);
  const order = await names(
    fileOf({ b: entry("F32", [1], 4, 8), none: entry("I8", [0], 4, 4), a: entry("F32", [1], 0, 4) }, 8),
  );
  assertEquals(order, ["a", "none", "b"]);
});

Deno.test("three things the reference takes are refused: two readers could see two files, or numbers here are too coarse", async () => {
  const refused = async (header: string, data: number, message: string) =>
    await assertRejects(() => readSafetensors(fileOf(header, data)), RangeError, message);
  await refused(
    `{"a":${twice},"a":${twice.replace("F32", "I32")}}`,
    8,
    'tensor "a" is there twice, and its entries differ',
  );
  await refused('{"__metadata__":{"a":"b","a":"b"}}', 0, 'its "__metadata__" has "a" twice');
  await refused(
    '{"a":["F32",[2],[0,8]]}',
    8,
    'tensor "a" is described by ["F32",[2],[0,8]], not by an object',
  );
  const large = `{"a":{"dtype":"F32","shape":[9007199254740993,0],"data_offsets":[0,0]}}`;
  await refused(
    large,
    0,
    'tensor "a" has a dimension of 9007199254740993, past what numbers here count exactly',
  );
});

Deno.test("a header is held to its limit before it is read", async () => {
  const asked: number[] = [];
  const source = {
    name: "large",
    bytes: 2 ** 40,
    read(_from: number, into: Uint8Array) {
      asked.push(into.length);
      new DataView(into.buffer).setBigUint64(0, 100_000_001n, true);
      return Promise.resolve();
    },
  };
  const message = "Cannot read large: its header has 100000001 bytes; the format allows 100000000";
  await assertRejects(() => readSafetensors(source), RangeError, message);
  assertEquals(asked, [8]);
});

Deno.test("a tensor that no memory holds is refused by name", async () => {
  const head = fileOf({ a: entry("U8", [2 ** 50], 0, 2 ** 50) }, 0);
  const source = {
    name: "huge",
    bytes: head.length + 2 ** 50,
    read: (from: number, into: Uint8Array) =>
      Promise.resolve(into.set(head.subarray(from, from + into.length))),
  };
  const file = await readSafetensors(source);
  const message = 'Cannot read tensor "a" of huge: there is no memory for its 1125899906842624 bytes';
  await assertRejects(() => file.bytes("a"), RangeError, message);
  assertEquals((await file.bytes("a", { from: 0, to: 5 })).length, 5);
});

Deno.test("names go by their bytes, texts by name, and wide numbers first", () => {
  const data = Uint8Array.of(1, 2, 3, 4);
  const names = ["b", "a", "\u{10000}", "\uFFFD", "a.1"];
  const tensors = Object.fromEntries(
    names.map((name) => [name, { dtype: "F32" as const, shape: [1], data }]),
  );
  const bytes = encodeSafetensors({ "1": { dtype: "U8", shape: [2, 2], data }, ...tensors }, {
    z: "1",
    a: "2",
  });
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const header = new TextDecoder().decode(bytes.subarray(8, 8 + length));
  const place = (at: number) => `"data_offsets":[${4 * at},${4 * at + 4}]}`;
  const sorted = ["a", "a.1", "b", "\uFFFD", "\u{10000}"].map((name, at) =>
    `"${name}":{"dtype":"F32","shape":[1],${place(at)}`
  );
  const expected = `{"__metadata__":{"a":"2","z":"1"},${sorted.join()},"1":{"dtype":"U8","shape":[2,2],${
    place(5)
  }}`;
  assertEquals(header.trimEnd(), expected);
  assertEquals(length % 8, 0);
});

Deno.test("what the format does not hold is not written", () => {
  const a = (shape: number[], dtype = "F32") => ({
    a: { dtype: dtype as SafetensorsDtype, shape, data: Float32Array.of(1, 2) },
  });
  const refused = (...[tensors, metadata, message]: [...Parameters<typeof encodeSafetensors>, string]) =>
    assertThrows(() => encodeSafetensors(tensors, metadata), RangeError, `Cannot save tensors: ${message}`);
  refused(a([3]), {}, 'tensor "a" has 8 bytes, and its shape [3] of F32 takes 12');
  refused(a([-2, -1]), {}, 'tensor "a" has shape [-2,-1]; a shape is');
  refused(a([NaN]), {}, 'tensor "a" has shape [null]; a shape is');
  refused(a([2], "F31"), {}, 'tensor "a" has dtype "F31"; known are');
  refused(a([2]), { n: 1 as unknown as string }, 'its "__metadata__" is not a map of texts: "n" is 1');
  refused({ "\ud800": a([2]).a }, {}, "its header is not JSON: the string");
  refused({ __metadata__: a([2]).a }, {}, 'the format keeps the name "__metadata__" for texts');
  refused(
    { a: { dtype: "F4", shape: [3], data: new Uint8Array(1) } },
    {},
    'tensor "a" has shape [3] of F4: 12 bits, which are no whole bytes',
  );
});

Deno.test("a file on disk: tensors are made one after another, and read in part", () =>
  inOwnFolder(async (folder) => {
    const path = `${folder}/ä b.safetensors`;
    const made: string[] = [];
    const make = (name: string, values: Float32Array): TensorToMake => ({
      dtype: "F32",
      shape: [values.length],
      async data() {
        made.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        made.push(`${name} ends`);
        return values;
      },
    });
    const large = random(1).normal(700_000);
    await writeSafetensors(path, { b: make("b", large), a: make("a", Float32Array.of(5)) }, { k: "v" });
    assertEquals(made, ["a begins", "a ends", "b begins", "b ends"]);
    for (const place of [path, new URL(`file://${folder}/%C3%A4%20b.safetensors`)]) {
      const file = await readSafetensors(place);
      assertEquals([file.name, file.metadata], [path, { k: "v" }]);
      assertEquals(await file.floats("b"), large);
      assertEquals(await file.floats("b", { from: 600_000, to: 600_002 }), large.slice(600_000, 600_002));
    }
    const file = await readSafetensors(path);
    await Deno.writeFile(path, published);
    await assertRejects(
      () => file.bytes("a"),
      Error,
      `Cannot read ${path}: it has changed since it was first looked at`,
    );
  }));

Deno.test("a file that cannot be written whole leaves the old one, and nothing else", () =>
  inOwnFolder(async (folder) => {
    const path = `${folder}/m.safetensors`;
    const tensor = (data: TensorToMake["data"]) => ({ a: { dtype: "F32", shape: [2], data } as const });
    await writeSafetensors(path, tensor(() => Float32Array.of(1, 2)));
    const failing: readonly (readonly [TensorToMake["data"], string])[] = [
      [
        () => Float32Array.of(1),
        `Cannot write ${path}: tensor "a" was made with 4 bytes, and its shape takes 8`,
      ],
      [() => Promise.reject(new Error("the device is lost")), `Cannot write ${path}: the device is lost`],
    ];
    for (const [data, message] of failing) {
      await assertRejects(() => writeSafetensors(path, tensor(data)), Error, message);
    }
    const missing = `${folder}/none/m.safetensors`;
    const nowhere = () => writeSafetensors(missing, tensor(() => Float32Array.of(1, 2)));
    await assertRejects(nowhere, Error, `Cannot write ${missing}: no such file or folder`);
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["m.safetensors"]);
    assertEquals(await (await readSafetensors(path)).floats("a"), Float32Array.of(1, 2));
    await assertRejects(
      () => readSafetensors(missing),
      Error,
      `Cannot read ${missing}: no such file or folder`,
    );
    await assertRejects(() => readSafetensors(folder), Error, `Cannot read ${folder}: `);
  }));

Deno.test("two writers of one file at once leave one of the two files", () =>
  inOwnFolder(async (folder) => {
    const path = `${folder}/m.safetensors`;
    const write = (value: number) =>
      writeSafetensors(path, {
        a: { dtype: "F32", shape: [500_000], data: new Float32Array(500_000).fill(value) },
      });
    await Promise.all([write(1), write(2), write(3)]);
    const values = new Set(await (await readSafetensors(path)).floats("a"));
    assertEquals(values.size, 1);
    assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["m.safetensors"]);
  }));

Deno.test("a Blob and a File are read by range", async () => {
  const file = await readSafetensors(new Blob([published]));
  assertEquals([file.name, await file.floats("f32", { from: 0, to: 1 })], ["a Blob", Float32Array.of(1.5)]);
  const chosen = await readSafetensors(new File([published], "chosen.safetensors"));
  assertEquals([chosen.name, await chosen.floats("scalar")], ["chosen.safetensors", Float32Array.of(2.5)]);
  const cut = new File([published.subarray(0, 1200)], "cut.safetensors");
  await assertRejects(() => readSafetensors(cut), RangeError, "Cannot read cut.safetensors: tensor");
});
