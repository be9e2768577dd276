// Recorded decisions: a replay gives the recorded losses bit for bit, after JSON too, and says so when it has no more.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { equalCost } from "../models/equal_cost.ts";
import { createModel } from "../models/model.ts";
import type { LayerSpec, ModelSpec } from "../models/spec.ts";
import { sizes } from "../models/sizes.ts";
import { forcedBalance } from "../routers/forced_balance.ts";
import { gshard } from "../routers/gshard.ts";
import { type AnyRouterPlugin, parseOptions } from "../routers/registry.ts";
import { recordDecisions, replay } from "../moe/replay.ts";
import { soft } from "../routers/soft.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import { configOf } from "../training/config.ts";
import { createAdamW } from "../training/optimizer.ts";
import { specOf } from "../training/spec_of.ts";
import { wordsAlone } from "./run_configs.ts";

const backend = await cpu({ threads: 2 });
const V = 50;
const config = configOf(sizes.tiny, {
  "model.layers": 4,
  "model.feedForwardWidth": 16,
  "model.expertWidth": 16,
  "train.length": 16,
  "train.batch": 2,
});
const { length, batch: sequences } = config.train;
const T = length * sequences;

/** The model with a router that is in no registry, at equal cost. */
function specWith(router: AnyRouterPlugin): ModelSpec {
  const spec = specOf(config, wordsAlone(V));
  const routerOptions = parseOptions(router);
  const layers = spec.layers.map((layer): LayerSpec =>
    layer.feedForward.kind === "moe"
      ? { ...layer, feedForward: { ...layer.feedForward, router, routerOptions } }
      : layer
  );
  return equalCost({ ...spec, layers });
}

/** Cross-entropies of some steps of training or evaluation with a router. */
async function losses(router: AnyRouterPlugin, training: boolean, steps: number): Promise<number[]> {
  const model = createModel(specWith(router), createInit(backend, random(1)));
  const optimizer = createAdamW(model.params);
  const found: number[] = [];
  for (let step = 0; step < steps; step++) {
    using _scope = memory(backend);
    const ids = (name: string) =>
      Int32Array.from(random(2).split(step).split(name).uniform(T), (u) => Math.floor(u * V));
    const sequences = equalSequences(T / length, length);
    const batch = { tokenId_T: ids("in"), target_T: ids("out"), sequences };
    const output = await model.forward(batch, { training, step, random: random(3).split(step) });
    found.push(await scalar(output.loss!));
    if (!training) continue;
    const names = Object.keys(model.params);
    const gradient = await gradients(output.loss!, Object.values(model.params));
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
