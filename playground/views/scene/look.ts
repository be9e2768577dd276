// A run's last look, one layer of it.
import type { TokenInLayer } from "../../../training/look.ts";
import type { Run } from "../../run/run.ts";
import { layerAt } from "../shown.ts";

/** Where tokens go in one layer. */
export interface ExpertsOf {
  readonly E: number;
  /** By token; undefined where a layer has none. */
  readonly tokens: readonly (TokenInLayer | undefined)[];
}

/** The look at a layer; null before there is one. */
export function lookAt({ looks, header }: Run, layer: number | null): ExpertsOf | null {
  if (!looks || !header) return null;
  return { E: header.experts.E, tokens: looks.tokens.map(({ layers }) => layerAt(layers, layer)) };
}

/** Places of the tokens with a label. */
export function tokensWhere(label_T: ArrayLike<number>, label: number): number[] {
  return Array.from(label_T).flatMap((each, at) => each === label ? [at] : []);
}

/** Mean of the router's distribution over some tokens; null where it has none. */
export function meanProbability({ E, tokens }: ExpertsOf, some: readonly number[]): number[] | null {
  const known = some.flatMap((at) => tokens[at]?.probability ? [tokens[at].probability] : []);
  if (known.length === 0) return null;
  return Array.from(
    { length: E },
    (_, expert) => known.reduce((sum, probability) => sum + probability[expert], 0) / known.length,
  );
}

/** One token's fate in words: "expert 3 with weight 0.41; expert 5 had no room". */
export function fateOf(token: TokenInLayer | undefined, number: (value: number) => string): string {
  if (!token) return "nothing yet";
  const kept = token.kept.map(({ expert, weight }) => `expert ${expert} with weight ${number(weight)}`);
  const dropped = token.dropped.map((expert) => `expert ${expert} had no room`);
  const all = [...kept, ...dropped];
  return all.length > 0 ? all.join("; ") : "no expert";
}
