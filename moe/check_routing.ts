// Holds what a router returned against its type before anything is made of it: shapes and kinds, by field, so that the
// author of a router reads of the router and not of a kernel.
import type { Routing } from "../routers/router.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** What a routing is for. */
export interface RoutingCheck {
  readonly T: number;
  readonly E: number;
  /** What errors call the router: `router "switch"`. */
  readonly called: string;
}

/** @throws {TypeError} naming the router, the field, what was found and what is expected. */
export function checkRouting(routing: Routing, { T, E, called }: RoutingCheck): void {
  const refuse = (field: string, found: string, expected: string): never => {
    throw new TypeError(`Cannot use the routing of ${called}: ${field} is ${found}; expected is ${expected}`);
  };
  if (typeof routing !== "object" || routing === null) refuse("it", String(routing), "a routing");
  const { token_N, expert_N, wanted_N, weight_N, gradientWeight_N, probability_TE } = routing;
  const fits = (field: string, value: Tensor, dtype: string, shape: readonly number[], letters: string) => {
    if (isTensor(value) && value.dtype === dtype && String(value.shape) === String(shape)) return;
    refuse(field, described(value), `${dtype} ${letters} = [${shape.join(", ")}]`);
  };
  if (!isTensor(token_N) || token_N.shape.length !== 1) refuse("token_N", described(token_N), "i32 [N]");
  const [N] = token_N.shape;
  fits("token_N", token_N, "i32", [N], "[N]");
  fits("expert_N", expert_N, "i32", [N], "[N]");
  fits("wanted_N", wanted_N, "i32", [N], "[N]");
  fits("weight_N", weight_N, "f32", [N], "[N]");
  if (gradientWeight_N) fits("gradientWeight_N", gradientWeight_N, "f32", [N], "[N]");
  if (probability_TE) fits("probability_TE", probability_TE, "f32", [T, E], "[T, E]");
  const { choices, losses } = routing;
  if (choices !== null && !(Number.isInteger(choices) && choices * T === N)) {
    refuse("choices", String(choices), `K where N = T K (N = ${N}, T = ${T}), or null for other layouts`);
  }
  if (typeof losses !== "object" || losses === null) {
    refuse("losses", String(losses), "losses by name, {} for none");
  }
  for (const [name, loss] of Object.entries(losses)) fits(`losses.${name}`, loss, "f32", [1], "[1]");
  const { scalars = {}, estimator } = routing;
  for (const [name, value] of Object.entries(scalars)) fits(`scalars.${name}`, value, "f32", [1], "[1]");
  if (!estimator) return;
  fits("estimator.logProbability_T", estimator.logProbability_T, "f32", [T], "[T]");
  fits("estimator.importance_T", estimator.importance_T, "f32", [T], "[T]");
  if (typeof estimator.baseline !== "number") {
    refuse("estimator.baseline", String(estimator.baseline), "a number");
  }
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "dtype" in value && "shape" in value;
}

function described(value: unknown): string {
  return isTensor(value) ? `${value.dtype} [${value.shape.join(", ")}]` : String(value);
}
