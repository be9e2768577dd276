// Writes a router that works, to be changed: `deno task new:router NAME`. It is the plainest one, a linear gate whose
// most probable expert takes the token, since what a new router keeps of an older one is not for a tool to guess.
import { createFromCommandLine, newPluginLine, type PluginFiles } from "./new_plugin.ts";

/** Files of routers; a router says in which year it was published. */
export function routerFiles(year: number): PluginFiles {
  return {
    word: "router",
    one: "a router",
    example: "noisy-top-k",
    folder: "routers",
    ending: "Router",
    skeleton: ({ name, constant, type, title }) =>
      `// ${title}: each token goes to its most probable expert, weighted by that probability; no token is dropped.
import * as z from "zod";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { maskExperts } from "./parts/capacity.ts";
import { zeroPadding } from "./parts/padding.ts";
import { tokenChoice } from "./parts/scoring.ts";
import type { RouterPlugin } from "./router.ts";

/** Options of {@linkcode ${constant}}. */
export interface ${type} {
  /** s of the gate's init, sigma = sqrt(s / D). */
  readonly initScale: number;
}

/** ${title}, a router of one's own. */
export const ${constant}: RouterPlugin<${type}> = {
  name: "${name}",
  about: "Each token goes to its most probable expert, weighted by that probability.",
  paper: {
    title: "${title}",
    year: ${year},
    identifier: "unpublished",
    equations: "nothing published yet",
  },
  traits: { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "through weight" },
  options: z.strictObject({
    initScale: z.number().positive().default(0.1).describe("s of the gate's init, sigma = sqrt(s / D)"),
  }),
  expertsPerToken: () => 1,
  create({ D, E }, options, init) {
    const gate_DE = init.parameter("gate", [D, E], truncatedNormal(Math.sqrt(options.initScale / D)));
    return {
      params: { gate: gate_DE },
      route(given_TD, { real_T }) {
        const x_TD = zeroPadding(given_TD, real_T);
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const { value_TK, index_TK } = topK(probability_TE, 1);
        const wanted_TK = maskExperts(index_TK, real_T);
        const choices = { wanted_TK, expert_TK: wanted_TK, weight_TK: value_TK };
        return tokenChoice(choices, { probability_TE, losses: {} });
      },
    };
  },
};
`,
  };
}

const files = routerFiles(new Date().getFullYear());

/** Its command line. */
export const line = newPluginLine(files, "new:router");

if (import.meta.main) await createFromCommandLine(files, line);
