// A model in several files: what is written is read, and whenever a writer stops, by a full disk or a kill, the index names
// the whole of the model that was there before or of the new one.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { fileURLToPath } from "node:url";
import { readShardedSafetensors } from "../formats/safetensors_index.ts";
import { writeShardedSafetensors } from "../formats/safetensors_shards.ts";
import type { TensorToMake, TensorToWrite } from "../formats/safetensors_write.ts";
import { fillDiskAfter } from "./full_disk.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

const NAMES = ["e", "b", "a", "d", "c"];

/** Five rows of 4 numbers, all of them `value`. */
const rowsOf = (value: number): Record<string, TensorToWrite> =>
  Object.fromEntries(
    NAMES.map((name) => [name, { dtype: "F32", shape: [4], data: new Float32Array(4).fill(value) }]),
  );

/** The value of all rows of an index. */
async function valueAt(index: string): Promise<number> {
  const file = await readShardedSafetensors(index);
  assertEquals([...file.tensors.keys()], NAMES);
  const values = (await Promise.all(NAMES.map((name) => file.floats(name)))).flatMap((row) => [...row]);
  assertEquals(new Set(values).size, 1, "two models are mixed");
  return values[0];
}

const filesOf = (place: string) => [...Deno.readDirSync(place)].map(({ name }) => name).sort();

Deno.test("tensors are written in their order, as many to a file as fit, and read as one model", async () => {
  const place = `${folder}/cut`;
  await Deno.mkdir(place);
  const tensors: Record<string, TensorToWrite | TensorToMake> = {
    ...rowsOf(1),
    wide: { dtype: "I64", shape: [9], data: () => BigInt64Array.from({ length: 9 }, (_, at) => BigInt(at)) },
    last: { dtype: "U8", shape: [1], data: Uint8Array.of(7) },
  };
  const index = `${place}/mine.safetensors.index.json`;
  const metadata = { format: "pt" };
  const files = await writeShardedSafetensors(index, tensors, { shardBytes: 40, metadata });
  assertEquals(files, Array.from({ length: 5 }, (_, at) => `mine-0000${at + 1}-of-00005.safetensors`));
  const json = JSON.parse(await Deno.readTextFile(index));
  assertEquals(json.metadata, { total_size: 5 * 16 + 72 + 1 });
  assertEquals(
    Object.entries(json.weight_map).map(([name, file]) => `${name} ${files.indexOf(file as string)}`),
    ["e 0", "b 0", "a 1", "d 1", "c 2", "wide 3", "last 4"],
  );
  const file = await readShardedSafetensors(index);
  assertEquals(file.metadata, metadata);
  assertEquals(new BigInt64Array((await file.bytes("wide")).buffer)[8], 8n);
  assertEquals(await file.bytes("last"), Uint8Array.of(7));
});

Deno.test("another model takes the index's name at once, and files of the one before go", async () => {
  const place = `${folder}/again`;
  await Deno.mkdir(place);
  const index = `${place}/model.safetensors.index.json`;
  const usual = await writeShardedSafetensors(index, rowsOf(1), { shardBytes: 32 });
  const other = await writeShardedSafetensors(index, rowsOf(2), { shardBytes: 32 });
  assertEquals(await valueAt(index), 2);
  assertEquals(new Set([...usual, ...other]).size, 6);
  assertEquals(filesOf(place), [...other, "model.safetensors.index.json"].sort());
});

Deno.test("a disk that fills up at any write leaves the model that was there, and nothing else", async () => {
  const place = `${folder}/full`;
  await Deno.mkdir(place);
  const index = `${place}/model.safetensors.index.json`;
  await writeShardedSafetensors(index, rowsOf(1), { shardBytes: 32 });
  const before = filesOf(place);
  let writes = 0;
  for (let finished = false; !finished; writes++) {
    const disk = fillDiskAfter(writes);
    try {
      await writeShardedSafetensors(index, rowsOf(2), { shardBytes: 32 });
      finished = disk.left() >= 0;
      assert(finished, "a failed write was not noticed");
    } catch (error) {
      assert(/^Cannot write \S+: no space left on the disk$/.test((error as Error).message), String(error));
    } finally {
      disk.undo();
    }
    if (finished) break;
    assertEquals(await valueAt(index), 1);
    assertEquals(filesOf(place), before);
  }
  assert(writes > 6, `${writes} writes`);
  assertEquals(await valueAt(index), 2);
});

Deno.test("a writer that is killed leaves one whole model under the index", async () => {
  const place = `${folder}/killed`;
  await Deno.mkdir(place);
  const index = `${place}/model.safetensors.index.json`;
  await writeShardedSafetensors(index, rowsOf(0), { shardBytes: 32 });
  const program = `
    import { writeShardedSafetensors } from "${new URL("../formats/safetensors_shards.ts", import.meta.url)}";
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    for (let value = 1;; value++) {
      const data = async () => (await wait(2), new Float32Array(4).fill(value));
      const row = { dtype: "F32", shape: [4], data };
      const rows = Object.fromEntries(${JSON.stringify(NAMES)}.map((name) => [name, row]));
      await writeShardedSafetensors(Deno.args[0], rows, { shardBytes: 32 });
      console.log(value);
    }`;
  await Deno.writeTextFile(`${folder}/writer.js`, program);
  const seen = new Set<number>();
  for (let kill = 0; kill < 8; kill++) {
    const process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--no-check", "--config", fileURLToPath(new URL("../deno.json", import.meta.url))],
        ...["--allow-read", "--allow-write", `${folder}/writer.js`, index],
      ],
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const lines = process.stdout.getReader();
    assert(!(await lines.read()).done, "the writer wrote nothing");
    await new Promise((resolve) => setTimeout(resolve, 3 + 7 * kill));
    process.kill("SIGKILL");
    await process.status;
    await lines.cancel();
    seen.add(await valueAt(index));
  }
  assert(!seen.has(0) && seen.size > 0);
});

Deno.test("what cannot be an index or a size is refused", async () => {
  const write = (path: string, shardBytes: number) =>
    writeShardedSafetensors(`${folder}/${path}`, rowsOf(1), { shardBytes });
  await assertRejects(
    () => write("model.json", 9),
    RangeError,
    "the index of several files ends in .safetensors.index",
  );
  await assertRejects(
    () => write("a.safetensors.index.json", 0),
    RangeError,
    "Cannot write files of 0 bytes",
  );
});
