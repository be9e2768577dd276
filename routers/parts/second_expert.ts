// Whether a token uses its second expert: GShard and ST-MoE keep it with a probability that follows its weight, or when
// that weight is above a threshold.
import * as kernels from "../../kernels/mod.ts";
import { affine, greater } from "../../tensor/arithmetic.ts";
import { maximum } from "../../tensor/piecewise.ts";
import type { Random } from "../../tensor/random.ts";
import { apply, stopGradient, type Tensor, tensor } from "../../tensor/tensor.ts";

/** With probability min(1, factor g2), when g2 is above a threshold, or never. */
export type SecondRule =
  | { readonly factor: number; readonly random: Random }
  | { readonly threshold: number }
  | "never";

/**
 * 1 for experts that are used and 0 for second experts that are not, f32 [T, 2].
 * @param weight_TK Weights g1 and g2 of each token's two experts, f32 [T, 2].
 */
export function usedExperts(weight_TK: Tensor, rule: SecondRule): Tensor {
  const { backend } = weight_TK;
  const first = tensor(backend, [1, 0], [2]);
  return maximum(usedByRule(stopGradient(weight_TK), rule), first);
}

function usedByRule(weight_TK: Tensor, rule: SecondRule): Tensor {
  const { backend, shape } = weight_TK;
  if (rule === "never") return affine(weight_TK, 0, 0);
  if ("threshold" in rule) return greater(weight_TK, tensor(backend, [rule.threshold], [1]));
  const [key0, key1] = rule.random.split("second").key;
  const [draw_TK] = apply(kernels.uniform, [], { key0, key1, shape }, backend);
  return greater(affine(weight_TK, rule.factor, 0), draw_TK);
}
