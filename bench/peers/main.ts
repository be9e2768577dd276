// `deno task bench:peers`: us side by side with what a user would pick instead, in one run: results are checked first,
// then everybody is timed in turns. README.md beside this file says what is compared and what cannot be.
import { machineText } from "../machine.ts";
import { type CommandLine, runTask, valueOf, wholeNumberOf, type Words } from "../../cli/options.ts";
import { jsonFlag, roundsOption } from "../options.ts";
import { compare, type Contender, type Row } from "./compare.ts";
import { createContenders } from "./contenders.ts";
import { barsTable, judge, markdownOf, tableOf } from "./table.ts";
import type { Workload } from "./workload.ts";
import { createWorkloads } from "./workloads.ts";

interface Choice {
  readonly contenders: readonly Contender[];
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  readonly quick: boolean;
  readonly json: boolean;
  readonly markdown: boolean;
}

const devices = ["cpu", "webgpu", "all"];

/** Variables that keep libraries, ours and others', from choosing for themselves. */
const holding: Readonly<Record<string, string>> = {
  OPENBLAS_CORETYPE: "OpenBLAS's loops",
  OPENBLAS_L2_SIZE: "OpenBLAS's tiles",
  OPENBLAS_NUM_THREADS: "OpenBLAS's threads",
  OMP_NUM_THREADS: "threads of OpenMP",
  MKL_NUM_THREADS: "MKL's threads",
};

/** Its command line. */
export const line: CommandLine = {
  task: "bench:peers",
  about: "Us side by side with onnxruntime, TensorFlow.js, jax-js and PyTorch.",
  options: {
    only: {
      about: "workloads and contenders to take, with commas between; ours is us",
      value: "NAMES",
      default: "all",
    },
    rounds: { ...roundsOption, default: "5, with --quick 1" },
    device: { about: devices.join(", "), value: "NAME", default: "cpu" },
    threads: { about: "CPU threads of each", value: "N", default: "2" },
    python: { about: "a Python that has PyTorch", value: "PATH", default: "python3" },
    quick: { about: "small workloads" },
    json: jsonFlag,
    markdown: { about: "print the table as Markdown" },
  },
  notes: ["What is compared, and how: bench/peers/README.md"],
};

function readChoice(words: Words): Choice {
  const device = valueOf(words, "device") ?? "cpu";
  const only = valueOf(words, "only") ?? "";
  const { quick, json, markdown } = words.flags;
  if (!devices.includes(device)) {
    throw new RangeError(`Cannot use --device ${device}: there are ${devices.join(", ")}`);
  }
  const threads = wholeNumberOf(words, "threads", 1, 64) ?? 2;
  const everybody = createContenders({ threads, python: valueOf(words, "python") ?? "python3" })
    .filter((one) => device === "all" || device === one.device);
  const everything = createWorkloads(quick ? "small" : "full");
  const names = only === "" ? [] : only.split(",").map((name) => name.trim());
  for (const name of names) {
    if (name !== "ours" && ![...everybody, ...everything].some((one) => one.name === name)) {
      const list = (all: readonly { readonly name: string }[]) => all.map(({ name }) => name).join(", ");
      throw new RangeError(
        `Cannot compare only "${name}": there are the workloads ${list(everything)}; the contenders ` +
          `${list(everybody)}; and "ours"`,
      );
    }
  }
  const chosen = everything.filter(({ name }) => names.includes(name));
  const who = everybody.filter(({ name, ours }) => names.includes(name) || (ours && names.includes("ours")));
  return {
    workloads: chosen.length > 0 ? chosen : everything,
    // Peers alone would have nothing to be held against.
    contenders: who.length > 0 ? everybody.filter((one) => one.ours || who.includes(one)) : everybody,
    rounds: wholeNumberOf(words, "rounds", 1) ?? (quick ? 1 : 5),
    quick,
    json,
    markdown,
  };
}

const wasTimed = ({ secondsOfCall }: Row) => secondsOfCall.length > 0;

if (import.meta.main) {
  await runTask(line, async (words) => {
    const { workloads, contenders, rounds, quick, json, markdown } = readChoice(words);
    const made = {
      machine: machineText(),
      date: new Date().toISOString().slice(0, 10),
      command: ["deno task bench:peers", ...Deno.args].join(" "),
    };
    const start = performance.now();
    const comparisons = await compare(workloads, contenders, {
      rounds,
      secondsOfRound: quick ? 0.05 : 0.4,
      patienceSeconds: 180,
      say: (text) => console.error(`[${((performance.now() - start) / 1000).toFixed(0)} s] ${text}`),
    });
    const judged = quick ? [] : judge(comparisons);
    if (json) {
      console.log(JSON.stringify({ ...made, rounds, quick, comparisons, bars: judged }, null, 1));
    } else {
      const times = rounds === 1 ? "1 round" : `${rounds} rounds`;
      console.log(`\n${made.machine}\n${made.date}, ${made.command}: ${times}, f32`);
      const running = new Map(
        comparisons.flatMap(({ rows }) => rows.map(({ contender, about }) => [contender, about] as const))
          .filter(([, about]) => about !== null),
      );
      for (const [name, about] of running) console.log(`${name}: ${about}`);
      for (const [name, what] of Object.entries(holding)) {
        const value = Deno.env.get(name);
        if (value !== undefined) {
          console.log(`${name}=${value} is set: ${what} may not be what libraries would choose.`);
        }
      }
      for (const comparison of comparisons) console.log(tableOf(comparison));
      if (markdown) console.log(`\n${markdownOf(comparisons)}\n`);
      if (comparisons.some(({ rows }) => rows.some(wasTimed))) {
        console.log(
          `${
            rounds === 1 ? "One round" : "Medians over rounds [least, most]"
          }; a ratio is the contender's time over ` +
            "ours in the same round: above 1 we are faster. All results were checked first.",
        );
      }
      if (judged.length > 0) {
        console.log(`\nWhat is asked for\n${barsTable(judged)}`);
      }
      if (quick) {
        console.log("Small shapes, to see that everything works: these times say nothing about speed.");
      }
    }
    if (!comparisons.some(({ rows }) => rows.some((row) => row.ours && wasTimed(row)))) {
      throw new Error("Cannot compare: none of ours was timed, for the reasons above");
    }
  });
}
