// `deno task bench:history`: a few ratios by commit. An absolute time says more about the machine than about the code;
// both sides of a ratio are the best of several windows, and a busy machine is seen by its rounds' range.
import { findRouter } from "../routers/registry.ts";
import { openCpu } from "./devices.ts";
import {
  addEntry,
  changesSince,
  checkRounds,
  checkSpread,
  type Entry,
  parseHistory,
  readHistory,
} from "./history_entries.ts";
import { checkLayer, createLayerSubject, referenceLayer } from "./layer.ts";
import { machineClass } from "./machine.ts";
import { type CommandLine, runTask, wholeNumberOf } from "../cli/options.ts";
import { roundsOption } from "./options.ts";
import { createPeak } from "./roofs/peak.ts";
import { groupedSubject, largeSquare, plainLoop, productSubject } from "./products.ts";
import { bestPerCall, type Timed } from "./repeat.ts";
import { spread } from "./rounds.ts";
import { benchData, bestStep, trainSteps } from "./step.ts";
import { verified } from "./verify.ts";

const FILE = "bench/history.jsonl";
/** Windows of a figure; the best one counts. */
const WINDOWS = 5;
const WINDOW_SECONDS = 0.05;
const STEPS = 10;

/** Each ratio once a round, all in turn; what is kept is the median with its range. */
async function measure(rounds: number): Promise<Entry["ratios"]> {
  const threads = Math.min(64, navigator.hardwareConcurrency);
  const data = await benchData("small");
  using stack = new DisposableStack();
  const device = stack.use(await openCpu(threads));
  const one = threads === 1 ? device : stack.use(await openCpu(1));
  const peak = stack.use(await createPeak(threads));
  const { T, D, F, K } = referenceLayer;
  const rows = { name: "all rows, one matrix", M: T * K, N: F, K: D, params: largeSquare.params };
  const small = { name: "small square", M: 256, N: 256, K: 256, params: largeSquare.params };
  const product = stack.use(productSubject(device.backend, largeSquare));
  const dense = stack.use(productSubject(device.backend, rows));
  const grouped = stack.use(
    groupedSubject(device.backend, { T, E: 64, K, skew: 0, emptyExpert: true }, { K: D, M: F }),
  );
  const single = stack.use(productSubject(one.backend, small));
  for (const subject of [product, dense, grouped, single]) await subject.check();
  await checkLayer(device.backend, referenceLayer, { skew: 0.5 });
  const layer = stack.use(createLayerSubject(device.backend, referenceLayer, { skew: 0.5 }));
  const step = { router: findRouter("switch"), sizeName: "small", data, threads };
  await verified(device.backend, async (watching) => void await trainSteps(watching, step, 1));
  const best = ({ run }: { readonly run: Timed }, on = device) =>
    bestPerCall(on.backend, run, WINDOWS, WINDOW_SECONDS);
  const found: Record<string, number[]> = {};
  const note = (name: string, value: number) => (found[name] ??= []).push(value);
  for (let round = 0; round < rounds; round++) {
    const roof = peak.measure(peak.loops[0], threads);
    note("product / multiply-add peak", product.flop / await best(product) / roof);
    note("MoE block / multiply-add peak", layer.flop / await best(layer) / roof);
    const { flopPerSecond, routingShare } = await bestStep(device.backend, step, STEPS);
    note("step / multiply-add peak", flopPerSecond / roof);
    note("routing / MoE blocks of a step", routingShare);
    note("grouped / plain product, 64 experts", await best(grouped) / await best(dense));
    note("TypeScript loop / WebAssembly, 1 thread", plainLoop(small, WINDOWS) / await best(single, one));
  }
  return Object.fromEntries(Object.entries(found).map(([name, values]) => [name, spread(values)]));
}

/** HEAD, with a plus sign when the checkout differs from it. */
async function commit(): Promise<string> {
  const git = async (...args: string[]) => {
    const { success, stdout, stderr } = await new Deno.Command("git", { args }).output();
    const text = new TextDecoder().decode(success ? stdout : stderr).trim();
    if (!success) throw new RangeError(`Cannot tell the commit: git says ${text.split("\n")[0]}`);
    return text;
  };
  const changed = await git("status", "--porcelain", "--untracked-files=no");
  return await git("rev-parse", "--short=12", "HEAD") + (changed === "" ? "" : "+");
}

/** Its command line. */
export const line: CommandLine = {
  task: "bench:history",
  about: `Measures a few ratios, prints how they changed, and adds them to ${FILE}.`,
  options: {
    rounds: { ...roundsOption, default: "5" },
    compare: { about: "only print the change; nothing is written" },
  },
};

if (import.meta.main) {
  await runTask(line, async (words) => {
    const rounds = wholeNumberOf(words, "rounds", 1) ?? 5;
    const { compare } = words.flags;
    if (!compare) checkRounds(rounds);
    const text = await readHistory(FILE);
    const entries = parseHistory(text, FILE);
    const about = { machine: machineClass(), deno: Deno.version.deno, rounds };
    const measured = { ...about, ratios: await measure(rounds) };
    for (const line of changesSince(entries, measured)) console.log(line);
    if (compare) return;
    checkSpread(measured.ratios);
    const date = new Date().toISOString().slice(0, 10);
    await addEntry(FILE, text, { commit: await commit(), date, ...measured });
    console.log(`Added to ${FILE}.`);
  });
}
