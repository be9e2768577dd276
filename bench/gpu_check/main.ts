// `deno task gpu:check`: what a WebGPU adapter does with every kernel, in three minutes: is it right, and how near is it to
// what the adapter was just seen to do at most.
import { resolve } from "node:path";
import { type CommandLine, runTask, valueOf, wholeNumberOf, type Words } from "../../cli/options.ts";
import { elsewhere, fromWhereTheUserStands } from "../../cli/paths.ts";
import { prepareFolder, writeAtomic } from "../../formats/files.ts";
import { machineText } from "../machine.ts";
import { jsonFlag } from "../options.ts";
import { printed } from "../tables.ts";
import { checkGpu } from "./check.ts";
import { renderGpuCheck } from "./page.ts";
import { type GpuCheck, type Part, parts } from "./schema.ts";
import { claims, slowLines, tablesOf, wrongLines } from "./words.ts";

/** Its command line. */
export const line: CommandLine = {
  task: "gpu:check",
  about:
    "What the best WebGPU adapter does with every kernel: values against f64 references, losses against the CPU's, times against limits measured here.",
  options: {
    only: { about: `parts, with commas between: ${parts.join(", ")}`, value: "NAMES", default: "all" },
    seconds: { about: "seconds after which nothing new is begun", value: "N", default: "180" },
    python: {
      about: "a Python that has PyTorch with CUDA, for the same block there",
      value: "PATH",
      default: "python3",
    },
    out: {
      about: "folder for gpu_check.json and gpu_check.html",
      value: "FOLDER",
      default: "results/gpu_check",
      isPath: true,
    },
    json: jsonFlag,
  },
  notes: [
    "A software adapter (lavapipe, SwiftShader) runs everything small, and says so.",
    "It exits with 1 when a value or a loss is wrong. What the figures mean: docs/webgpu.md",
  ],
};

function partsOf(words: Words): readonly Part[] {
  const text = valueOf(words, "only");
  if (text === null) return parts;
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) {
    if (!parts.some((part) => part === name)) {
      throw new RangeError(`Cannot check only "${name}": there are ${parts.join(", ")}`);
    }
  }
  return parts.filter((part) => names.includes(part));
}

async function write(found: GpuCheck, folder: string): Promise<string> {
  const files = { "gpu_check.json": JSON.stringify(found, null, 1), "gpu_check.html": renderGpuCheck(found) };
  await prepareFolder(folder, Object.values(files).reduce((sum, text) => sum + text.length, 0));
  for (const [name, text] of Object.entries(files)) await writeAtomic(`${folder}/${name}`, text);
  return `${folder}/gpu_check.html`;
}

if (import.meta.main) {
  await runTask(line, async (typed) => {
    const start = performance.now();
    const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
    const words = fromWhereTheUserStands(typed, line, stands);
    const python = valueOf(words, "python") ?? "python3";
    const choice = {
      parts: partsOf(words),
      // A name is looked up by the system; a path is from where the user stands.
      python: stands !== null && python.includes("/") ? resolve(stands, python) : python,
      seconds: wholeNumberOf(words, "seconds", 1) ?? 180,
      say: (text: string) => console.error(`[${((performance.now() - start) / 1000).toFixed(0)} s] ${text}`),
    };
    const found: GpuCheck = {
      machine: machineText(),
      date: new Date().toISOString().slice(0, 10),
      command: ["deno task gpu:check", ...Deno.args].join(" "),
      ...await checkGpu(choice),
      seconds: (performance.now() - start) / 1000,
    };
    const path = await write(found, valueOf(words, "out") ?? "results/gpu_check");
    if (words.flags.json) console.log(JSON.stringify(found, null, 1));
    else {
      for (const table of tablesOf(found)) console.log(printed(table));
      console.log([`\n${found.machine}`, ...claims(found), ...slowLines(found), `Page: ${path}`].join("\n"));
    }
    const wrong = wrongLines(found);
    if (wrong.length > 0) {
      throw new Error(
        `Cannot trust ${found.adapter.name}: ${wrong.length} values or losses are off, as said above`,
      );
    }
  });
}
