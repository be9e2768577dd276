// `deno task bench`: how fast, here, now. Everything is verified, warmed up and timed in rounds that take turns; figures
// stand beside the multiply-adds that this machine's cores were just seen to do.
import { parseArgs } from "@std/cli/parse-args";
import Table from "cli-table3";
import { cpu } from "../cpu/backend.ts";
import { findSize } from "../models/presets.ts";
import { findRouter, routers } from "../routers/registry.ts";
import { matmulShapes, timeMatmul } from "./matmul.ts";
import { createPeak } from "./peak.ts";
import { createFigures, type Figures, type Spread } from "./rounds.ts";
import { benchDataset, timeStep } from "./step.ts";

const THREADS = [1, 2];

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
    default: { rounds: "5", steps: "20", size: "small" },
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
  for (let round = 0; round < choice.rounds; round++) {
    if (!choice.json) console.log(`Round ${round + 1} of ${choice.rounds} ...`);
    for (const threads of THREADS) {
      for (const loop of peak.loops) {
        figures.add(`peak ${loop}, ${threads} threads`, { flopPerSecond: peak.measure(loop, threads) });
      }
    }
    for (const backend of backends) {
      const on = `${backend.threads} threads`;
      for (const shape of shapes) {
        figures.add(`matmul ${shape.name}, ${on}`, { flopPerSecond: await timeMatmul(backend, shape) });
      }
      for (const name of choice.routers) {
        const subject = { router: findRouter(name), size, sizeName: choice.sizeName, dataset, backend };
        figures.add(`step ${name}, ${on}`, await timeStep({ ...subject, steps: choice.steps }));
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
  const peak = (threads: number) => {
    const loops = ["fused", "plain"].map((loop) => `peak ${loop}, ${threads} threads`);
    return figures.of(loops.find((name) => name in figures.all())!, "flopPerSecond").median;
  };
  const speeds = new Table({ head: ["", "GFLOP/s", "of peak"], style: { head: [], border: [] } });
  const steps = new Table({
    head: [
      "training step",
      "ms",
      "GFLOP/s",
      "of peak",
      "route",
      "dispatch",
      "experts",
      "rest",
      "MiB",
      "peak MiB",
    ],
    style: { head: [], border: [] },
  });
  for (const [subject, found] of Object.entries(figures.all())) {
    const threads = Number(subject.match(/(\d+) threads$/)![1]);
    const speed = [
      shown(found.flopPerSecond, 1e9),
      (found.flopPerSecond.median / peak(threads)).toFixed(2),
    ];
    if (!subject.startsWith("step ")) speeds.push([subject, ...speed]);
    else {
      const percent = (stage: string) => `${(100 * found[`${stage}Share`].median).toFixed(0)}%`;
      steps.push([
        subject.slice("step ".length),
        shown(found.seconds, 1e-3),
        ...speed,
        ...["route", "dispatch", "experts", "rest"].map(percent),
        (found.usedBytes.median / 2 ** 20).toFixed(1),
        (found.peakBytes.most / 2 ** 20).toFixed(1),
      ]);
    }
  }
  console.log(`${speeds}\n${steps}`);
  console.log(
    "Medians over rounds [least, most]. GFLOP/s of a step counts three passes of the active FLOPs.",
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
