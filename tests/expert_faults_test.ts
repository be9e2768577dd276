// The contract suite of experts against kinds with one fault each: a suite that lets a fault pass would prove nothing.
import { assert, assertEquals } from "@std/assert";
import * as z from "zod";
import type { ExpertBank, ExpertRows } from "../experts/expert.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { lowRank } from "../experts/low_rank.ts";
import { type AnyExpertPlugin, findExperts } from "../experts/registry.ts";
import { affine, multiply, subtract } from "../tensor/arithmetic.ts";
import { type Init, normal, type Params } from "../tensor/init.ts";
import { meanFirst } from "../tensor/reduce.ts";
import { differentiable, parameter, stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import { expertChecks, subjectOf, type Variant } from "./expert_contract.ts";
import { gpuTest } from "./gpu.ts";
import { onCpu, onGpu, type Place } from "./place.ts";

/** Names of the checks a plugin fails. */
async function failures(
  plugin: AnyExpertPlugin,
  variant: Variant = { options: {} },
  place: Place = onCpu,
): Promise<string[]> {
  const subject = subjectOf(plugin, variant, place);
  const failed: string[] = [];
  for (const check of expertChecks) {
    if (check.applies && !check.applies(subject)) continue;
    try {
      await check.run(subject);
    } catch {
      failed.push(check.name);
    }
  }
  return failed;
}

/** Feed-forward experts with another bank. */
function altered(change: (bank: ExpertBank, init: Init) => Partial<ExpertBank>): AnyExpertPlugin {
  return {
    ...feedForward,
    create(dims, options, init) {
      const bank = feedForward.create(dims, options, init);
      return { ...bank, ...change(bank, init) };
    },
  };
}

/** The same with another output. */
const output = (change: (y_ND: Tensor, rows: ExpertRows) => Tensor): AnyExpertPlugin =>
  altered(({ apply }) => ({ apply: async (rows) => change(await apply(rows), rows) }));

/** The same with weights drawn otherwise: row by row of [E, D, F]. */
const drawn = (
  parameterOf: (init: Init, dims: { D: number; F: number; E: number }) => Init,
): AnyExpertPlugin => ({
  ...feedForward,
  create: (dims, options, init) => feedForward.create(dims, options, parameterOf(init, dims)),
});

function withOptions(change: (shape: Record<string, z.ZodType>) => z.ZodType): AnyExpertPlugin {
  const { shape } = feedForward.options as unknown as z.ZodObject<Record<string, z.ZodType>>;
  return { ...feedForward, options: change(shape) } as AnyExpertPlugin;
}

const ordered = drawn((init) => ({
  ...init,
  parameter: (name, shape) => init.parameter(name, shape, normal(0.3)),
}));

const byCount = drawn((init, { E }) => ({
  ...init,
  parameter: (name, shape, fill) =>
    init.parameter(name, shape, (stream, count) => fill(stream, count).map((value) => value / E)),
}));

let calls = 0;
const dropping: Variant = { options: { dropout: 0.4 }, noisy: true };

const mixed = findExperts("mixed");
const inFours: Variant = { options: {}, round: 4 };

interface Fault {
  readonly about: string;
  readonly plugin: AnyExpertPlugin;
  readonly variant?: Variant;
  /** Part of the name of a check that must fail. */
  readonly check: string;
}

const faults: readonly Fault[] = [
  {
    about: "leaves something in rows past the last",
    plugin: output((y_ND) => affine(y_ND, 1, 1)),
    check: "rows past the last kept assignment are 0",
  },
  {
    about: "gives every row to the first expert",
    plugin: altered(({ apply }) => ({
      apply: ({ rows, offset_O }) => {
        const offset = Int32Array.from(
          { length: offset_O.shape[0] },
          (_, at) => at === 0 ? 0 : rows.index_N.shape[0],
        );
        return apply({ rows, offset_O: tensor(offset_O.backend, offset, offset_O.shape) });
      },
    })),
    check: "an expert without rows learns nothing",
  },
  {
    about: "subtracts the mean of all rows",
    plugin: output((y_ND) => subtract(y_ND, meanFirst(y_ND))),
    check: "a token's output depends on it, its expert and nothing else",
  },
  {
    about: "cuts a gradient",
    plugin: output((y_ND) => stopGradient(y_ND)),
    check: "gradients of every parameter",
  },
  {
    about: "cuts the way back to the tokens",
    plugin: altered(({ apply }) => ({
      apply: ({ rows, ...rest }) => apply({ ...rest, rows: { ...rows, x_TD: stopGradient(rows.x_TD) } }),
    })),
    check: "an expert without rows learns nothing",
  },
  {
    about: "passes twice the gradient back",
    plugin: output((y_ND) =>
      differentiable(stopGradient(y_ND), [[y_ND, (gradient) => affine(gradient, 2, 0)]])
    ),
    check: "gradients of every parameter",
  },
  {
    about: "computes otherwise than its operations say",
    plugin: output((y_ND) => y_ND.backend.arithmetic.device !== "f64" ? affine(y_ND, 1 + 2 ** -12, 0) : y_ND),
    check: "results and gradients are those of f64",
  },
  {
    about: "fails where no assignment is kept",
    plugin: output((y_ND) => {
      if (y_ND.shape[0] === 0) throw new RangeError("no rows");
      return y_ND;
    }),
    check: "nothing to do is done",
  },
  {
    about: "is noisy in evaluation",
    plugin: output((y_ND) => affine(y_ND, 1 + (calls++) / 100, 0)),
    check: "evaluation is free of noise",
  },
  {
    about: "says it is noisy and is not",
    plugin: feedForward,
    variant: { options: {}, noisy: true },
    check: "evaluation is free of noise",
  },
  {
    about: "is noisy and does not say so",
    plugin: feedForward,
    variant: { options: { dropout: 0.4 } },
    check: "evaluation is free of noise",
  },
  {
    about: "scales evaluation by what it drops in training",
    plugin: {
      ...feedForward,
      create(dims, options, init) {
        const bank = feedForward.create(dims, options, init);
        const scale = (rows: ExpertRows) => rows.random ? 1 : 1 - options.dropout;
        return { ...bank, apply: async (rows) => affine(await bank.apply(rows), scale(rows), 0) };
      },
    } as AnyExpertPlugin,
    variant: dropping,
    check: "dropout leaves evaluation as it is",
  },
  {
    about: "draws weights row by row",
    plugin: ordered,
    check: "cut into twice as many experts",
  },
  {
    about: "draws weights by the number of experts",
    plugin: byCount,
    check: "more experts leave those there are as they start",
  },
  {
    about: "forgets biases when it counts weights",
    plugin: { ...feedForward, parameters: ({ D, F }) => 2 * D * F },
    variant: { options: { bias: true } },
    check: "makes as many weights as it declares",
  },
  {
    about: "forgets what experts share when it counts weights",
    plugin: { ...lowRank, sharedParameters: () => 0 },
    check: "makes as many weights as it declares",
  },
  {
    about: "says that every expert costs the mean",
    plugin: { ...mixed, flopOfExpert: mixed.flopPerToken },
    variant: inFours,
    check: "costs the operations it declares, expert by expert",
  },
  {
    about: "says that parameters are other experts'",
    plugin: {
      ...mixed,
      create(...given) {
        const { owners = {}, ...bank } = mixed.create(...given);
        const turned = Object.entries(owners).map(([name, own]) => [name, own.map((e) => (e + 1) % 4)]);
        return { ...bank, owners: Object.fromEntries(turned) };
      },
    },
    variant: inFours,
    check: "an expert without rows learns nothing",
  },
  {
    about: "shares a parameter among experts",
    plugin: altered(({ params, apply }, init) => {
      const scale = init.parameter("scale", [1], normal(1));
      return {
        params: { ...params, scale } as Params,
        apply: async (rows) => multiply(await apply(rows), scale),
      };
    }),
    check: "an expert's along the first dimension",
  },
  {
    about: "counts one product of two",
    plugin: { ...feedForward, flopPerToken: ({ D, F }) => 2 * D * F },
    check: "costs the operations it declares, expert by expert",
  },
  {
    about: "counts one product too many",
    plugin: { ...feedForward, flopPerToken: ({ D, F }) => 6 * D * F },
    check: "costs the operations it declares, expert by expert",
  },
  {
    about: "forgets what GELU keeps",
    plugin: { ...feedForward, activationsPerToken: ({ D, F }) => D + F },
    variant: { options: { activation: "gelu" } },
    check: "keeps the activations it declares",
  },
  {
    about: "keeps memory",
    plugin: output((y_ND) => {
      parameter(y_ND.backend, new Float32Array(64), [64]);
      return y_ND;
    }),
    check: "nothing made is left behind",
  },
  {
    about: "changes its own weights",
    plugin: altered(({ params, apply }) => ({
      async apply(rows) {
        const y_ND = await apply(rows);
        params.out.assign(affine(params.out, 2, 0));
        return y_ND;
      },
    })),
    check: "the caller's arrays are never changed",
  },
  {
    about: "takes half precision and does not store it",
    plugin: {
      ...feedForward,
      create: (dims, options, init) => feedForward.create(dims, { ...options, precision: "full" }, init),
    } as AnyExpertPlugin,
    check: "half precision is refused where it cannot be stored",
  },
  {
    about: "takes any option",
    plugin: withOptions((shape) => z.looseObject(shape)),
    check: "bad options are refused",
  },
  {
    about: "leaves an option undescribed",
    plugin: withOptions((shape) => z.strictObject({ ...shape, z: z.number().default(0) })),
    check: "describes every option",
  },
  {
    about: "has an option without a default",
    plugin: withOptions((shape) =>
      z.strictObject({ ...shape, z: z.number().optional().describe("a number") })
    ),
    check: "describes every option",
  },
];

for (const { about, plugin, variant, check } of faults) {
  Deno.test(`the contract finds a kind of experts that ${about}: ${check}`, async () => {
    const failed = await failures(plugin, variant);
    assert(failed.some((name) => name.includes(check)), `it failed only: ${failed.join("; ") || "nothing"}`);
  });
}

Deno.test("experts without a fault fail nothing, whatever else this file makes of them", async () => {
  assertEquals(await failures(feedForward), []);
  assertEquals(await failures(altered(() => ({}))), []);
  assertEquals(await failures(output((y_ND) => y_ND), dropping), []);
});

gpuTest("the contract finds a kind of experts on WebGPU that stores in half precision unasked", async () => {
  const place = await onGpu();
  const plugin: AnyExpertPlugin = {
    ...feedForward,
    create: (dims, options, init) => feedForward.create(dims, { ...options, precision: "half" }, init),
  };
  const failed = await failures(plugin, { options: {} }, place);
  assert(failed.some((name) => name.startsWith("results and gradients are those of f64")), failed.join("; "));
});
