// Which words an expert promotes: rows of the vocabulary whose scores its mean output raises most above the mean output
// of all tokens of its mixture, through the model's last norm and its embedding, as if no layer came after it (the logit
// lens). Sums over tokens are taken on the host, batch by batch.
import type { Backend } from "../kernels/kernel.ts";
import type { LayerOutput, Model } from "../models/model.ts";
import { subtract } from "../tensor/arithmetic.ts";
import { memory } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import { tensor } from "../tensor/tensor.ts";

/** Most rows listed for an expert. */
const PROMOTED = 8;

/** What a mixture adds to what it reads, summed by the expert that weighs most on a token. */
export interface OutputSums {
  /** Adds the tokens of a batch; `first_T` holds each token's expert, -1 where none took it. */
  add(layer: LayerOutput, first_T: ArrayLike<number>): Promise<void>;
  /** Up to eight rows of the vocabulary by expert, the most raised first; none for an expert that weighs most nowhere. */
  promoted(model: Model, backend: Backend): Promise<number[][]>;
}

/** Whether a model's output is the vocabulary of its input, so that experts promote words. */
export function promotesWords({ spec, params }: Model): boolean {
  return spec.target.kind === "tokens" && params.embedding !== undefined;
}

/** Starts adding up outputs of a mixture of `E` experts over tokens of width `D`. */
export function outputSums(E: number, D: number): OutputSums {
  const sum_ED = new Float64Array(E * D);
  const sum_D = new Float64Array(D);
  const tokens_E = new Float64Array(E);
  let tokens = 0;
  return {
    async add({ y_TD, residual_TD }, first_T) {
      const added_TD = await (residual_TD ? subtract(y_TD, residual_TD) : y_TD).read();
      tokens += first_T.length;
      for (let t = 0; t < first_T.length; t++) {
        const expert = first_T[t];
        if (expert >= 0) tokens_E[expert]++;
        for (let d = 0; d < D; d++) {
          const value = added_TD[t * D + d];
          sum_D[d] += value;
          if (expert >= 0) sum_ED[expert * D + d] += value;
        }
      }
    },
    async promoted({ params }, backend) {
      using _scope = memory(backend);
      const gain_D = params.norm ? await params.norm.read() : null;
      const above_ED = Float32Array.from(sum_ED, (sum, at) => {
        const mean = sum / Math.max(1, tokens_E[Math.floor(at / D)]);
        return (mean - sum_D[at % D] / Math.max(1, tokens)) * (gain_D?.[at % D] ?? 1);
      });
      const score_EV = matmul(tensor(backend, above_ED, [E, D]), params.embedding!, { transposeB: true });
      const [, V] = score_EV.shape;
      const scores = await score_EV.read();
      return Array.from(
        tokens_E,
        (count, expert) =>
          count === 0 ? [] : Array.from({ length: V }, (_, row) => row)
            .sort((a, b) => scores[expert * V + b] - scores[expert * V + a] || a - b)
            .slice(0, PROMOTED),
      );
    },
  };
}
