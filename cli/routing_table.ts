// Where tokens went, for a terminal: a line a token, a column a mixture.
import Table from "cli-table3";
import type { TokenInLayer, TokenLook } from "../training/look.ts";

/**
 * A table of tokens with their experts by layer, and a line that says how to read it.
 * @param prompt How many of the tokens were given; those behind them were generated.
 * @param names What tokens are called, by id.
 */
export function routingTable(tokens: readonly TokenLook[], prompt: number, names: readonly string[]): string {
  const layers = tokens[0].layers.map(({ layer }) => layer);
  if (layers.length === 0) return "The model has no experts.";
  const table = new Table({
    head: ["", "token", ...layers.map((layer) => `layer ${layer}`)],
    style: { head: [], border: [], compact: true },
  });
  table.push(
    ...tokens.map(({ tokenId, layers }, at) => [at < prompt ? "" : "+", names[tokenId], ...layers.map(cell)]),
  );
  return `${table.toString()}\nEach expert with its weight; "full" is one that had no room; + is generated.`;
}

function cell({ kept, dropped }: TokenInLayer): string {
  const parts = [
    ...kept.map(({ expert, weight }) => `${expert} ${weight.toFixed(2)}`),
    ...dropped.map((expert) => `${expert} full`),
  ];
  return parts.join(", ") || "-";
}
