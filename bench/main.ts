// `deno task bench`: how fast, here, now. Everything is verified, warmed up and timed in rounds that take turns; figures
// stand beside what this machine was just seen to do at most.
import { findSize } from "../models/sizes.ts";
import { findRouter, routers } from "../routers/registry.ts";
import { findDeviceKind } from "./devices.ts";
import { type LayerSize, referenceLayer } from "./layer.ts";
import { countsOf, skews } from "./loads.ts";
import { machineText } from "./machine.ts";
import { type Choice, measure } from "./measure.ts";
import {
  type CommandLine,
  runTask,
  valueOf,
  wholeNumber,
  wholeNumberOf,
  wholeNumbersOf,
  type Words,
} from "../cli/options.ts";
import {
  blasOption,
  jsonFlag,
  reportFlag,
  roundsOption,
  routersOf,
  routersOption,
  usualThreads,
} from "./options.ts";
import { renderBench, writePage } from "./page.ts";
import type { BenchResult } from "./schema.ts";
import { printed, tablesOf } from "./tables.ts";

interface Output {
  readonly json: boolean;
  readonly report: boolean;
}

/** Its command line. */
export const line: CommandLine = {
  task: "bench",
  about: "How fast, here, now: limits of the machine, products, MoE block, training steps, kernels.",
  options: {
    rounds: { ...roundsOption, default: "3" },
    steps: { about: "training steps that are timed, after those that warm up", value: "N", default: "10" },
    size: { about: "size of the language task's model", value: "NAME", default: "small" },
    routers: routersOption,
    device: { about: "cpu or webgpu", value: "NAME", default: "cpu" },
    threads: {
      about: "numbers of CPU threads, with commas between",
      value: "LIST",
      default: usualThreads().join(),
    },
    blas: blasOption,
    layer: {
      about: "the MoE block: tokens, width, hidden units, experts, experts a token goes to",
      value: "T,D,F,E,K",
      default: Object.values(referenceLayer).join(),
    },
    json: jsonFlag,
    report: reportFlag,
  },
  notes: ["What the figures mean: docs/benchmarks.md"],
};

function readChoice(words: Words): { choice: Choice; output: Output } {
  const chosen = routersOf(words);
  const device = findDeviceKind(valueOf(words, "device") ?? "cpu");
  const blas = valueOf(words, "blas") ?? "off";
  const threads = wholeNumbersOf(words, "threads", 1, 64);
  const sizeName = valueOf(words, "size") ?? "small";
  // Checked before anything is measured.
  findSize(sizeName);
  if (device === "webgpu" && blas !== "off") {
    throw new RangeError(`Cannot use --blas ${blas} with --device webgpu: BLAS computes on the CPU`);
  }
  if (device === "webgpu" && threads !== null) {
    throw new RangeError(
      `Cannot use --threads ${threads} with --device webgpu: threads are the CPU's`,
    );
  }
  return {
    choice: {
      rounds: wholeNumberOf(words, "rounds", 1) ?? 3,
      steps: wholeNumberOf(words, "steps", 1) ?? 10,
      sizeName,
      layer: readLayer(valueOf(words, "layer")),
      routers: chosen ?? routers(),
      profiled: chosen ? chosen[0] : findRouter("switch"),
      device,
      blas,
      threads: threads ?? usualThreads(),
    },
    output: { json: words.flags.json, report: words.flags.report },
  };
}

function readLayer(text: string | null): LayerSize {
  if (text === null) return referenceLayer;
  const sizes = text.split(",");
  if (sizes.length !== 5) {
    throw new RangeError(`Cannot use --layer ${text}: write T,D,F,E,K, like 2048,256,1024,8,2`);
  }
  const [T, D, F, E, K] = sizes.map((each) => wholeNumber("layer", each, 1));
  if (K > E) {
    throw new RangeError(`Cannot use --layer ${text}: a token goes to ${K} experts, and there are ${E}`);
  }
  // Loads that cannot be made are refused here, before anything is timed.
  for (const skew of skews) countsOf({ T, E, K, skew });
  return { T, D, F, E, K };
}

if (import.meta.main) {
  await runTask(line, async (words) => {
    const { choice, output } = readChoice(words);
    const { rows, checked } = await measure(choice, (text) => output.json || console.log(text));
    const result: BenchResult = {
      machine: machineText(),
      date: new Date().toISOString().slice(0, 10),
      command: ["deno task bench", ...Deno.args].join(" "),
      size: choice.sizeName,
      layer: choice.layer,
      rounds: choice.rounds,
      checked,
      profiled: choice.profiled.name,
      rows,
    };
    if (output.json) console.log(JSON.stringify(result, null, 1));
    else {
      console.log(
        `\n${result.machine}\n${checked.length} kernels checked against their references: ${
          checked.join(", ")
        }`,
      );
      for (const table of tablesOf(result)) console.log(printed(table));
    }
    if (output.report) {
      const path = await writePage("bench", result.date, renderBench(result));
      if (!output.json) console.log(`Report: ${path}`);
    }
  });
}
