// `deno task bench:scaling`: how time and memory of an MoE block grow with each of its sizes, and whether what should
// cost nothing costs nothing. Exponents are fitted, not read off by eye.
import { type SizeName, sizes } from "../../models/sizes.ts";
import { findRouter } from "../../routers/registry.ts";
import { specOf } from "../../training/spec_of.ts";
import { counted } from "../../report/numbers.ts";
import { axesOf } from "./axes.ts";
import { type Curve, measureCurve } from "./curves.ts";
import { type BlasChoice, openCpu } from "../devices.ts";
import { expertCounts, groupedOverDense, layerOverFewest } from "./flatness.ts";
import { referenceLayer } from "../layer.ts";
import { machineText } from "../machine.ts";
import { memoryByHand } from "./memory_by_hand.ts";
import { type CommandLine, runTask, valueOf, wholeNumberOf } from "../../cli/options.ts";
import { blasOption, jsonFlag, mostThreads, reportFlag, roundsOption } from "../options.ts";
import { writePage } from "../page.ts";
import { renderScaling } from "./page.ts";
import type { ScalingResult } from "./schema.ts";
import { scalingTables } from "./tables.ts";
import { benchConfig, benchData, trainSteps } from "../step.ts";
import { printed } from "../tables.ts";

interface Choice {
  readonly quick: boolean;
  readonly rounds: number;
  readonly threads: number;
  readonly blas: BlasChoice;
}

async function measure(
  { quick, rounds, threads, blas }: Choice,
  say: (text: string) => void,
): Promise<Pick<ScalingResult, "curves" | "grouped" | "layers" | "memory" | "groupedSize" | "layerSize">> {
  const curves: Curve[] = [];
  for (const axis of axesOf(quick, threads)) {
    say(`Scaling ${axis.name} ...`);
    curves.push(await measureCurve(axis, rounds, blas));
  }
  const experts = expertCounts(quick ? 32 : 256);
  const groupedSize = quick ? { ...referenceLayer, T: 256, D: 64, F: 256 } : referenceLayer;
  // Tokens for 32 rows an expert at the most experts.
  const T = 32 * experts[experts.length - 1] / groupedSize.K;
  const layerSize = { ...groupedSize, T };
  using device = await openCpu(threads, blas);
  say("Grouped products beside plain ones ...");
  const grouped = await groupedOverDense(device, groupedSize, experts, rounds);
  say("Blocks of more experts ...");
  const layers = await layerOverFewest(device, layerSize, experts, rounds);
  say("Memory of a training step ...");
  const memory = [];
  const name = "switch";
  for (const sizeName of quick ? ["tiny" as const] : Object.keys(sizes) as SizeName[]) {
    using fresh = await openCpu(threads, blas);
    const router = findRouter(name);
    const data = await benchData(sizeName);
    const { header } = await trainSteps(fresh.backend, { router, sizeName, data, threads }, 4);
    const config = benchConfig(sizeName, router, 4);
    const T = config.train.batch * config.train.length;
    memory.push({
      size: sizeName,
      router: name,
      peakBytes: fresh.peakBytes(),
      heldBytes: fresh.heldBytes(),
      byHand: memoryByHand(specOf(config, data), T, header.parameters.total),
    });
  }
  return { curves, grouped, groupedSize, layers, layerSize, memory };
}

/** Its command line. */
export const line: CommandLine = {
  task: "bench:scaling",
  about:
    "How time and memory of an MoE block grow with each of its sizes, and whether what should cost nothing does.",
  options: {
    rounds: { ...roundsOption, default: "3, with --quick 1" },
    threads: { about: "CPU threads", value: "N", default: String(mostThreads()) },
    blas: blasOption,
    quick: { about: "small sizes, for a look in a minute" },
    json: jsonFlag,
    report: reportFlag,
  },
  notes: ["What the figures mean: docs/benchmarks.md"],
};

if (import.meta.main) {
  await runTask(line, async (words) => {
    const { quick, json, report } = words.flags;
    const rounds = wholeNumberOf(words, "rounds", 1) ?? (quick ? 1 : 3);
    const threads = wholeNumberOf(words, "threads", 1, 64) ?? mostThreads();
    const measured = await measure(
      { quick, rounds, threads, blas: valueOf(words, "blas") ?? "off" },
      (text) => json || console.log(text),
    );
    const result: ScalingResult = {
      machine: machineText(),
      date: new Date().toISOString().slice(0, 10),
      command: ["deno task bench:scaling", ...Deno.args].join(" "),
      threads,
      rounds,
      ...measured,
    };
    if (json) console.log(JSON.stringify(result, null, 1));
    else {
      console.log(`\n${result.machine}, ${counted(threads, "thread")}`);
      for (const table of scalingTables(result)) console.log(printed(table));
    }
    if (report) {
      const path = await writePage("bench-scaling", result.date, renderScaling(result));
      if (!json) console.log(`\nReport: ${path}`);
    }
  });
}
