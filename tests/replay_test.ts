// Recorded decisions: a replay gives the recorded losses bit for bit, after JSON too, and says so when it has no more.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { createLanguageModel } from "../models/language_model.ts";
import { sizes } from "../models/presets.ts";
import { forcedBalance } from "../routers/forced_balance.ts";
import { gshard } from "../routers/gshard.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { recordDecisions, replay } from "../routers/replay.ts";
import { soft } from "../routers/soft.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { createAdamW } from "../training/optimizer.ts";

const backend = await cpu({ threads: 2 });
const V = 50;
const size = { ...sizes.tiny, blocks: 4, moeEvery: 2, length: 16, batch: 2, activeUnits: 16 };
const T = size.length * size.batch;

/** Cross-entropies of some steps of training or evaluation with a router. */
async function losses(router: AnyRouterPlugin, training: boolean, steps: number): Promise<number[]> {
  const init = createInit(backend, random(1));
  const plan = { size, V, tokenCount_V: new Int32Array(V).fill(1), router, routerOptions: {} };
  const model = await createLanguageModel(plan, init);
  const optimizer = createAdamW(model.params);
  const found: number[] = [];
  for (let step = 0; step < steps; step++) {
    using _scope = memory();
    const ids = (name: string) =>
      Int32Array.from(random(2).split(step).split(name).uniform(T), (u) => Math.floor(u * V));
    const sequences = equalSequences(size.batch, size.length);
    const batch = { tokenId_T: ids("in"), target_T: ids("out"), sequences };
    const output = await model.forward(batch, { training, step, random: random(3).split(step) });
    found.push(await scalar(output.loss));
    if (!training) continue;
    const names = Object.keys(model.params);
    const gradient = await gradients(output.loss, Object.values(model.params));
    optimizer.update(Object.fromEntries(names.map((name, at) => [name, gradient[at] as Tensor])), 1e-2, step);
  }
  return found;
}

Deno.test("evaluation of a learned router is replayed bit for bit, over layers, drops and JSON", async () => {
  const recorded = recordDecisions(gshard);
  const want = await losses(recorded.plugin, false, 3);
  const recording = recorded.recording();
  assertEquals(recording.layers.map((calls) => calls.length), [3, 3]);
  assertEquals(recording.expertsPerToken, 2);
  assertEquals(await losses(replay(JSON.parse(JSON.stringify(recording))), false, 3), want);
  // The test would see a difference: other decisions give other losses.
  const swapped = { ...recording, layers: recording.layers.toReversed() };
  assert((await losses(replay(swapped), false, 3)).every((loss, step) => loss !== want[step]));
});

Deno.test("training of a router without gate is replayed bit for bit; of a learned one, up to the first update", async () => {
  const forced = recordDecisions(forcedBalance);
  const want = await losses(forced.plugin, true, 4);
  assertEquals(await losses(replay(forced.recording()), true, 4), want);
  const learned = recordDecisions(gshard);
  const first = await losses(learned.plugin, true, 3);
  const again = await losses(replay(learned.recording()), true, 3);
  assertEquals(again[0], first[0]);
  assert(again[1] !== first[1]);
});

Deno.test("what was not recorded is refused in one clear sentence", async () => {
  const recorded = recordDecisions(forcedBalance);
  await losses(recorded.plugin, false, 2);
  const recording = recorded.recording();
  await assertRejects(
    () => losses(replay(recording), false, 3),
    RangeError,
    "Cannot replay call 3 of layer 1: 2 were recorded",
  );
  const once = replay(recording);
  await losses(once, false, 1);
  await assertRejects(() => losses(once, false, 1), RangeError, "Cannot replay layer 3: 2 were recorded");
  const init = createInit(backend, random(0));
  const router = await replay(recording).create({ D: 2, E: 2, V }, {}, init);
  const step = {
    training: false,
    step: 0,
    random: random(0),
    tokenId_T: tensor(backend, new Int32Array(T), [T]),
    sequences: equalSequences(1, T),
  };
  const route = (tokens: number) =>
    router.route(tensor(backend, new Float32Array(2 * tokens), [tokens, 2]), step);
  assertThrows(() => route(5), RangeError, `for 5 tokens and 2 experts: it was recorded for ${T} tokens`);
  const { plugin } = recordDecisions(soft);
  await assertRejects(() => losses(plugin, false, 1), TypeError, 'Cannot record router "soft"');
});
