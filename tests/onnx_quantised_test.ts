// Models whose experts' weights are kept in int4 or int8 as onnxruntime's QMoE, held against the model that rounds its weights;
// what has no such form is refused by name.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encodeOnnx, openOnnx } from "../formats/mod.ts";
import { cpu, createInit, createModel, type Model, random } from "../mod.ts";
import { agreementOf, exportModel, type Target } from "../models/onnx/mod.ts";
import { configOf, type Settings, specOf } from "../training/mod.ts";

const V = 61;
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());
const words = {
  input: { kind: "tokens", V, tokenCount_V: new Int32Array(V).fill(1) },
  output: { kind: "tokens" },
  bestRouting: null,
} as const;
const small: Settings = {
  "model.width": 64,
  "model.heads": 4,
  "model.experts": 6,
  "model.expertWidth": 96,
  "model.equalCost": false,
  "router.name": "noisy-top-k",
  "router.k": 2,
};

function modelOf(settings: Settings): Model {
  return createModel(specOf(configOf({ ...small, ...settings }), words), createInit(backend, random(5)));
}

const ids = [0, 1, 2].map((b) =>
  Int32Array.from(random(b).split("ids").uniform(12), (draw) => Math.floor(draw * V))
);

const kinds: Readonly<Record<string, Settings>> = {
  "swiglu": { "experts.name": "swiglu" },
  "swiglu, interleaved, with biases, clamped": {
    "experts.name": "swiglu",
    "experts.interleaved": true,
    "experts.bias": true,
    "experts.limit": 7,
    "experts.steepness": 1.702,
    "experts.shift": 1,
  },
  "relu": { "experts.name": "feed-forward" },
  "silu, with biases": { "experts.name": "feed-forward", "experts.activation": "silu", "experts.bias": true },
};

for (const [about, settings] of Object.entries(kinds)) {
  for (const weights of ["int4", "int8"]) {
    Deno.test(`${about}, ${weights}: onnxruntime-web gives what the model gives`, async () => {
      using model = modelOf({ ...settings, "experts.weights": weights });
      const onnx = await exportModel(model, backend, { target: "fused" });
      assert(onnx.nodes.some(({ op }) => op === "QMoE") && onnx.nodes.every(({ op }) => op !== "MoE"));
      const mixtures = onnx.nodes.filter(({ op }) => op === "QMoE").length;
      assertEquals(mixtures, Object.keys(model.routers).length, "every mixture is one node");
      const codes = onnx.weights.filter(({ dtype }) => dtype === "U8");
      assertEquals(codes.length, 2 * mixtures);
      await using session = await openOnnx(await encodeOnnx(onnx));
      const { outputs, different, ties } = await agreementOf(model, backend, session, ids);
      console.log(`${about}, ${weights}: off by ${outputs.toExponential(1)}`);
      assert(outputs <= 2e-6, `off by ${outputs} of the largest`);
      assert(different <= ties, `${different} choices differ, ${ties} of them at ties`);
    });
  }
}

async function refused(settings: Settings, why: string, target: Target = "fused"): Promise<void> {
  using model = modelOf(settings);
  await assertRejects(() => exportModel(model, backend, { target }), RangeError, why);
}

Deno.test("other formats, other targets and widths that QMoE lacks are refused by name", async () => {
  await refused(
    { "experts.weights": "mxfp4" },
    "weights are kept as mxfp4; onnxruntime's QMoE takes int4 and int8",
  );
  for (const target of ["portable", "dense"] as const) {
    await refused({ "experts.weights": "int4" }, 'target "fused" writes int4 and int8 as QMoE', target);
  }
  await refused(
    { "experts.weights": "int8", "model.width": 32 },
    "its experts read rows of 32 numbers, a single block, and have 96 hidden units",
  );
  await refused(
    { "experts.weights": "int4", "model.expertWidth": 24 },
    "its experts read rows of 24 numbers in int4; QMoE takes multiples of 32",
  );
});
