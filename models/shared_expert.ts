// A network that every token passes through beside the experts chosen for it, and how the two are put together: added
// (DeepSeekMoE's shared experts, PR-MoE as its paper has it), or weighed by learned shares (PR-MoE as DeepSpeed's code has it).
import type { MoeOutput } from "../moe/layer.ts";
import type { RouteStep } from "../routers/router.ts";
import { add, multiply } from "../tensor/arithmetic.ts";
import { sliceColumns } from "../tensor/columns.ts";
import { type Init, uniformWithin } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { matmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { assignmentsOf, groupBy, sortRows, wholeNumbers } from "../tensor/rows.ts";
import { stage } from "../tensor/stage.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import type { SharedExpertSpec } from "./spec.ts";

/** A shared expert at work in one layer. */
export interface SharedExpert {
  /**
   * Runs the mixture and puts both together.
   * @param mixture The mixture's output, added to `base_TD` if there is one.
   */
  apply(
    x_TD: Tensor,
    step: RouteStep,
    residual_TD: Tensor | null,
    mixture: (base_TD?: Tensor) => Promise<MoeOutput>,
  ): Promise<MoeOutput>;
  /** Frees memory that the expert holds in addition to its parameters. */
  free(): void;
}

/** Makes it; its parameters are entered in `params` under `shared.`. */
export function createSharedExpert(
  { experts, expertOptions, F, mix }: SharedExpertSpec,
  D: number,
  params: Record<string, Parameter>,
  init: Init,
): SharedExpert {
  const bank = experts.create({ D, F, E: 1 }, expertOptions, init);
  for (const [name, param] of Object.entries({ ...bank.params, ...bank.shared })) {
    params[`shared.${name}`] = param;
  }
  const network = (x_TD: Tensor, { training, random }: RouteStep) => {
    const { shape: [T] } = x_TD;
    const token_T = wholeNumbers(x_TD, [T], (t) => t);
    const together = groupBy(wholeNumbers(x_TD, [T], () => 0), 1);
    return bank.apply({
      rows: sortRows(x_TD, assignmentsOf(token_T, T, 1), together),
      offset_O: together.offset_O,
      ...(training ? { random: random.split("shared") } : {}),
    });
  };
  const shares = mix === "learned" ? createShares(D, params, init) : null;
  return {
    free: () => bank.free?.(),
    async apply(x_TD, step, residual_TD, mixture) {
      const own_TD = await stage(x_TD.backend, "experts", () => network(x_TD, step));
      if (!shares) return await mixture(residual_TD ? add(residual_TD, own_TD) : own_TD);
      const found = await mixture();
      const [chosen_T1, own_T1] = shares(x_TD);
      const y_TD = spending(
        multiply(found.y_TD, chosen_T1),
        (a) => spending(multiply(own_TD, own_T1), (b) => add(a, b)),
      );
      return { ...found, y_TD: residual_TD ? spending(y_TD, (y) => add(residual_TD, y)) : y_TD };
    },
  };
}

/** softmax(x W + b): the shares [T, 1] of the mixture and of the shared expert, from PyTorch's initial values of a linear layer. */
function createShares(
  D: number,
  params: Record<string, Parameter>,
  init: Init,
): (x_TD: Tensor) => [Tensor, Tensor] {
  const within = uniformWithin(1 / Math.sqrt(D));
  const mix_D2 = params["shared.mix"] = init.parameter("mix", [D, 2], within);
  const bias_2 = params["shared.mixBias"] = init.parameter("mixBias", [2], within);
  return (x_TD) => {
    const share_T2 = spending(matmul(x_TD, mix_D2), (sums) => spending(add(sums, bias_2), softmax));
    return [sliceColumns(share_T2, 0, 1), sliceColumns(share_T2, 1, 2)];
  };
}
