// Writes a kind of experts that works, to be changed: `deno task new:expert NAME`. It is the plainest one with hidden units.
import { createFromCommandLine, newPluginLine, type PluginFiles } from "./new_plugin.ts";

/** Files of kinds of experts. */
export const expertFiles: PluginFiles = {
  word: "experts",
  one: "a kind of experts",
  example: "feed-forward",
  folder: "experts",
  ending: "Experts",
  skeleton: ({ name, constant, type, title }) =>
    `// ${title} experts: relu(x W_in) W_out. Weights are drawn unit by unit, so a bank cut finer starts as the same network.
import * as z from "zod";
import { groupedMatmul } from "../tensor/products.ts";
import type { ExpertPlugin } from "./expert.ts";
import { unitsIn, unitsOut } from "./parts/init.ts";

/** Options of {@linkcode ${constant}}. */
export interface ${type} {
  /** Standard deviation of W_out's init; null = 1 / sqrt(F). */
  readonly outDeviation: number | null;
}

/** ${title}, a kind of experts of one's own. */
export const ${constant}: ExpertPlugin<${type}> = {
  name: "${name}",
  about: "relu(x W_in) W_out.",
  options: z.strictObject({
    outDeviation: z.number().positive().nullable().default(null)
      .describe("standard deviation of W_out's init; null = 1 / sqrt(F)"),
  }),
  parameters: ({ D, F }) => 2 * D * F,
  flopPerToken: ({ D, F }) => 4 * D * F,
  activationsPerToken: ({ D, F }) => F + D,
  create(dims, options, init) {
    const in_EDF = unitsIn("in", dims, init);
    const out_EFD = unitsOut("out", dims, options.outDeviation ?? 1 / Math.sqrt(dims.F), init);
    return {
      params: { in: in_EDF, out: out_EFD },
      apply({ rows, offset_O }) {
        const hidden_NF = groupedMatmul(rows, in_EDF, offset_O, { activation: "relu" });
        return groupedMatmul(hidden_NF, out_EFD, offset_O);
      },
    };
  },
};
`,
};

/** Its command line. */
export const line = newPluginLine(expertFiles, "new:expert");

if (import.meta.main) await createFromCommandLine(expertFiles, line);
