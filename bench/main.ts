// `deno task bench`: how fast, here, now. Everything is verified, warmed up and timed in rounds that take turns; figures
// stand beside what this machine was just seen to do at most.
import { findSize } from "../models/sizes.ts";
import { findRouter, routers } from "../routers/registry.ts";
import { findDeviceKind } from "./devices.ts";
import { type LayerSize, referenceLayer } from "./layer.ts";
import { countsOf, skews } from "./loads.ts";
import { machineText } from "./machine.ts";
import { type Choice, measure } from "./measure.ts";
import { command, readWords, usualThreads, wholeNumber, wholeNumbers } from "./options.ts";
import { renderBench, writePage } from "./page.ts";
import type { BenchResult } from "./schema.ts";
import { printed, tablesOf } from "./tables.ts";

interface Output {
  readonly json: boolean;
  readonly report: boolean;
}

function readChoice(words: readonly string[]): { choice: Choice; output: Output } {
  const given = readWords(words, {
    values: {
      rounds: "3",
      steps: "10",
      size: "small",
      routers: "",
      device: "cpu",
      threads: usualThreads(),
      blas: "off",
      layer: Object.values(referenceLayer).join(","),
    },
    flags: ["json", "report"],
  });
  const chosen = given.has("routers")
    ? [...new Set(given.value("routers").split(","))].map(findRouter)
    : routers();
  const [device, blas] = [findDeviceKind(given.value("device")), given.value("blas")];
  if (device === "webgpu" && blas !== "off") {
    throw new RangeError(`Cannot use --blas ${blas} with --device webgpu: BLAS computes on the CPU`);
  }
  if (device === "webgpu" && given.has("threads")) {
    throw new RangeError(
      `Cannot use --threads ${given.value("threads")} with --device webgpu: threads are the CPU's`,
    );
  }
  return {
    choice: {
      rounds: wholeNumber("rounds", given.value("rounds")),
      steps: wholeNumber("steps", given.value("steps")),
      sizeName: readSize(given.value("size")),
      layer: readLayer(given.value("layer")),
      routers: chosen,
      profiled: given.has("routers") ? chosen[0] : findRouter("switch"),
      device,
      blas,
      threads: wholeNumbers("threads", given.value("threads"), 1, 64),
    },
    output: { json: given.flag("json"), report: given.flag("report") },
  };
}

/** Checked before anything is measured. */
function readSize(name: string): string {
  findSize(name);
  return name;
}

function readLayer(text: string): LayerSize {
  const sizes = text.split(",");
  if (sizes.length !== 5) {
    throw new RangeError(`Cannot use --layer ${text}: write T,D,F,E,K, like 2048,256,1024,8,2`);
  }
  const [T, D, F, E, K] = sizes.map((each) => wholeNumber("layer", each));
  if (K > E) {
    throw new RangeError(`Cannot use --layer ${text}: a token goes to ${K} experts, and there are ${E}`);
  }
  // Loads that cannot be made are refused here, before anything is timed.
  for (const skew of skews) countsOf({ T, E, K, skew });
  return { T, D, F, E, K };
}

if (import.meta.main) {
  await command(async () => {
    const { choice, output } = readChoice(Deno.args);
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
