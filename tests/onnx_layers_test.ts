// MoE layers as ONNX: every router and every kind of experts, in three targets, against onnxruntime-web; and whoever cannot be
// exported is told why.
import { assert, assertEquals, assertRejects } from "@std/assert";
import {
  type AnyRouterPlugin,
  experts,
  findExperts,
  findRouter,
  matmul,
  negate,
  normal,
  routers,
  tokenChoice,
  topK,
} from "../mod.ts";
import { exportLayer, type Target } from "../models/onnx/mod.ts";
import { agreement, backend, layerOf } from "./onnx_layers.ts";

const targets: readonly Target[] = ["fused", "portable", "dense"];
const plain = [findExperts("feed-forward"), {}] as const;
const dropless = { capacityRule: "dropless" };

/** Options with which a router decides for each token alone. */
const exportable: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  base: [{}],
  deepseek: [
    { k: 3 },
    { k: 3, score: "softmax", normalize: false, routedScale: 2.5 },
    { k: 2, shared: 0, expertGroups: 4, groupsKept: 2 },
    { k: 2, shared: 0, expertGroups: 4, groupsKept: 2, groupMask: "zero", groupScore: "max" },
  ],
  gshard: [dropless, { ...dropless, normalize: "after", second: "threshold", secondThreshold: 0.45 }],
  "gumbel-matching": [{}, { gradient: "differentiable" }],
  hierarchical: [{}, { expertGroups: 2, k1: 1, k2: 3 }],
  locmoe: [dropless, { ...dropless, gate: "orthogonal", rectify: false }],
  "locmoe-plus": [{ ...dropless, mode: "tcr" }, { ...dropless, mode: "tcr", k: 2, weight: "kept" }],
  "noisy-top-k": [{}, { k: 1, noise: "none" }, { gating: "strict", k: 2 }],
  sinkhorn: [{}, { k: 3 }],
  skip: [{}],
  "st-moe": [dropless, { ...dropless, evaluationSecond: "never" }],
  switch: [dropless, { ...dropless, outputScale: "times experts" }],
  "top-any": [{ capacityFactor: 0, k: 3 }, { capacityFactor: 0, gate: "cosine", normalize: false }],
};

/** The same where experts have room for a part of the batch. */
const limited: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  gshard: [{ evaluationCapacityFactor: 0.7 }, {
    evaluationCapacityFactor: 0.5,
    capacityRule: "vmoe",
    normalize: "after",
    second: "always",
  }],
  locmoe: [{ evaluationCapacityFactor: 0.6, capacityFrom: "factor" }],
  "locmoe-plus": [{ mode: "tcr", k: 2, evaluationCapacityFactor: 0.5 }],
  sinkhorn: [{ k: 2, capacityRule: "megablocks", evaluationCapacityFactor: 0.5 }],
  "st-moe": [{ evaluationCapacityFactor: 0.6 }],
  switch: [
    { evaluationCapacityFactor: 0.6 },
    { evaluationCapacityFactor: 0.5, capacityRule: "flaxformer" },
    { evaluationCapacityFactor: 0.5, noTokenLeftBehind: 3 },
  ],
  "top-any": [{ k: 3, capacityFactor: 0.6 }],
};

const ORDER = /in another order than that of places; choose dropOrder "position"/;
const ALONE = /decides for each token alone/;

/** Options with which it does not, and why. */
const refused: Readonly<
  Record<string, readonly (readonly [options: Record<string, unknown>, why: RegExp])[]>
> = {
  "expert-choice": [[{}, ALONE]],
  "forced-balance": [[{}, /it reads what is known of other tokens of the batch/]],
  gshard: [[{ dropOrder: "probability" }, ORDER], [{ dropOrder: "batch-priority" }, ORDER]],
  hash: [[{}, /reads token ids, .* export the model/], [
    { key: "position" },
    /where in a batch a token stands/,
  ]],
  locmoe: [[{ dropOrder: "probability" }, ORDER], [
    { ...dropless, ties: "random" },
    /it draws random numbers/,
  ]],
  "locmoe-plus": [[{}, /its experts keep depends on what tokens hold/], [{ mode: "ecr" }, ALONE]],
  soft: [[{ slots: 2 }, /means of a sequence's tokens/]],
  "st-moe": [[{ dropOrder: "probability" }, ORDER]],
  switch: [[{ dropOrder: "probability" }, ORDER]],
  "top-any": [[{ dropOrder: "probability", capacityFactor: 1 }, ORDER]],
};

Deno.test("every router is exported or refused here", () => {
  const known = new Set([...Object.keys(exportable), ...Object.keys(refused)]);
  assertEquals(routers().map(({ name }) => name).filter((name) => !known.has(name)), []);
});

for (const [name, all] of Object.entries(exportable)) {
  for (const options of all) {
    Deno.test(`${name} ${JSON.stringify(options)} decides in onnxruntime as it does here`, async () => {
      const layer = layerOf([findRouter(name), options], plain);
      for (const target of targets) {
        const found = await agreement(layer, target);
        assertEquals(found.different, 0, target);
        assert(found.outputs <= 2e-6, `${target}: outputs differ by ${found.outputs}`);
        assert(found.weights <= 2e-6, `${target}: weights differ by ${found.weights}`);
      }
    });
  }
}

for (const [name, all] of Object.entries(limited)) {
  for (const options of all) {
    Deno.test(`${name} ${JSON.stringify(options)} drops in onnxruntime whom it drops here`, async () => {
      const layer = layerOf([findRouter(name), options], plain);
      for (const target of targets) {
        const found = await agreement(layer, target);
        assert(found.dropped > 2, `${found.dropped} dropped`);
        assertEquals(found.different, 0, target);
        assert(found.outputs <= 2e-6, `${target}: outputs differ by ${found.outputs}`);
        assert(found.weights <= 2e-6, `${target}: weights differ by ${found.weights}`);
      }
    });
  }
}

Deno.test("routers that look at a batch, at chance or at places are refused, and told why", async () => {
  for (const [name, cases] of Object.entries(refused)) {
    for (const [options, why] of cases) {
      const layer = layerOf([findRouter(name), options], plain);
      const told = () => exportLayer(layer, backend);
      const { message } = await assertRejects(told, RangeError, "Cannot export", `${name} is exported`);
      assert(why.test(message), `${name} ${JSON.stringify(options)}: ${message}`);
    }
  }
});

const FORM = "its experts are no two products with an activation or a gate between them; choose target";
const gptOss = { bias: true, limit: 1, steepness: 1.702, shift: 1 };

/** Options of experts, and why the fused operator does not have what they compute. */
const expertCases: Readonly<
  Record<string, readonly (readonly [Record<string, unknown>, without?: string])[]>
> = {
  "feed-forward": [
    [{ bias: true }],
    [{ activation: "silu", bias: true }],
    [{ activation: "gelu" }, "activation is gelu; the fused operator has relu and silu"],
    [{ activation: "relu-squared", bias: true }, FORM],
  ],
  constant: [[{}, FORM]],
  copy: [[{}, FORM]],
  linear: [[{ bias: true }, FORM]],
  "low-rank": [[{ activation: "gelu" }, FORM]],
  mixed: [
    [
      { parts: [{ name: "swiglu", count: 5 }, { name: "constant" }, { name: "copy" }, { name: "zero" }] },
      FORM,
    ],
    [{
      parts: [{ name: "low-rank" }, { name: "mixed", parts: [{ name: "feed-forward" }, { name: "copy" }] }],
    }, FORM],
  ],
  nested: [[{}], [{ k: 2, inner: { name: "swiglu" } }], [{ k: 2, inner: { name: "mixed" } }, FORM]],
  swiglu: [[{ dropout: 0.5 }], [gptOss], [{ ...gptOss, interleaved: true }]],
  zero: [[{}, FORM]],
};

Deno.test("every kind of experts is tried here, but those that are ONNX already", () => {
  assertEquals(experts().map(({ name }) => name).filter((name) => !(name in expertCases)), ["onnx"]);
});

Deno.test("experts that compute on the host are refused", async () => {
  const layer = layerOf([findRouter("base"), {}], [findExperts("onnx"), { models: ["expert.onnx"] }]);
  await assertRejects(() => exportLayer(layer, backend), RangeError, "its experts compute on the host");
});

for (const [name, cases] of Object.entries(expertCases)) {
  for (const [options, without] of cases) {
    Deno.test(`${name} experts ${JSON.stringify(options)} compute in onnxruntime what they do here`, async () => {
      // The second choice is not always used, so that some assignments go nowhere.
      const second = { ...dropless, second: "threshold", secondThreshold: 0.45 };
      const layer = layerOf([findRouter("gshard"), second], [findExperts(name), options]);
      for (const target of targets) {
        if (target === "fused" && without !== undefined) {
          await assertRejects(() => exportLayer(layer, backend, { target }), RangeError, without);
        } else {
          const found = await agreement(layer, target);
          assert(found.outputs <= 2e-6, `${target}: outputs differ by ${found.outputs}`);
        }
      }
    });
  }
}

/** The two experts with the lowest scores, weighed by what they lack. */
const shy: AnyRouterPlugin = {
  ...findRouter("sinkhorn"),
  name: "shy",
  expertsPerToken: () => 2,
  create({ D, E }, _options, init) {
    const gate_DE = init.parameter("gate", [D, E], normal(1));
    return {
      params: { gate: gate_DE },
      route(x_TD) {
        const { value_TK: weight_TK, index_TK } = topK(negate(matmul(x_TD, gate_DE)), 2);
        return tokenChoice({ wanted_TK: index_TK, expert_TK: index_TK, weight_TK }, { losses: {} });
      },
    };
  },
};

Deno.test("a router of somebody else is exported without saying how, and weights below 0 are not taken for logarithms", async () => {
  const layer = layerOf([shy, {}], plain);
  const found = await agreement(layer, "portable");
  assertEquals(found.different, 0);
  assert(found.outputs <= 2e-6, String(found.outputs));
  await assertRejects(() => exportLayer(layer, backend), RangeError, "its weights may be below 0");
});
