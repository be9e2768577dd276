// What tests ask of the package inside a page of a browser. Bundled into one script; results are plain data.
import { kernels, wrongCases } from "../bench/kernel_cases.ts";
import { cpu, type CpuOptions } from "../cpu/backend.ts";
import { startThread } from "../cpu/threads.ts";
import { adapterFacts } from "../gpu/adapter.ts";
import { webgpu } from "../gpu/backend.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import { openRunStore } from "../training/run_store.ts";
import { goldenRun } from "./golden.ts";
import { openedByWorker } from "./opened_by_worker.ts";
import { recordOf } from "./small_run.ts";
import { tried } from "./tried_backend.ts";

async function messageOf(work: () => Promise<unknown>): Promise<string> {
  try {
    await work();
    return "nothing was refused";
  } catch (error) {
    return String(error);
  }
}

/** Where threads' program lies, for pages that forbid it from a Blob. */
export interface Opening extends Pick<CpuOptions, "threads" | "shared"> {
  readonly program?: string;
}

async function opened({ program, ...options }: Opening) {
  const startThere = program === undefined ? {} : {
    startThread: (start: Parameters<typeof startThread>[0]) => startThread(start, program),
  };
  const { product, ...said } = await tried({ ...options, ...startThere });
  return { ...said, product: [...product] };
}

const page = {
  adapter: adapterFacts,
  opened,
  refusedToOpen: (options: Opening) => messageOf(() => opened(options)),
  /** Records on the CPU, by router. */
  async records(names: readonly string[], threads: number): Promise<Record<string, string>> {
    using backend = await cpu({ threads });
    const records: Record<string, string> = {};
    for (const name of names) [records[name]] = await recordOf(backend, name, 0);
    return records;
  },
  /** Records of two seeds on two WebGPU backends: one after the other, then both at once. */
  async atOnce(name: string): Promise<{ readonly alone: string[]; readonly together: string[] }> {
    const backends = [await webgpu(), await webgpu()];
    const run = async (seed: number) => (await recordOf(backends[seed], name, seed))[0];
    const alone = [await run(0), await run(1)];
    const together = await Promise.all([run(0), run(1)]);
    for (const backend of backends) backend.close();
    return { alone, together };
  },
  /** What is wrong with some kernels on WebGPU, a sentence each, and how many cases they have. */
  async kernels(names: readonly string[]): Promise<{ readonly wrong: string[]; readonly cases: number }> {
    const backend = await webgpu();
    const wrong: string[] = [];
    const wanted = kernels.flatMap(([, kernel]) => names.includes(kernel.name) ? [kernel] : []);
    for (const kernel of wanted) wrong.push(...await wrongCases(backend, kernel));
    backend.close();
    return { wrong, cases: wanted.reduce((sum, kernel) => sum + kernel.cases.length, 0) };
  },
  /** Ten losses of some routers. */
  async goldenLosses(names: readonly string[], device: "cpu" | "webgpu"): Promise<Record<string, number[]>> {
    const { lossesOf } = await goldenRun();
    const backend = device === "cpu" ? await cpu({ threads: 1 }) : await webgpu();
    const losses: Record<string, number[]> = {};
    for (const name of names) losses[name] = await lossesOf(name, backend);
    backend.close();
    return losses;
  },
  async openedByWorker(times: number) {
    const all = await openedByWorker("/worker.js", times);
    return all && all.map(({ threads, notes }) => ({ threads, notes }));
  },
  /** What opening WebGPU is refused with where the browser has no adapter for the page. */
  withoutAdapter(): Promise<string> {
    GPU.prototype.requestAdapter = () => Promise.resolve(null);
    return messageOf(webgpu);
  },
  /** What a text on disk and a store of runs are refused with. */
  async withoutFiles(): Promise<string[]> {
    const language = findTask("language");
    const text = () => language.load(parseTaskOptions(language, { corpus: "texts/mine.txt" }));
    return [await messageOf(text), await messageOf(() => openRunStore("runs", "switch-seed0").saved())];
  },
};

/** What a page offers. */
export type Page = typeof page;

/** What a page sends back. */
export type Answer = { readonly value: unknown } | { readonly error: string };

async function answer(): Promise<Answer> {
  try {
    const [name, given] = JSON.parse(decodeURIComponent(location.search.slice(1)));
    return { value: await (page as Record<string, (...given: unknown[]) => unknown>)[name](...given) };
  } catch (error) {
    return { error: String(error) };
  }
}

await fetch("/answer", { method: "POST", body: JSON.stringify(await answer()) });
