// Writes a router that works, to be changed: `deno task new:router NAME`. It is the plainest one, a linear gate whose
// most probable expert takes the token, since what a new router keeps of an older one is not for a tool to guess.

const RESERVED = new Set(
  ("break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if import in instanceof new null return super switch this throw true try typeof var void while with let " +
    "static yield await async").split(" "),
);

/** Text of a working router file. */
export function routerSkeleton(name: string, year: number): string {
  const camel = name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
  const constant = RESERVED.has(camel) ? `${camel}Router` : camel;
  const type = `${camel[0].toUpperCase()}${camel.slice(1)}Options`;
  const title = name.replaceAll("-", " ").replace(/^\w/, (letter) => letter.toUpperCase());
  return `// ${title}: each token goes to its most probable expert, weighted by that probability; nobody is dropped.
import { z } from "zod";
import { truncatedNormal } from "../tensor/init.ts";
import { matmul } from "../tensor/products.ts";
import { softmax } from "../tensor/reduce.ts";
import { topK } from "../tensor/rows.ts";
import { leaveOutPadding } from "./capacity.ts";
import type { RouterPlugin } from "./router.ts";
import { tokenChoice } from "./scoring.ts";

/** Options of {@linkcode ${constant}}. */
export interface ${type} {
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
      route(x_TD, { real_T }) {
        const probability_TE = softmax(matmul(x_TD, gate_DE));
        const { value_TK, index_TK } = topK(probability_TE, 1);
        const wanted_TK = leaveOutPadding(index_TK, real_T);
        const choices = { wanted_TK, expert_TK: wanted_TK, weight_TK: value_TK };
        return tokenChoice(choices, { probability_TE, losses: {} });
      },
    };
  },
};
`;
}

/**
 * Writes the file of a new router and returns its path from the root.
 * @throws {RangeError} when the name is not in kebab-case or its file is there already.
 */
export function createRouter(root: URL, name: string, year: number): string {
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(name)) {
    throw new RangeError(`Cannot make router "${name}": a name is kebab-case, like "noisy-top-k"`);
  }
  const path = `routers/${name.replaceAll("-", "_")}.ts`;
  try {
    Deno.writeTextFileSync(new URL(path, root), routerSkeleton(name, year), { createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    throw new RangeError(`Cannot make router "${name}": ${path} is there already`);
  }
  return path;
}

if (import.meta.main) {
  const [name = "", ...more] = Deno.args;
  try {
    if (name === "" || more.length > 0) {
      throw new RangeError('Cannot make a router: give one name, like "deno task new:router noisy-top-k"');
    }
    const path = createRouter(new URL("../", import.meta.url), name, new Date().getFullYear());
    console.log(`Wrote ${path}. Run "deno task index", and tests, benchmarks and experiments have it.`);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
