// Experts that stay in a model's file: scores, routing and text are those of the model in memory, bit for bit, for every
// kind of experts and router; memory keeps to what is allowed, and what was read and found is counted.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { experts } from "../experts/registry.ts";
import { generate } from "../models/generate.ts";
import { routers } from "../routers/registry.ts";
import { fork } from "../tensor/context.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { loadModel } from "../training/load_model.ts";
import type { Settings } from "../training/config.ts";
import { createTrainer } from "../training/trainer.ts";
import { tinyConfig } from "./run_configs.ts";
import { data, small } from "./small_run.ts";

const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

/** The bytes of a model that has taken a step. */
async function trained(router: string, ...settings: readonly Settings[]): Promise<Uint8Array<ArrayBuffer>> {
  using trainer = await createTrainer(tinyConfig(router, {}, small, ...settings), { backend, data });
  await trainer.step();
  return await trainer.encodeModel();
}

/** Scores of 32 tokens, and experts of the last one. */
async function passOf(place: Uint8Array, expertCacheBytes?: number) {
  const before = backend.statistics().usedBytes;
  using loaded = await loadModel(place, { backend, expertCacheBytes });
  const loadedBytes = backend.statistics().usedBytes - before;
  const on = fork(backend);
  using _scope = memory(on);
  const tokenId_T = Int32Array.from({ length: 32 }, (_, at) => at % 7);
  const step = { training: false, step: 1, random: random(0), backend: on };
  const { logits_TV } = await loaded.model.forward({ tokenId_T, sequences: equalSequences(2, 16) }, step);
  const scores = await logits_TV!.read();
  const { tokenId } = await generate(loaded.model, tokenId_T.subarray(0, 4), { maxTokens: 6, step: 1 });
  const looks = await loaded.look(tokenId_T.subarray(0, 16));
  return { loadedBytes, found: { scores, tokenId, looks }, cache: loaded.expertCache() };
}

const kinds = experts().filter(({ name, frozen }) => !frozen && name !== "mixed");
const cases: readonly (readonly [about: string, router: string, settings: Settings])[] = [
  ...routers().map(({ name }) => [`router ${name}`, name, {}] as const),
  ...kinds.map(({ name }) =>
    [`${name} experts`, "gshard", { "experts.name": name, "model.sharedExpertWidth": 8 }] as const
  ),
  ["weights in 8 bits", "switch", { "experts.weights": "int8" }],
];

for (const [about, router, settings] of cases) {
  Deno.test(`experts left on disk give the bits of those in memory: ${about}`, async () => {
    const file = await trained(router, settings);
    const before = backend.statistics().usedBytes;
    const whole = await passOf(file);
    assertEquals(whole.cache, null);
    for (const bytes of [0, 2 ** 30]) {
      const { found, cache } = await passOf(file, bytes);
      assertEquals(found, whole.found);
      const { asked, found: hits, readBytes, peakBytes, heldBytes, allBytes } = cache!;
      if (allBytes === 0) continue;
      assert(asked > hits && heldBytes <= peakBytes && peakBytes <= allBytes);
      if (bytes > 0) assertEquals([readBytes, peakBytes], [heldBytes, heldBytes], "nothing is read twice");
      else assert(readBytes > allBytes || hits < asked / 2, "one expert is in memory at a time");
    }
    assertEquals(backend.statistics().usedBytes, before);
  });
}

Deno.test("memory keeps to what is allowed, and the expert used last is the last to go", async () => {
  const file = await trained("hash", { "model.experts": 16 });
  const whole = await passOf(file);
  const { loadedBytes, cache } = await passOf(file, 0);
  const { allBytes, peakBytes } = cache!;
  assertEquals(peakBytes, allBytes / 16);
  assert(whole.loadedBytes - loadedBytes >= allBytes - 2 * 64, `${whole.loadedBytes} and ${loadedBytes}`);
  using loaded = await loadModel(file, { backend, expertCacheBytes: 2 * peakBytes });
  const counts: number[] = [];
  const ids = [1, 2, 1, 3, 1, 2];
  const [first] = await loaded.look(Int32Array.of(1));
  const expertOf = async (id: number) => (await loaded.look(Int32Array.of(id)))[0].layers[0].wanted[0];
  assertEquals(await expertOf(1), first.layers[0].wanted[0]);
  for (const id of ids) {
    await expertOf(id);
    counts.push(loaded.expertCache()!.found);
  }
  const wanted = await Promise.all(ids.map(expertOf));
  assertEquals(new Set(wanted).size, 3, "ids of three experts");
  // In memory: 1 | 1 2 | 2 1 | 1 3 | 3 1 | 1 2: after the two looks before, 1 is found three times and 2 is read twice.
  assertEquals(counts, [2, 2, 3, 3, 4, 4]);
});

Deno.test("what cannot be left on disk is refused by name", async () => {
  const mixed = await trained("gshard", { "experts.name": "mixed" });
  await assertRejects(
    () => loadModel(mixed, { backend, expertCacheBytes: 0 }),
    RangeError,
    'Cannot load the model: experts "mixed" cannot be left on disk: of one alone, Cannot make experts "mixed": 1 experts',
  );
  const file = await trained("switch");
  await assertRejects(
    () => loadModel(file, { backend, expertCacheBytes: -1 }),
    RangeError,
    "Cannot hold -1 bytes of experts",
  );
  using loaded = await loadModel(file, { backend, expertCacheBytes: 0 });
  using _scope = memory(backend);
  const batch = { tokenId_T: Int32Array.of(1, 2), sequences: equalSequences(1, 2) };
  await assertRejects(
    () => loaded.model.forward(batch, { training: true, step: 0, random: random(0) }),
    TypeError,
    "Cannot train experts that are left on disk",
  );
});
