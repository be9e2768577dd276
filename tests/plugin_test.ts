// A router of one's own: one file, brought along with --plugin or put into routers/, is compared, reported and held to
// the contract like any other.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath, pathToFileURL } from "node:url";
import { compare } from "../experiments/compare.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { parseRecord } from "../training/record_text.ts";
import { assertRefused, experiments, filesIn, inFolder, succeed } from "./experiments_command.ts";
import { madeUpParagraphs } from "./made_up_text.ts";
import { copyRepository, deno } from "./repository_copy.ts";
import { routerContract } from "./router_contract.ts";

const root = new URL("../", import.meta.url);

/** What somebody with a new idea writes. */
const source =
  `// Sigmoid: the best-scored expert takes the token, weighted by how sure its score is on its own.
import { maskExperts, matmul, normal, type RouterPlugin, sigmoid, tokenChoice, topK } from "@switchyard/moe";
import * as z from "zod";

/** Options of {@linkcode sigmoidGate}. */
export interface SigmoidGateOptions {
  readonly scale: number;
}

/** A gate whose experts are judged one by one. */
export const sigmoidGate: RouterPlugin<SigmoidGateOptions> = {
  name: "sigmoid-gate",
  about: "Top-1 of independent sigmoid scores, weight = the score; no token is dropped.",
  paper: {
    title: "Sigmoid gate",
    year: 2025,
    identifier: "unpublished",
    equations: "nothing published yet",
  },
  traits: { causal: true, balancedBy: "nothing", perToken: "exactly K", gradient: "through weight" },
  options: z.strictObject({
    scale: z.number().positive().default(0.5).describe("standard deviation of a fresh gate's scores"),
  }),
  expertsPerToken: () => 1,
  create({ D, E }, { scale }, init) {
    const gate_DE = init.parameter("gate", [D, E], normal(scale / Math.sqrt(D)));
    return {
      params: { gate: gate_DE },
      route(x_TD, { real_T }) {
        const { value_TK, index_TK } = topK(sigmoid(matmul(x_TD, gate_DE)), 1);
        const wanted_TK = maskExperts(index_TK, real_T);
        return tokenChoice({ wanted_TK, expert_TK: wanted_TK, weight_TK: value_TK }, { losses: {} });
      },
    };
  },
};

export default sigmoidGate;
`;

const folder = await Deno.makeTempDir({ prefix: "switchyard 100%#" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const file = `${folder}/sigmoid_gate.ts`;
await Deno.writeTextFile(file, source);
const { sigmoidGate } = await import(pathToFileURL(file).href) as { sigmoidGate: AnyRouterPlugin };

routerContract(sigmoidGate);

Deno.test("a plugin is one short file with two imports that checks, formatted and free of lint", async () => {
  assert(source.split("\n").length < 60);
  const imports = [...source.matchAll(/from "(.+)"/g)].map(([, from]) => from);
  assertEquals(imports, ["@switchyard/moe", "zod"]);
  for (const command of [["check"], ["fmt", "--check"], ["lint"]]) {
    await deno(root, ...command, "--config", "deno.json", file);
  }
});

Deno.test("a plugin is compared and reported beside the experiment's own routers", () =>
  inFolder(async (place) => {
    const tiny = [
      "--size",
      "tiny",
      "--steps",
      "3",
      "--seeds",
      "2",
      "--text",
      `${place}/text.txt`,
      "--no-controls",
    ];
    const out = await succeed(
      ...[...tiny, "--plugin", file, "--set", "sigmoid-gate.scale=0.25"],
      ...["--out", `${place}/out`],
    );
    const files = filesIn(`${place}/out`);
    const runs = files.get("records.jsonl")!.split(/(?=^\{"kind":"run")/m).map((text) =>
      parseRecord(text, "run")
    );
    const plugins = runs.map(({ header }) => header.plugin);
    const own = compare.variants({ routers: null, plugins: [], settings: {} }).map(({ label }) => label);
    const seed = [...own, "sigmoid-gate"];
    assertEquals(plugins, [...seed, ...seed]);
    for (const { header, end } of runs.filter(({ header }) => header.plugin === "sigmoid-gate")) {
      assertEquals(header.routerOptions, { scale: 0.25 });
      assert(end!.routerGradient! > 0, "no gradient reached the plugin's gate");
      assertEquals(end!.keptShare, 1);
    }
    const report = new TextDecoder().decode(await Deno.readFile(`${place}/out/report.html`));
    assertMatch(report, /<th[^>]*>(<[^>]+>)*sigmoid-gate<\/th>/);
    assertMatch(out, /^│ sigmoid-gate /m);
  }));

Deno.test("a plugin can be named, listed by a path from here, and has to take part", () =>
  inFolder(async (place) => {
    const tiny = [
      "--size",
      "tiny",
      "--steps",
      "2",
      "--seeds",
      "1",
      "--text",
      `${place}/text.txt`,
      "--no-controls",
    ];
    const named = ["--plugin", file, "--routers", "sigmoid-gate", "--out", `${place}/out`];
    await succeed(...tiny, ...named);
    assertEquals(
      [...filesIn(`${place}/out`).keys()].filter((path) => path.endsWith(".jsonl")).sort(),
      ["records.jsonl", "runs/sigmoid-gate-seed0.jsonl"],
    );
    // The task starts in the checkout's folder, and a path is taken from there.
    const up = "../".repeat(fileURLToPath(root).split("/").length - 2);
    const list = await succeed("--list", "--plugin", `${up}${file.slice(1)}`);
    assertMatch(list, /^ {2}sigmoid-gate +Top-1 of independent sigmoid scores/m);
    assertMatch(list, / sigmoid-gate\.scale=0\.5 +standard deviation of a fresh gate's scores$/m);
    const left = await experiments("--plugin", file, "--routers", "switch", ...tiny);
    assertRefused(left, ['"sigmoid-gate"', '"switch"', "--routers"], "a plugin left out");
    const wrong = await experiments("--plugin", file, "--set", "sigmoid-gate.scale=0", ...tiny);
    assertRefused(wrong, ["sigmoid-gate", "scale = 0", ">0"], "a plugin's option out of range");
  }));

Deno.test("a plugin whose shapes do not fit is left out in one sentence before its first step ends", () =>
  inFolder(async (place) => {
    await Deno.writeTextFile(`${place}/wide.ts`, source.replace("weight_TK: value_TK", "weight_TK: x_TD"));
    const tiny = [
      "--size",
      "tiny",
      "--steps",
      "2",
      "--seeds",
      "1",
      "--text",
      `${place}/text.txt`,
      "--no-controls",
    ];
    const words = ["--plugin", `${place}/wide.ts`, "--routers", "sigmoid-gate", "--out", `${place}/out`];
    const { code, out, error } = await experiments(...tiny, ...words);
    assertEquals(code, 1);
    assertMatch(error, /^Run sigmoid-gate-seed0 is left out: Cannot [^\n]+\n$/);
    for (const shape of ["shape [256, 32]", "[256]"]) assertStringIncludes(error, shape);
    assert(!/^run \d/m.test(out), out);
  }));

Deno.test("a router in the tree is one new file and `deno task index`", () =>
  inFolder(async (copy) => {
    await copyRepository(copy);
    await deno(copy, "task", "new:router", "second-guess");
    await deno(copy, "task", "index");
    const before = new Map(filesIn(fileURLToPath(root), "routers/"));
    const changed = [...filesIn(copy, "routers/")].filter(([path, text]) => before.get(path) !== text);
    assertEquals(changed.map(([path]) => path).sort(), [
      "routers/README.md",
      "routers/mod.ts",
      "routers/second_guess.ts",
    ]);
    const added = (path: string) => {
      const old = new Set(before.get(path)!.split("\n"));
      return changed.find(([name]) => name === path)![1].split("\n").filter((line) => !old.has(line));
    };
    assertEquals(added("routers/mod.ts"), [
      'export { secondGuess, type SecondGuessOptions } from "./second_guess.ts";',
    ]);
    assertStringIncludes(added("routers/README.md").join("\n"), "(second_guess.ts)");

    await Deno.writeTextFile(`${copy}/text.txt`, madeUpParagraphs());
    const words = ["--size", "tiny", "--steps", "2", "--seeds", "1", "--text", `${copy}/text.txt`];
    const routers = ["--routers", "second-guess,switch", "--out", `${copy}/out`];
    const out = await deno(copy, "task", "experiments", ...words, ...routers);
    assertMatch(out, /^│ second-guess /m);
    assertStringIncludes(await Deno.readTextFile(`${copy}/out/report.html`), "second-guess");
  }));
