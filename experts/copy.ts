// Copy experts: they give back what they get, so that a router may skip a layer's experts for a token (MoE++). Of use beside
// other kinds, in a mixed bank.
import * as z from "zod";
import { dispatchRows } from "../tensor/rows.ts";
import type { ExpertPlugin } from "./expert.ts";

/** Options of {@linkcode copy}: none. */
export type CopyOptions = Readonly<Record<never, never>>;

/**
 * Copy experts: x (Jin et al. 2024, MoE++: "skip").
 * @example
 * ```ts
 * import { copy } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const dims = { D: 4, F: 8, E: 2 };
 * assertEquals([copy.parameters(dims, {}), copy.activationsPerToken(dims, {})], [0, 4]);
 * ```
 */
export const copy: ExpertPlugin<CopyOptions> = {
  name: "copy",
  about: "x: the token itself, as the layer is given it (MoE++).",
  options: z.strictObject({}),
  parameters: () => 0,
  flopPerToken: () => 0,
  activationsPerToken: ({ D }) => D,
  create: () => ({ params: {}, apply: ({ rows }) => dispatchRows(rows) }),
};
