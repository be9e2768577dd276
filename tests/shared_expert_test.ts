// A network beside the chosen experts, added or weighed by learned shares: against plain loops, and its gradients against
// central differences, in f64; and what it costs, also where later layers have more experts (PR-MoE).
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { swiglu } from "../experts/swiglu.ts";
import { type Block, createBlock } from "../models/block.ts";
import { activeFlop, flopOf, weightsOf } from "../models/cost.ts";
import { type LayerSpec, moeLayers, type MoeSpec, type SharedExpertSpec } from "../models/spec.ts";
import { hash } from "../routers/hash.ts";
import { parseOptions } from "../routers/registry.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import type { Settings } from "../training/config.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import { exactBackend, exactValues } from "./exact_backend.ts";
import { normalInit } from "./expert_contract.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

const exact = exactBackend();
const [T, D, F] = [6, 4, 3];
const x = random(1).normal(T * D);

/** A layer without norm, whose experts are chosen by token id. */
function blockOf(sharedExpert: SharedExpertSpec | null): Block {
  const moe: MoeSpec = {
    kind: "moe",
    router: hash,
    routerOptions: parseOptions(hash),
    experts: swiglu,
    expertOptions: swiglu.options.parse({}),
    E: 2,
    F,
    sharedExpert,
  };
  const layer: LayerSpec = { attention: null, feedForward: moe, norm: false, residual: true };
  const input = { kind: "tokens", V: 4, tokenCount_V: new Int32Array(4).fill(1) } as const;
  return createBlock(layer, { D, input, length: T }, 1, normalInit(exact));
}

const given = (mix: "sum" | "learned"): SharedExpertSpec => ({
  experts: feedForward,
  expertOptions: feedForward.options.parse({ activation: "silu" }),
  F: 5,
  mix,
});

async function applied(block: Block, x_TD: Tensor): Promise<Tensor> {
  const found = await block.apply(x_TD, {
    training: false,
    step: 0,
    random: random(0),
    tokenId_T: tensor(exact, Int32Array.of(0, 1, 2, 3, 0, 1), [T]),
    sequences: equalSequences(1, T),
  });
  return found.x_TD;
}

const input = () => parameter(exact, x, [T, D]);
const silu = (value: number) => value / (1 + Math.exp(-value));
const dot = (values: ArrayLike<number>, of: (at: number) => number) =>
  Array.from(values).reduce((sum, value, at) => sum + value * of(at), 0);

for (const mix of ["sum", "learned"] as const) {
  Deno.test(`a shared expert beside the chosen ones, ${mix}: plain loops`, async () => {
    const alone = exactValues(await applied(blockOf(null), input()));
    const block = blockOf(given(mix));
    const y = exactValues(await applied(block, input()));
    const weights = (name: string) => exactValues(block.params[`shared.${name}`]);
    for (let t = 0; t < T; t++) {
      const row = x.subarray(t * D, (t + 1) * D);
      const hidden = Array.from({ length: 5 }, (_, f) => silu(dot(row, (d) => weights("in")[d * 5 + f])));
      const logits = mix === "sum"
        ? [0, 0]
        : [0, 1].map((c) => dot(row, (d) => weights("mix")[2 * d + c]) + weights("mixBias")[c]);
      const [chosen, own] = mix === "sum"
        ? [1, 1]
        : logits.map((logit) => Math.exp(logit) / logits.reduce((sum, each) => sum + Math.exp(each), 0));
      for (let d = 0; d < D; d++) {
        const network = dot(hidden, (f) => weights("out")[f * D + d]);
        // Without it, the layer gives x and what the chosen expert makes of x.
        const want = row[d] + chosen * (alone[t * D + d] - row[d]) + own * network;
        assertAlmostEquals(y[t * D + d], want, 1e-12, `token ${t}, ${d}`);
      }
    }
  });

  Deno.test(`gradients through a shared expert, ${mix}, equal central differences`, async () => {
    const block = blockOf(given(mix));
    const x_TD = input();
    const direction = tensor(exact, random(2).normal(T * D), [T, D]);
    const loss = async () => sumAll(multiply(await applied(block, x_TD), direction));
    const targets = { x: x_TD, ...block.params, ...block.moe!.layer.params };
    const found = await gradients(await loss(), Object.values(targets));
    assertEquals("shared.mix" in targets, mix === "learned");
    const step = 1e-5;
    for (const [at, [name, target]] of Object.entries(targets).entries()) {
      const [values, gradient] = [exactValues(target), exactValues(found[at]!)];
      for (const [place, value] of Array.from(values).entries()) {
        const shifted = async (by: number) => {
          values[place] = value + by;
          const [made] = exactValues(await loss());
          values[place] = value;
          return made;
        };
        const difference = (await shifted(step) - await shifted(-step)) / (2 * step);
        assertAlmostEquals(gradient[place], difference, 1e-6, `gradient ${place} of ${name}`);
      }
    }
  });
}

const data = await madeUpData();
const specWith = (settings: Settings) => specOf(tinyConfig("gshard", {}, least, settings), data);

Deno.test("a shared expert costs the same whatever the router's K, and is no expert among the chosen", () => {
  const [without, summed, learned] = [
    specWith({}),
    specWith({ "model.sharedExpertWidth": 24 }),
    specWith({ "model.sharedExpertWidth": 24, "model.sharedExpertMix": "learned" }),
  ];
  const mixtures = moeLayers(without).length;
  assertEquals(
    moeLayers(summed).map(({ moe: { E, F } }) => [E, F]),
    moeLayers(without).map(({ moe: { E, F } }) => [E, F]),
  );
  assertEquals(flopOf(summed).experts, flopOf(without).experts);
  assertEquals(activeFlop(flopOf(summed)) - activeFlop(flopOf(without)), mixtures * 4 * 16 * 24);
  assertEquals(activeFlop(flopOf(learned)) - activeFlop(flopOf(summed)), mixtures * 4 * 16);
  assertEquals(weightsOf(summed).experts, weightsOf(without).experts);
  assertEquals(weightsOf(summed).active - weightsOf(without).active, mixtures * 2 * 16 * 24);
  assertEquals(weightsOf(learned).total - weightsOf(summed).total, mixtures * (2 * 16 + 2));
});

Deno.test("a shared expert is of the experts' kind, its second matrix scaled with theirs; layers may have their own", () => {
  const perLayer = [{}, { sharedExpertWidth: 6 }, {}, { sharedExpertWidth: 0 }];
  const spec = specWith({
    "experts.name": "swiglu",
    "model.layers": 4,
    "model.sharedExpertWidth": 24,
    "model.perLayer": perLayer,
  });
  const [first, second] = moeLayers(spec).map(({ moe }) => moe);
  assertEquals([first.sharedExpert!.experts.name, first.sharedExpert!.F, second.sharedExpert], [
    "swiglu",
    6,
    null,
  ]);
  const deviation = (moe: { readonly expertOptions: unknown }) =>
    (moe.expertOptions as { outDeviation: number }).outDeviation;
  assertEquals(deviation(first), deviation(first.sharedExpert!));
  // Two choices of 8 units each, and 6 units more in the first mixture.
  assertAlmostEquals(deviation(second) / deviation(first), Math.sqrt(22 / 16), 1e-12);
});

Deno.test("a model with shared experts and learned shares learns them", async () => {
  using backend = await cpu({ threads: 1 });
  const settings = { "model.sharedExpertWidth": 16, "model.sharedExpertMix": "learned", "train.steps": 25 };
  using run = await train(tinyConfig("switch", {}, least, settings), { backend, data });
  const { params } = run.trainer!.model;
  const bias = await params["blocks.1.shared.mixBias"].read();
  assertEquals(params["blocks.1.shared.in"].shape, [1, 16, 16]);
  const [before, after] = [run.record.evaluations[0].loss, run.record.end!.loss];
  assert(after < before - 0.1, `from ${before} to ${after}`);
  assert(bias.every((value) => Number.isFinite(value)));
});

Deno.test("a pyramid: later layers have more experts, a token passes through no more, and costs add up by layer", async () => {
  using backend = await cpu({ threads: 1 });
  const perLayer = [{}, { experts: 2 }, {}, { experts: 6, expertWidth: 8 }];
  const settings = {
    "model.layers": 4,
    "model.perLayer": perLayer,
    "model.sharedExpertWidth": 16,
    "train.steps": 2,
  };
  const config = tinyConfig("switch", {}, least, settings);
  const spec = specOf(config, data);
  const even = specOf(tinyConfig("switch", {}, least, { ...settings, "model.perLayer": [] }), data);
  assertEquals(moeLayers(spec).map(({ at, moe }) => [at, moe.E, moe.F]), [[1, 2, 16], [3, 6, 8]]);
  assertEquals(weightsOf(spec).experts, 2 * (2 * 16 * 16) + 6 * (2 * 16 * 8));
  assertEquals(weightsOf(even).experts, 2 * 4 * (2 * 16 * 16));
  assertEquals([flopOf(even).experts, flopOf(spec).experts], [2 * 4 * 16 * 16, 4 * 16 * 16 + 4 * 16 * 8]);
  using run = await train(config, { backend, data });
  // Applications are measured at what the experts of their own layer cost.
  const [wide, narrow] = [4 * 16 * 16, 4 * 16 * 8];
  assertEquals(run.record.header.flop!.byExpert, [[wide, wide], new Array(6).fill(narrow)]);
  assertEquals(run.record.steps[0].layers.map(({ kept }) => kept.length), [2, 6]);
});
