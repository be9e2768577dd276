// No token left behind (Switch Transformer, appendix B): tokens that overflow try their next best expert, round after
// round. The paper found no benefit; Mesh-TensorFlow tries four experts.
import { affine, where } from "../../tensor/arithmetic.ts";
import { concatColumns, sliceColumns } from "../../tensor/columns.ts";
import { takeAlong, wholeNumbers } from "../../tensor/rows.ts";
import { apply, type Tensor, tensor } from "../../tensor/tensor.ts";
import * as kernels from "../../kernels/mod.ts";
import { keptMask } from "./assignment.ts";
import { type CapacityScope, keepWithinCapacity, maskExperts } from "./capacity.ts";

/** Expert that took each token within `tries` rounds, i32 [T, 1], -1 where all were full. */
export function leaveFewBehind(
  choice_TK: Tensor,
  options: Omit<CapacityScope, "probability_TK" | "choiceMajor"> & {
    readonly probability_TE: Tensor;
    readonly real_T: Tensor | undefined;
  },
): Tensor {
  const [T, tries] = choice_TK.shape;
  const { probability_TE, random, training, real_T } = options;
  const order = options.dropOrder === "random" && !training ? "position" : options.dropOrder;
  let taken_T1 = wholeNumbers(choice_TK, [T, 1], () => -1);
  for (let round = 0; round < tries; round++) {
    const settled_T1 = keptMask(taken_T1);
    const open_T1 = affine(settled_T1, -1, 1);
    const next_T1 = sliceColumns(choice_TK, round, round + 1);
    const wanted_T1 = maskExperts(maskExperts(next_T1, open_T1), real_T);
    // Tokens that have an expert keep their slots: they stand first, whatever the order among the others.
    const both_TK = concatColumns([taken_T1, wanted_T1]);
    const priority_T1 = order === "random"
      ? uniformColumn(T, random.split(round), probability_TE)
      : takeAlong(probability_TE, wanted_T1);
    const first_T1 = tensor(probability_TE.backend, new Float32Array(T).fill(2), [T, 1]);
    const kept_TK = keepWithinCapacity(both_TK, {
      ...options,
      dropOrder: order === "position" ? "position" : "probability",
      probability_TK: concatColumns([first_T1, priority_T1]),
      choiceMajor: true,
    });
    taken_T1 = where(settled_T1, taken_T1, sliceColumns(kept_TK, 1, 2));
  }
  return taken_T1;
}

function uniformColumn(T: number, random: CapacityScope["random"], like: Tensor): Tensor {
  const [key0, key1] = random.split("drop order").key;
  return apply(kernels.uniform, [], { key0, key1, shape: [T, 1] }, like.backend)[0];
}
