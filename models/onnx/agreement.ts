// How far an exported model, run by an independent runtime, is from the model itself: in what it gives and in whom it chooses.
import type { OnnxSession } from "../../formats/onnx_session.ts";
import type { Backend } from "../../kernels/kernel.ts";
import { memory } from "../../tensor/memory.ts";
import { random } from "../../tensor/random.ts";
import { equalSequences } from "../../tensor/sequences.ts";
import type { Model } from "../model.ts";

/** Two scores are as good as equal where the weights they lead to differ by less. */
const TIE = 1e-5;

/** What two runs of one model have in common. */
export interface Agreement {
  /**
   * Largest difference of two scores, over the largest score. Tokens behind a choice that differs are left out, since they see
   * what it led to.
   */
  readonly outputs: number;
  /** Tokens whose scores were compared. */
  readonly tokens: number;
  /** Choices compared: of every token in every mixture, all its experts together. */
  readonly choices: number;
  /** Those that name other experts, */
  readonly different: number;
  /** and of these, those whose weights agree to 1e-5: ties, which rounding decides. */
  readonly ties: number;
}

/** Values of one pass by name. */
interface Pass {
  readonly logits: Float32Array;
  readonly layers: readonly {
    readonly K: number;
    readonly experts: readonly number[];
    readonly weights: Float32Array;
  }[];
}

/**
 * Runs sequences through a model and through its export.
 * @param tokenId_BL Sequences of one length.
 * @example
 * ```ts
 * import { cpu, createInit, createModel, random } from "@switchyard/moe";
 * import { encodeOnnx, openOnnx } from "@switchyard/moe/formats";
 * import { agreementOf, exportModel } from "@switchyard/moe/onnx";
 * import { configOf, specOf } from "@switchyard/moe/training";
 * import { assert, assertEquals } from "@std/assert";
 * const words = { input: { kind: "tokens", V: 64, tokenCount_V: new Int32Array(64).fill(1) } } as const;
 * const data = { ...words, output: { kind: "tokens" }, bestRouting: null } as const;
 * const backend = await cpu({ threads: 1 });
 * const model = createModel(specOf(configOf({ "router.name": "hash" }), data), createInit(backend, random(0)));
 * await using session = await openOnnx(await encodeOnnx(await exportModel(model, backend)));
 * const found = await agreementOf(model, backend, session, [Int32Array.of(1, 2, 3), Int32Array.of(4, 5, 6)]);
 * assertEquals([found.tokens, found.different], [6, 0]);
 * assert(found.outputs < 2e-6);
 * backend.close();
 * ```
 */
export async function agreementOf(
  model: Model,
  backend: Backend,
  session: OnnxSession,
  tokenId_BL: readonly Int32Array[],
): Promise<Agreement> {
  const [B, L] = [tokenId_BL.length, tokenId_BL[0].length];
  const tokenId_T = new Int32Array(B * L);
  tokenId_BL.forEach((row, b) => tokenId_T.set(row, b * L));
  const ours = await ownPass(model, backend, tokenId_T, B);
  const theirs = await exportedPass(session, tokenId_T, [B, L], ours);
  const limit_B = new Array<number>(B).fill(L);
  const count = { choices: 0, different: 0, ties: 0 };
  ours.layers.forEach((layer, at) => {
    for (let t = 0; t < B * L; t++) {
      count.choices++;
      const found = compare(layer, theirs.layers[at], t);
      if (found === "same") continue;
      count.different++;
      if (found === "tie") count.ties++;
      const b = Math.floor(t / L);
      limit_B[b] = Math.min(limit_B[b], t % L);
    }
  });
  return { ...outputs(ours.logits, theirs.logits, limit_B, L), ...count };
}

function compare(
  { K, ...ours }: Pass["layers"][number],
  theirs: Pass["layers"][number],
  t: number,
): "same" | "tie" | "other" {
  const rowOf = <Values extends { slice(from: number, to: number): Values }>(values: Values) =>
    values.slice(t * K, (t + 1) * K);
  const set = (experts: readonly number[]) => String(rowOf(experts as number[]).toSorted((a, b) => a - b));
  if (set(ours.experts) === set(theirs.experts)) return "same";
  const [a, b] = [ours, theirs].map(({ weights }) => rowOf(weights).toSorted());
  return a.every((weight, k) => Math.abs(weight - b[k]) <= TIE) ? "tie" : "other";
}

function outputs(
  ours: Float32Array,
  theirs: Float32Array,
  limit_B: readonly number[],
  L: number,
): Pick<Agreement, "outputs" | "tokens"> {
  const V = ours.length / (limit_B.length * L);
  let [difference, largest, tokens] = [0, 0, 0];
  limit_B.forEach((limit, b) => {
    tokens += limit;
    for (let at = b * L * V; at < (b * L + limit) * V; at++) {
      // What is no number differs from everything, for good.
      difference = Math.max(difference, Math.abs(ours[at] - theirs[at]));
      largest = Math.max(largest, Math.abs(ours[at]));
    }
  });
  return { outputs: difference === 0 ? 0 : difference / largest, tokens };
}

async function ownPass(model: Model, backend: Backend, tokenId_T: Int32Array, B: number): Promise<Pass> {
  using _scope = memory(backend);
  const sequences = equalSequences(B, tokenId_T.length / B);
  const step = { training: false, step: 0, random: random(0), backend };
  const { logits_TV, layers } = await model.forward({ tokenId_T, sequences }, step);
  const T = tokenId_T.length;
  return {
    logits: await logits_TV!.read() as Float32Array,
    layers: await Promise.all(layers.map(async ({ routing: { expert_N, weight_N } }) => ({
      K: expert_N.shape[0] / T,
      experts: [...await expert_N.read()],
      weights: await weight_N.read() as Float32Array,
    }))),
  };
}

async function exportedPass(
  session: OnnxSession,
  tokenId_T: Int32Array,
  shape: readonly number[],
  { layers }: Pass,
): Promise<Pass> {
  const found = await session.run({ input_ids: { shape, values: BigInt64Array.from(tokenId_T, BigInt) } });
  const choices = (kind: string) => session.outputs.filter((name) => name.endsWith(`.choice.${kind}`));
  const experts = choices("experts");
  const weights = choices("weights");
  return {
    logits: found.logits.values as Float32Array,
    layers: layers.map(({ K }, at) => ({
      K,
      experts: Array.from(found[experts[at]].values as BigInt64Array, Number),
      weights: found[weights[at]].values as Float32Array,
    })),
  };
}
