// How tokens reach experts and come back: what experts work on, and what becomes of what they made. A layer does not ask
// which way that is.
import type { Routing } from "../routers/router.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Rows that experts read, and assignments of rows to experts. */
export interface ExpertInput
  extends Pick<Routing, "token_N" | "expert_N" | "weight_N" | "choices" | "gradientWeight_N"> {
  /** f32 [rows, D]. */
  readonly x_TD: Tensor;
}

/** A way to experts and back. */
export interface Transport extends ExpertInput {
  /** What combined rows are added to, f32 [rows, D]. */
  readonly base_TD?: Tensor | undefined;
  /** Makes tokens [T, D] of combined rows [rows, D]. */
  finish(combined: Tensor): Tensor;
}

/** Experts work on tokens themselves; what they made is added to the residual, if there is one. */
export function throughTokens(routing: Routing, x_TD: Tensor, residual_TD?: Tensor): Transport {
  return { ...routing, x_TD, base_TD: residual_TD, finish: (combined) => combined };
}
