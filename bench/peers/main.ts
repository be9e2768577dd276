// `deno task bench:peers`: us side by side with what a user would pick instead, in one run: results are checked first,
// then everybody is timed in turns. README.md beside this file says what is compared and what cannot be.
import { machineText } from "../machine.ts";
import { command, readWords, wholeNumber } from "../options.ts";
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

function readChoice(words: readonly string[]): Choice {
  const given = readWords(words, {
    values: { only: "", rounds: "", device: "cpu", threads: "2", python: "python3" },
    flags: ["quick", "json", "markdown"],
  });
  const [device, only, rounds] = ["device", "only", "rounds"].map(given.value);
  const [quick, json, markdown] = ["quick", "json", "markdown"].map(given.flag);
  if (!devices.includes(device)) {
    throw new RangeError(`Cannot use --device ${device}: there are ${devices.join(", ")}`);
  }
  const threads = wholeNumber("threads", given.value("threads"), 1, 64);
  const everybody = createContenders({ threads, python: given.value("python") })
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
    rounds: wholeNumber("rounds", rounds || (quick ? "1" : "5")),
    quick,
    json,
    markdown,
  };
}

const wasTimed = ({ secondsOfCall }: Row) => secondsOfCall.length > 0;

if (import.meta.main) {
  await command(async () => {
    const { workloads, contenders, rounds, quick, json, markdown } = readChoice(Deno.args);
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
