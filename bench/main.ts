// `deno task bench`: how fast, here, now. Everything is verified, warmed up and timed in rounds that take turns; figures
// stand beside the multiply-adds that this machine's cores were just seen to do.
import { parseArgs } from "@std/cli/parse-args";
import Table from "cli-table3";
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import { findSize } from "../models/presets.ts";
import { findRouter, routers } from "../routers/registry.ts";
import { matmulShapes, timeMatmul } from "./matmul.ts";
import { createPeak } from "./peak.ts";
import { createFigures, type Figures, type Spread } from "./rounds.ts";
import { benchDataset, timeStep } from "./step.ts";

const THREADS = [1, 2];

const on = (threads: number) => threads === 1 ? "1 thread" : `${threads} threads`;

interface Choice {
  readonly rounds: number;
  readonly steps: number;
  readonly sizeName: string;
  readonly routers: readonly string[];
  readonly json: boolean;
}

function readChoice(words: readonly string[]): Choice {
  const options = { string: ["rounds", "steps", "size", "routers"], boolean: ["json"] } as const;
  const found = parseArgs([...words], {
    ...options,
    default: { rounds: "3", steps: "10", size: "small" },
    unknown: (word: string) => {
      const known = [...options.string, ...options.boolean].map((name) => `--${name}`).join(", ");
      throw new RangeError(`Cannot use "${word}": there are ${known}`);
    },
  });
  const wholeNumber = (name: "rounds" | "steps") => {
    const value = Number(found[name]);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new RangeError(`Cannot use --${name} ${found[name]}: choose a whole number of at least 1`);
  };
  const names = found.routers?.split(",") ?? routers().map(({ name }) => name);
  for (const name of names) findRouter(name);
  findSize(found.size!);
  return {
    rounds: wholeNumber("rounds"),
    steps: wholeNumber("steps"),
    sizeName: found.size!,
    routers: names,
    json: found.json,
  };
}

async function measure(choice: Choice): Promise<Figures> {
  const size = findSize(choice.sizeName);
  const dataset = await benchDataset(size);
  const shapes = matmulShapes({
    T: size.batch * size.length,
    D: size.width,
    F: size.activeUnits,
    V: dataset.vocabulary.size,
  });
  const backends = await Promise.all(THREADS.map((threads) => cpu({ threads })));
  using peak = await createPeak(Math.max(...THREADS));
  const figures = createFigures();
  const say = (text: string) => choice.json || console.log(text);
  const stepOf = (name: string, backend: CpuBackend) =>
    timeStep({
      ...{ router: findRouter(name), size, sizeName: choice.sizeName, dataset, backend },
      steps: choice.steps,
    });
  say("Warming up ...");
  for (const backend of backends) await stepOf(choice.routers[0], backend);
  for (let round = 0; round < choice.rounds; round++) {
    say(`Round ${round + 1} of ${choice.rounds} ...`);
    for (const threads of THREADS) {
      for (const loop of peak.loops) {
        figures.add(`peak ${loop}, ${on(threads)}`, { flopPerSecond: peak.measure(loop, threads) });
      }
    }
    for (const backend of backends) {
      for (const shape of shapes) {
        const flopPerSecond = await timeMatmul(backend, shape);
        figures.add(`matmul ${shape.name}, ${on(backend.threads)}`, { flopPerSecond });
      }
    }
    for (const name of choice.routers) {
      for (const backend of backends) {
        figures.add(`step ${name}, ${on(backend.threads)}`, await stepOf(name, backend));
      }
    }
  }
  for (const backend of backends) backend.close();
  return figures;
}

/** A median with its range, in units of `unit`. */
function shown({ median, least, most }: Spread, unit: number, digits = 1): string {
  const [middle, low, high] = [median, least, most].map((value) => (value / unit).toFixed(digits));
  return `${middle} [${low}, ${high}]`;
}

function printTables(figures: Figures): void {
  const all = figures.all();
  /** The roof on as many threads: the most that any round saw. */
  const roof = (threads: number) => {
    const loop = all[`peak fused, ${on(threads)}`] ?? all[`peak plain, ${on(threads)}`];
    return loop.flopPerSecond.most;
  };
  const plain = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const style = { head: [], border: [] };
  const speeds = new Table({ head: ["", "GFLOP/s", "of roof"], chars: plain, style });
  const stages = ["route", "dispatch", "experts", "rest"];
  const columns = ["training step", "ms", "GFLOP/s", "of roof", ...stages, "MiB", "peak MiB"];
  const steps = new Table({ head: columns, chars: plain, style });
  for (const [subject, found] of Object.entries(all)) {
    const threads = Number(subject.match(/(\d+) threads?$/)![1]);
    const share = (found.flopPerSecond.median / roof(threads)).toFixed(2);
    const speed = [shown(found.flopPerSecond, 1e9), share];
    if (!subject.startsWith("step ")) speeds.push([subject, ...speed]);
    else {
      steps.push([
        subject.slice("step ".length),
        shown(found.seconds, 1e-3),
        ...speed,
        ...stages.map((stage) => `${(100 * found[`${stage}Share`].median).toFixed(0)}%`),
        (found.usedBytes.median / 2 ** 20).toFixed(1),
        (found.peakBytes.most / 2 ** 20).toFixed(1),
      ]);
    }
  }
  console.log(`${speeds}\n${steps}`);
  console.log(
    "Medians over rounds [least, most]. GFLOP/s of a step counts three passes of the active FLOPs; the roof is the " +
      "most multiply-adds (fused where the engine has them) that as many threads were seen to do.",
  );
}

if (import.meta.main) {
  try {
    const choice = readChoice(Deno.args);
    const machine = `${navigator.hardwareConcurrency} logical cores, ${Deno.build.os} ${Deno.build.arch}, ` +
      `Deno ${Deno.version.deno}`;
    const figures = await measure(choice);
    if (choice.json) console.log(JSON.stringify({ machine, ...choice, figures: figures.all() }, null, 1));
    else {
      console.log(`\n${machine}, size ${choice.sizeName}`);
      printTables(figures);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
