// `deno task bench:history`: a few ratios that hardly depend on how busy or how new a machine is, kept by commit. Ratios
// only: an absolute time says more about the machine than about the code.
import { findSize } from "../models/presets.ts";
import { findRouter } from "../routers/registry.ts";
import { openCpu } from "./devices.ts";
import { changesSince, type Entry, entrySchema, parseHistory } from "./history_entries.ts";
import { createLayerSubject, referenceLayer } from "./layer.ts";
import { machineClass } from "./machine.ts";
import { command, readWords, wholeNumber } from "./options.ts";
import { createPeak } from "./peak.ts";
import { plainLoop, productShapes, productSubject } from "./products.ts";
import { groupedOverDense } from "./flatness.ts";
import { secondsPerCall } from "./repeat.ts";
import { spread } from "./rounds.ts";
import { benchDataset, timeStep } from "./step.ts";

const FILE = "bench/history.jsonl";
const WINDOW_SECONDS = 0.1;

/** Each ratio once a round, all in turn; what is kept is the median with its range. */
async function measure(rounds: number): Promise<Entry["ratios"]> {
  const threads = Math.min(64, navigator.hardwareConcurrency);
  const size = findSize("small");
  const dataset = await benchDataset(size);
  using stack = new DisposableStack();
  const device = stack.use(await openCpu(threads));
  const one = threads === 1 ? device : stack.use(await openCpu(1));
  const peak = stack.use(await createPeak(threads));
  const loop = peak.loops[0];
  const shapes = productShapes({ T: 1, D: 1, F: 1, V: 1 });
  const square = shapes.find(({ name }) => name === "large square")!;
  const product = stack.use(productSubject(device.backend, square));
  const small = { name: "small square", M: 256, N: 256, K: 256, params: square.params };
  const single = stack.use(productSubject(one.backend, small));
  for (const subject of [product, single]) await subject.check();
  const layer = stack.use(createLayerSubject(device.backend, referenceLayer, { skew: 0.5 }));
  const step = { router: findRouter("switch"), size, sizeName: "small", dataset, threads };
  await timeStep(device.backend, step, 2);
  const found: Record<string, number[]> = {};
  const note = (name: string, value: number) => (found[name] ??= []).push(value);
  for (let round = 0; round < rounds; round++) {
    const roof = peak.measure(loop, threads);
    const seconds = (subject: typeof product, on = device) =>
      secondsPerCall(on.backend, subject.run, WINDOW_SECONDS);
    note("product / multiply-add peak", product.flop / await seconds(product) / roof);
    note(
      "MoE block / multiply-add peak",
      layer.flop / await secondsPerCall(device.backend, layer.run, WINDOW_SECONDS) / roof,
    );
    const { flopPerSecond, routingShare } = await timeStep(device.backend, step, 10);
    note("step / multiply-add peak", flopPerSecond / roof);
    note("routing / MoE blocks of a step", routingShare);
    const [grouped] = await groupedOverDense(device, { ...referenceLayer, E: 64 }, [64], 1);
    note("grouped / plain product, 64 experts", grouped.ratio.median);
    note("TypeScript loop / WebAssembly, 1 thread", plainLoop(small) / await seconds(single, one));
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

if (import.meta.main) {
  await command(async () => {
    const given = readWords(Deno.args, { values: { rounds: "3" }, flags: ["compare"] });
    const rounds = wholeNumber("rounds", given.value("rounds"));
    const text = await Deno.readTextFile(FILE);
    const entries = parseHistory(text, FILE);
    const measured = { machine: machineClass(), ratios: await measure(rounds) };
    for (const line of changesSince(entries, measured)) console.log(line);
    if (given.flag("compare")) return;
    const entry = { commit: await commit(), date: new Date().toISOString().slice(0, 10), ...measured };
    await Deno.writeTextFile(FILE, JSON.stringify(entrySchema.parse(entry)) + "\n", { append: true });
    console.log(`Added to ${FILE}.`);
  });
}
