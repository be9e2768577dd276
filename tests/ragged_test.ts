// Every router whose decisions are per token or per sequence, in a batch of 1 to 64 sequences of different lengths: each
// sequence gets what it gets alone, bit for bit on the CPU. Options turn capacity and noise off. Left out by trait: routers
// balanced by construction over the batch, and, in training, those that are not causal: there all tokens depend on all.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { swiglu } from "../experts/swiglu.ts";
import type { Backend } from "../kernels/kernel.ts";
import { createModel } from "../models/model.ts";
import { createMoeLayer } from "../moe/layer.ts";
import { type AnyRouterPlugin, parseOptions, routers } from "../routers/registry.ts";
import type { Router } from "../routers/router.ts";
import { add, multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar, sumAll } from "../tensor/reduce.ts";
import { equalSequences, type Sequences, sequencesOf } from "../tensor/sequences.ts";
import { parameter, tensor } from "../tensor/tensor.ts";
import { specOf } from "../training/spec_of.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";
import { jsonSchemaOf } from "../tensor/plugins.ts";

const [D, F, E, V] = [16, 8, 8, 50];
const backend = await cpu({ threads: 2 });
addEventListener("unload", () => backend.close());

const batches: readonly (readonly number[])[] = [
  [5],
  [6, 1, 11],
  [8, 8, 8],
  Array.from({ length: 64 }, (_, b) => (b * 37) % 13),
];

/** What keeps tokens apart from each other, by name of an option: the first value it accepts. */
const alone: Readonly<Record<string, readonly unknown[]>> = {
  capacityRule: ["dropless"],
  capacityFrom: ["factor"],
  capacityFactor: [0],
  evaluation: ["tcr"],
  second: ["always"],
  noise: ["none", 0],
  jitter: [0],
  k: [2],
};

function optionsOf(plugin: AnyRouterPlugin): Record<string, unknown> {
  const { properties = {} } = jsonSchemaOf(plugin.options) as {
    properties?: Record<string, unknown>;
  };
  const chosen: Record<string, unknown> = {};
  for (const [name, values] of Object.entries(alone)) {
    if (!(name in properties)) continue;
    const value = values.find((value) => plugin.options.safeParse({ [name]: value }).success);
    if (value !== undefined) chosen[name] = value;
  }
  return parseOptions(plugin, chosen);
}

interface Made {
  readonly router: Router;
  readonly layer: ReturnType<typeof createMoeLayer>;
}

function make(plugin: AnyRouterPlugin, options: unknown): Made {
  const init = createInit(backend, random(1));
  const tokenCount_V = Int32Array.from({ length: V }, (_, id) => V - id);
  const router = plugin.create({ D, E, V, tokenCount_V }, options, init.part("router"));
  // Gates that start at 0 would choose alike for all tokens.
  for (const [name, param] of Object.entries(router.params)) {
    const values = random(2).split(name).normal(param.shape.reduce((size, dimension) => size * dimension, 1));
    param.assign(tensor(backend, values, param.shape));
  }
  const experts = swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts"));
  return { router, layer: createMoeLayer({ D, E, router, experts }) };
}

/** Tokens of a batch on the host. */
interface Tokens {
  readonly x: Float32Array;
  readonly direction: Float32Array;
  readonly id: Int32Array;
}

function tokensOf(T: number): Tokens {
  const id = Int32Array.from(random(5).uniform(T), (u) => Math.floor(V * u));
  return { x: random(3).normal(T * D), direction: random(4).normal(T * D), id };
}

function cut({ x, direction, id }: Tokens, from: number, to: number): Tokens {
  const rows = (values: Float32Array) => values.slice(from * D, to * D);
  return { x: rows(x), direction: rows(direction), id: id.slice(from, to) };
}

/** What tokens get, what goes back to them, and the experts of each, if tokens choose. */
async function through(
  { layer }: Made,
  { x, direction, id }: Tokens,
  sequences: Sequences,
  training: boolean,
) {
  using _scope = memory(backend);
  const { T } = sequences;
  const x_TD = parameter(backend, x, [T, D]);
  const step = { training, step: 0, random: random(6), tokenId_T: tensor(backend, id, [T]), sequences };
  const { y_TD, routing } = await layer.apply(x_TD, step);
  const [gradient] = await gradients(sumAll(multiply(y_TD, tensor(backend, direction, [T, D]))), [x_TD]);
  const experts = routing.choices === null ? new Int32Array() : await routing.expert_N.read();
  const found = { y: await y_TD.read(), gradient: await gradient!.read(), experts };
  const losses = await Promise.all(Object.values(routing.losses).map(scalar));
  backend.free(x_TD.buffer);
  return { ...found, choices: routing.choices ?? 0, losses, mixes: routing.mixture !== undefined };
}

async function mixes(made: Made): Promise<boolean> {
  return (await through(made, tokensOf(4), sequencesOf([4]), false)).mixes;
}

/** Whether a token's lot depends on its own sequence alone. */
async function isApart({ traits }: AnyRouterPlugin, made: Made, training: boolean): Promise<boolean> {
  if (await mixes(made)) return true;
  return traits.balancedBy !== "construction" && (traits.causal || !training);
}

for (const plugin of routers()) {
  Deno.test(`${plugin.name}: a batch of sequences gives each what it gets alone, or is one whole by construction`, async () => {
    const made = make(plugin, optionsOf(plugin));
    for (const training of [false, true]) {
      if (!await isApart(plugin, made, training)) continue;
      for (const lengths of batches) {
        const sequences = sequencesOf(lengths);
        const tokens = tokensOf(sequences.T);
        const all = await through(made, tokens, sequences, training);
        assert(all.y.some((value) => value !== 0));
        for (const [b, length] of lengths.entries()) {
          const [from, to] = [sequences.offset_B1[b], sequences.offset_B1[b + 1]];
          const own = await through(made, cut(tokens, from, to), sequencesOf([length]), training);
          const where = `sequence ${b} of ${length} tokens, training ${training}`;
          assertEquals(all.y.slice(from * D, to * D), own.y, where);
          assertEquals(all.gradient.slice(from * D, to * D), own.gradient, `gradient, ${where}`);
          assertEquals(all.experts.slice(from * all.choices, to * all.choices), own.experts, where);
        }
      }
    }
    made.layer.free();
  });
}

Deno.test("routers are left out for a reason: what a sequence gets there depends on the one before it", async () => {
  for (const plugin of routers()) {
    const made = make(plugin, parseOptions(plugin));
    if (!await isApart(plugin, made, false)) {
      const tokens = tokensOf(21);
      const all = await through(made, tokens, sequencesOf([10, 11]), true);
      const own = await through(made, cut(tokens, 10, 21), sequencesOf([11]), true);
      assert(all.y.slice(10 * D).some((value, at) => value !== own.y[at]), plugin.name);
    }
    made.layer.free();
  }
});

for (const plugin of routers()) {
  Deno.test(`${plugin.name}: a layer without tokens gives none, with losses and gradients of 0`, async () => {
    const made = make(plugin, optionsOf(plugin));
    for (const training of [false, true]) {
      for (const sequences of [sequencesOf([]), sequencesOf([0, 0]), equalSequences(0, 8)]) {
        const { y, gradient, losses } = await through(made, tokensOf(0), sequences, training);
        assertEquals([y.length, gradient.length, losses.filter((loss) => loss !== 0)], [0, 0, []]);
      }
    }
    made.layer.free();
  });
}

const size = {
  "model.width": D,
  "model.feedForwardWidth": 24,
  "model.expertWidth": 24,
  "model.experts": 4,
  "train.length": 8,
  "train.batch": 2,
};

/** Cross-entropies of a model's tokens, and their mean, without noise. */
async function modelLoss(on: Backend, plugin: AnyRouterPlugin, id: Int32Array, lengths: readonly number[]) {
  using _scope = memory(on);
  const tokenCount_V = Int32Array.from({ length: V }, (_, word) => V - word);
  const config = tinyConfig(plugin, optionsOf(plugin), size);
  const words = { ...wordsAlone(V), input: { kind: "tokens" as const, V, tokenCount_V } };
  const model = createModel(specOf(config, words), createInit(on, random(7)));
  const target_T = id.map((word) => (word + 1) % V);
  const sequences = sequencesOf(lengths);
  const step = { training: false, step: 0, random: random(8) };
  const { loss, loss_T, losses } = await model.forward({ tokenId_T: id, target_T, sequences }, step);
  const total = Object.values(losses).reduce(add, loss!);
  const found = {
    mean: await scalar(loss!),
    each: Float32Array.from(await loss_T!.read()),
    total: await scalar(total),
  };
  model.free();
  return found;
}

/** @param tolerance 0: bit for bit. */
async function compareModels(on: Backend, lengths: readonly number[], tolerance: number): Promise<void> {
  const { T, offset_B1 } = sequencesOf(lengths);
  const { id } = tokensOf(T);
  for (const plugin of routers()) {
    const made = make(plugin, optionsOf(plugin));
    const apart = await isApart(plugin, made, false);
    made.layer.free();
    if (!apart) continue;
    const all = await modelLoss(on, plugin, id, lengths);
    assert(Number.isFinite(all.total), plugin.name);
    assertAlmostEquals(all.mean, all.each.reduce((sum, loss) => sum + loss) / T, 1e-5);
    for (const [b, length] of lengths.entries()) {
      const [from, to] = [offset_B1[b], offset_B1[b + 1]];
      const own = await modelLoss(on, plugin, id.slice(from, to), [length]);
      all.each.slice(from, to).forEach((loss, t) => {
        const off = Math.abs(loss - own.each[t]);
        assert(off <= tolerance, `${plugin.name}, token ${t} of sequence ${b}: ${off} apart`);
      });
    }
  }
}

Deno.test("a model's losses of a ragged batch are those of each sequence alone, bit for bit", async () => {
  await compareModels(backend, [9, 1, 14], 0);
});

const gpu = openGpu();
gpuTest("on WebGPU, within 1e-5", async () => {
  await compareModels(await gpu(), [9, 1, 14], 1e-5);
});
