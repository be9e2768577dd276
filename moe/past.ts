// Routing of the last tokens of a sequence, whose earlier ones an earlier pass computed. The router is shown all tokens, as in
// one pass over the whole sequence, so that experts need to compute the last ones alone; where it decides otherwise of an
// earlier token than it did before, that is said.
import type { RouteStep, Routing } from "../routers/router.ts";
import type { GrowingRows } from "../tensor/growing_rows.ts";
import { stopGradient, type Tensor, tensor } from "../tensor/tensor.ts";
import type { MoeLayer } from "./layer.ts";

/** What a router decided, on the host: lists of N assignments. */
export interface Decided {
  /** Token of each assignment. */
  readonly token_N: Int32Array;
  /** Expert of each; -1 = none. */
  readonly expert_N: Int32Array;
  /** Expert that each asked for, before capacity. */
  readonly wanted_N: Int32Array;
  /** Weight of each. */
  readonly weight_N: Float32Array;
  /** K where assignments are laid out [T, K]; null for other layouts. */
  readonly choices: number | null;
}

/** What a layer keeps of the tokens that it has seen. */
export interface RoutedPast {
  /** What its router was shown of them, f32 [tokens, D]. */
  readonly rows: GrowingRows;
  /** What it decided when it was last asked; null before it was. */
  decided: Decided | null;
}

/** Weights of one token may differ by rounding, since rows meet other rows in a product. */
const RELATIVE_ROUNDING = 1e-5;

/**
 * Routes x_TD, f32 [T, D], behind `tokens` earlier ones.
 * @param step Of all tokens of the sequence, the earlier ones included.
 * @returns The routing of x_TD alone; or the first earlier token that the router decides of otherwise now.
 */
export async function routeBehind(
  { layer, past, tokens }: { readonly layer: MoeLayer; readonly past: RoutedPast; readonly tokens: number },
  x_TD: Tensor,
  step: RouteStep,
): Promise<Routing | number> {
  const routing = await layer.route(past.rows.append(stopGradient(x_TD)), step);
  const decided = await readDecisions(routing);
  const before = past.decided;
  past.decided = decided;
  if (tokens === 0 || !before) return routing;
  // Slots are means over all tokens, so each gets something else with every token more.
  const changed = routing.mixture ? 0 : firstChanged(before, decided, tokens);
  return changed < tokens ? changed : routingBehind(decided, tokens, x_TD);
}

async function readDecisions(routing: Routing): Promise<Decided> {
  const { token_N, expert_N, wanted_N, weight_N, choices } = routing;
  const [token, expert, wanted, weight] = await Promise.all(
    [token_N, expert_N, wanted_N, weight_N].map((each) => each.read()),
  );
  return {
    token_N: token as Int32Array,
    expert_N: expert as Int32Array,
    wanted_N: wanted as Int32Array,
    weight_N: weight as Float32Array,
    choices,
  };
}

/** The first of some tokens that gets another expert, or one with another weight; their number where none does. */
function firstChanged(before: Decided, now: Decided, tokens: number): number {
  const [old_T, new_T] = [lotsOf(before, tokens), lotsOf(now, tokens)];
  const found = old_T.findIndex((lot, t) => !alike(lot, new_T[t]));
  return found < 0 ? tokens : found;
}

/** Of each token its experts, each followed by its weight. */
function lotsOf({ token_N, expert_N, weight_N }: Decided, tokens: number): number[][] {
  const lot_T = Array.from({ length: tokens }, (): number[] => []);
  for (let n = 0; n < token_N.length; n++) {
    if (token_N[n] < tokens && expert_N[n] >= 0) lot_T[token_N[n]].push(expert_N[n], weight_N[n]);
  }
  return lot_T;
}

function alike(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((value, at) => {
    // Experts stand at even places.
    const tolerance = at % 2 === 0 ? 0 : RELATIVE_ROUNDING * Math.abs(value);
    return Object.is(value, b[at]) || Math.abs(value - b[at]) <= tolerance;
  });
}

/** Assignments of the tokens behind the first ones, counted from there. */
function routingBehind(
  { token_N, expert_N, wanted_N, weight_N, choices }: Decided,
  tokens: number,
  like: Tensor,
): Routing {
  const kept = [...token_N.keys()].filter((n) => token_N[n] >= tokens);
  const whole = (values_N: Int32Array, less = 0) =>
    tensor(like.backend, Int32Array.from(kept, (n) => values_N[n] - less), [kept.length]);
  return {
    token_N: whole(token_N, tokens),
    expert_N: whole(expert_N),
    wanted_N: whole(wanted_N),
    weight_N: tensor(like.backend, Float32Array.from(kept, (n) => weight_N[n]), [kept.length]),
    choices,
    losses: {},
  };
}
