// Options that change what experts do: each kind is held to the contract with all of its entries.
import type { Variant } from "./expert_contract.ts";
import { onnxModel } from "./onnx_file.ts";

const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
// A model that takes rows of any width.
const bent = `${folder}/bent.onnx`;
await Deno.writeFile(bent, await onnxModel({ nodes: [{ op: "Tanh", inputs: ["x"], output: "y" }] }));

/** Besides defaults, by kind. A kind without an entry is held to the contract with its defaults. */
export const expertVariants: Readonly<Record<string, readonly Variant[]>> = {
  "feed-forward": [
    { options: {} },
    { options: { bias: true, outDeviation: 0.3 } },
    ...["gelu", "silu", "relu-squared"].map((activation) => ({ options: { activation, bias: true } })),
    ...["relu", "gelu", "relu-squared"].map((activation) => ({
      options: { activation, dropout: 0.4 },
      noisy: true,
    })),
  ],
  swiglu: [
    { options: {} },
    { options: { outDeviation: 0.3 } },
    { options: { dropout: 0.4 }, noisy: true },
    { options: { bias: true, limit: 0.7, steepness: 1.702, shift: 1 } },
    { options: { bias: true, limit: 0.7, steepness: 1.702, shift: 1, interleaved: true } },
    { options: { interleaved: true, dropout: 0.4 }, noisy: true },
  ],
  "low-rank": [
    { options: {} },
    { options: { rank: 2, outDeviation: 0.3, activation: "gelu" } },
    { options: { rank: 1, dropout: 0.4 }, noisy: true },
  ],
  nested: [
    { options: {} },
    { options: { innerCount: 3, k: 2, inner: { name: "swiglu", outDeviation: 0.3 } } },
    { options: { innerCount: 2, inner: { name: "feed-forward", dropout: 0.4 } }, noisy: true },
    {
      options: {
        innerCount: 2,
        k: 2,
        inner: { name: "mixed", parts: [{ name: "linear" }, { name: "copy" }] },
      },
    },
    {
      options: {
        innerCount: 2,
        inner: { name: "nested", innerCount: 2, inner: { name: "low-rank", rank: 1 } },
      },
    },
  ],
  mixed: [
    { options: {}, round: 4 },
    { options: { parts: [{ name: "copy" }, { name: "swiglu" }, { name: "constant", count: 2 }] }, round: 4 },
    {
      options: {
        parts: [{ name: "mixed", count: 2, parts: [{ name: "linear" }, { name: "copy" }] }, {
          name: "swiglu",
        }, {
          name: "zero",
        }],
      },
      round: 4,
    },
    { options: { parts: [{ name: "low-rank", rank: 2 }, { name: "linear", bias: true }] }, round: 2 },
    { options: { parts: [{ name: "feed-forward", activation: "gelu", dropout: 0.4 }] }, noisy: true },
    { options: { parts: [{ name: "feed-forward" }, { name: "swiglu" }], outDeviation: 0.3 }, round: 2 },
  ],
  onnx: [{ options: { models: [bent] } }],
  linear: [
    { options: {} },
    { options: { bias: true, outDeviation: 0.3 } },
    { options: { dropout: 0.4 }, noisy: true },
  ],
};
