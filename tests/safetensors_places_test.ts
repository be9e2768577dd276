// Safetensors behind web addresses and in several files, on a server of this test's own that answers range requests, or
// fails to.
import { assertEquals, assertRejects } from "@std/assert";
import { readSafetensors } from "../formats/safetensors.ts";
import { readShardedSafetensors } from "../formats/safetensors_index.ts";
import { encodeSafetensors, type TensorToWrite } from "../formats/safetensors_write.ts";

/** A file on the server, and how it is served. */
interface Served {
  bytes: Uint8Array<ArrayBuffer>;
  etag?: string;
  readonly fault?: "whole" | "short" | "long" | "no size" | "elsewhere";
}

type Files = Readonly<Record<string, Served>>;

function answer(files: Files, request: Request): Response {
  const served = files[decodeURIComponent(new URL(request.url).pathname.slice(1))];
  if (!served) return new Response(null, { status: 404, statusText: "Not Found" });
  const { bytes, fault, etag } = served;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get("range")!)!.map(Number);
  if (fault === "whole") return new Response(bytes);
  if (bytes.length === 0) {
    return new Response(null, { status: 416, headers: { "content-range": "bytes */0" } });
  }
  const end = Math.min(last + 1, bytes.length);
  const from = fault === "elsewhere" ? first + 1 : first;
  const size = fault === "no size" ? "*" : bytes.length;
  const headers = new Headers({ "content-range": `bytes ${from}-${end - 1}/${size}` });
  if (etag) headers.set("etag", etag);
  const part = bytes.slice(first, end);
  // What opening asks for is right; the faults are in what follows.
  const wrong = first === 0 ? 0 : fault === "short" ? -1 : fault === "long" ? 1 : 0;
  const sent = bytes.slice(first, end + wrong);
  return new Response(wrong ? sent : part, { status: 206, headers });
}

/** Serves files while `body` runs, which is told their address and may ask which ranges were asked for. */
async function serving(
  files: Files,
  body: (address: string, asked: string[]) => Promise<void>,
): Promise<void> {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    asked.push(request.headers.get("range")!);
    return answer(files, request);
  });
  try {
    await body(`http://127.0.0.1:${server.addr.port}`, asked);
  } finally {
    await server.shutdown();
  }
}

const F32 = (...values: number[]): TensorToWrite => ({
  dtype: "F32",
  shape: [values.length],
  data: Float32Array.from(values),
});
const model = encodeSafetensors({ a: F32(1, 2, 3, 4), b: F32(5) }, { format: "pt" });

Deno.test("by address: nothing is fetched but the header and what is asked for", () =>
  serving({ "m.safetensors": { bytes: model, etag: '"1"' } }, async (address, asked) => {
    const file = await readSafetensors(new URL(`${address}/m.safetensors`));
    const start = model.length - 20;
    assertEquals(asked, ["bytes=0-0", "bytes=0-7", `bytes=8-${start - 1}`]);
    assertEquals(await file.floats("a", { from: 1, to: 3 }), Float32Array.of(2, 3));
    assertEquals(await file.floats("a", { from: 1, to: 1 }), Float32Array.of());
    assertEquals(asked.slice(3), [`bytes=${start + 4}-${start + 11}`]);
    assertEquals([file.name, file.metadata], [`${address}/m.safetensors`, { format: "pt" }]);
  }));

Deno.test("an address that cannot be read by range says why", () => {
  const changing: Served = { bytes: model, etag: '"1"' };
  const files: Files = {
    whole: { bytes: model, fault: "whole" },
    empty: { bytes: new Uint8Array() },
    "no size": { bytes: model, fault: "no size" },
    elsewhere: { bytes: model, fault: "elsewhere" },
    short: { bytes: model, fault: "short" },
    long: { bytes: encodeSafetensors({ a: F32(1, 2), b: F32(5) }), fault: "long" },
    changing,
  };
  return serving(files, async (address) => {
    const cases: readonly (readonly [string, string])[] = [
      ["none", "the server answers 404 Not Found"],
      ["whole", "the server sends it only whole, not by range"],
      ["empty", "it has 0 bytes, too few for a header"],
      [
        "no size",
        'the server sends the range "bytes 0-0/*", not the one asked for and the size of the whole',
      ],
      ["elsewhere", 'the server sends the range "bytes 1-0/'],
      ["short", "it ends before byte"],
      ["long", "more bytes came than the"],
    ];
    for (const [name, why] of cases) {
      const place = `${address}/${encodeURIComponent(name)}`;
      await assertRejects(() => readSafetensors(place), Error, `Cannot read ${place}: ${why}`);
    }
    const file = await readSafetensors(`${address}/changing`);
    changing.etag = '"2"';
    const changed = "it has changed since it was first looked at";
    await assertRejects(() => file.bytes("a"), Error, changed);
    changing.etag = '"1"';
    changing.bytes = new Uint8Array([...model, 0]);
    await assertRejects(() => file.bytes("a"), Error, changed);
  });
});

Deno.test("an address where no server is says so", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const place = `http://127.0.0.1:${listener.addr.port}/m.safetensors`;
  listener.close();
  await assertRejects(() => readSafetensors(place), Error, `Cannot read ${place}: `);
});

const [one, two] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const indexOf = (weights: unknown) =>
  new TextEncoder().encode(JSON.stringify({ metadata: { total_size: 20 }, weight_map: weights }));
const shards: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  [one]: encodeSafetensors({ a: F32(1, 2, 3, 4) }, { format: "pt", part: "1" }),
  [two]: encodeSafetensors({ b: F32(5) }, { format: "pt", part: "2" }),
  "model.safetensors.index.json": indexOf({ b: two, a: one }),
};

Deno.test("several files are one by their index, on disk and behind an address", async () => {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, bytes] of Object.entries(shards)) await Deno.writeFile(`${folder}/${name}`, bytes);
    const files = Object.fromEntries(Object.entries(shards).map(([name, bytes]) => [name, { bytes }]));
    await serving(files, async (address) => {
      for (const place of [folder, `file://${folder}`, address]) {
        const index = `${place}/model.safetensors.index.json`;
        const read = await readShardedSafetensors(/^file:/.test(index) ? new URL(index) : index);
        assertEquals([...read.tensors.keys()], ["b", "a"]);
        assertEquals(read.tensors.get("a")?.shape, [4]);
        assertEquals(read.metadata, { format: "pt" });
        assertEquals(await read.floats("a", { from: 2, to: 4 }), Float32Array.of(3, 4));
        assertEquals(await read.bytes("b"), new Uint8Array(Float32Array.of(5).buffer));
        const message = `Cannot read tensor "c" of ${read.name}: it has no tensor of that name`;
        await assertRejects(() => read.floats("c"), RangeError, message);
      }
    });
    await Deno.remove(`${folder}/${two}`);
    const missing = `Cannot read ${folder}/${two}: no such file or folder`;
    await assertRejects(
      () => readShardedSafetensors(`${folder}/model.safetensors.index.json`),
      Error,
      missing,
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an index is refused by what is wrong with it", async () => {
  const text = (json: string) => new TextEncoder().encode(json);
  const cases: readonly (readonly [Uint8Array<ArrayBuffer>, string])[] = [
    [text("{"), "it is not JSON: "],
    [text("[]"), 'an index has one "weight_map", this has 0'],
    [text('{"weight_map":{},"weight_map":{}}'), 'an index has one "weight_map", this has 2'],
    [indexOf([one]), `its "weight_map" is ["${one}"], not an object`],
    [indexOf({ a: 1 }), 'tensor "a" is in 1, which is no file\'s name'],
    [indexOf({ a: "../secret" }), 'tensor "a" is in "../secret", which is no file\'s name'],
    [indexOf({ a: "https://elsewhere" }), 'tensor "a" is in "https://elsewhere", which is no file\'s name'],
    [indexOf({ a: ".." }), 'tensor "a" is in "..", which is no file\'s name'],
    [text(`{"weight_map":{"a":"${one}","a":"${two}"}}`), 'tensor "a" is in two files'],
    [indexOf({ a: one, b: one }), `tensor "b" is not in bytes in memory`],
  ];
  for (const [index, message] of cases) {
    const read = () => readShardedSafetensors(index, (file) => shards[file]);
    await assertRejects(read, RangeError, `Cannot read bytes in memory: ${message}`);
  }
  const nowhere = () => readShardedSafetensors(new Blob([indexOf({})]));
  await assertRejects(
    nowhere,
    TypeError,
    "Cannot find the files of an index that has neither path nor address",
  );
});
