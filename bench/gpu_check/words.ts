// What a check found in sentences and tables: the same in the terminal and on the page.
import { compact, fixed, missing, percent } from "../../report/numbers.ts";
import { bytesText } from "../roofs/roof.ts";
import type { TextTable } from "../tables.ts";
import type { Compared, GpuCheck, KernelFound, Speed } from "./schema.ts";

/** `1.23 GFLOP/s`; a dash where there is nothing to count. */
function rate(amount: number, seconds: number, unit: "FLOP/s" | "B/s"): string {
  if (amount === 0) return missing;
  const text = compact(amount / seconds);
  return /\d$/.test(text) ? `${text} ${unit}` : `${text}${unit}`;
}

function milliseconds(seconds: number): string {
  return fixed(1e3 * seconds, seconds < 1e-3 ? 4 : 2);
}

/** The share of its roofline that a kernel reached; null where it was not timed. */
export function ofRoofline({ timed }: KernelFound): number | null {
  return timed && timed.leastSeconds / timed.seconds;
}

/** A line for each kernel below half its roofline, the worst first; none of an adapter whose times say nothing. */
export function slowLines({ adapter, kernels, roof }: GpuCheck): string[] {
  if (adapter.software) return [];
  return kernels.flatMap((kernel) => {
    const share = ofRoofline(kernel);
    const { timed } = kernel;
    if (share === null || share >= 0.5 || !timed) return [];
    const isShort = timed.leastSeconds < roof.launchSeconds;
    return [{
      share,
      line:
        `${kernel.name} reaches ${percent(share)} of its roofline: ${milliseconds(timed.seconds)} ms for ` +
        `${milliseconds(timed.leastSeconds)} ms, ${timed.at}${
          isShort ? `; a dispatch alone takes ${milliseconds(roof.launchSeconds)} ms` : ""
        }.`,
    }];
  }).sort((a, b) => a.share - b.share).map(({ line }) => line);
}

/** Everything that is wrong: values off their references, and losses further apart than allowed. */
export function wrongLines({ kernels, compared, failed }: GpuCheck): string[] {
  return [
    ...failed.map((what) => `Failed: ${what}${what.endsWith(".") ? "" : "."}`),
    ...kernels.flatMap(({ wrong }) => wrong).map((line) => `Wrong: ${line}.`),
    ...compared.filter((each) => !(each.apart <= each.allowed)).map(({ name, precision, apart, allowed }) =>
      `Apart: ${name}, ${precision} precision: losses differ by ${
        apart.toExponential(1)
      }, more than ${allowed}.`
    ),
  ];
}

/** What the adapter is, and what the check may be taken for. */
export function claims(found: GpuCheck): string[] {
  const { adapter: { name, software }, kernels, compared, leftOut } = found;
  const wrong = wrongLines(found);
  const cases = kernels.reduce((sum, each) => sum + each.cases, 0);
  return [
    software
      ? `${name} is a software adapter: everything was small, and its times say nothing about a GPU.`
      : `${name} is a hardware adapter.`,
    ...kernels.length > 0
      ? [
        `${kernels.length} kernels were compared with their f64 references, on ${cases} cases and ` +
        `${kernels.filter(({ checkedAt }) => checkedAt !== null).length} calls of training steps: ` +
        `${kernels.filter(({ wrong }) => wrong.length > 0).length} were wrong.`,
      ]
      : [],
    ...compared.length > 0
      ? [`${compared.length} comparisons with the CPU's losses: at most ${largest(compared)} apart.`]
      : [],
    ...wrong,
    ...leftOut.map((what) => `Not done: ${what}${what.endsWith(".") ? "" : "."}`),
  ];
}

function largest(compared: readonly Compared[]): string {
  return (["full", "half"] as const).flatMap((precision) => {
    const all = compared.filter((each) => each.precision === precision).map(({ apart }) => apart);
    return all.length === 0 ? [] : [`${Math.max(...all).toExponential(1)} in ${precision} precision`];
  }).join(" and ");
}

function speedRows(speeds: readonly Speed[], who: string): string[][] {
  return speeds.map(({ name, flop, seconds, ofPeak }) => [
    `${who}${name}`,
    milliseconds(seconds),
    rate(flop, seconds, "FLOP/s"),
    percent(ofPeak),
  ]);
}

function roofTable({ adapter, roof }: GpuCheck): TextTable[] {
  return [{
    title: "Limits measured here",
    caption: adapter.software ? "One reading" : "The best of two readings",
    about:
      "Multiply-adds in registers alone; bytes of adding two arrays, by the three arrays' size together.",
    columns: ["Limit", "Measured"],
    rows: [
      ["Multiply-adds", rate(roof.flopPerSecond, 1, "FLOP/s")],
      ...roof.bandwidths.map(({ bytes, bytesPerSecond }) => [
        `Adding arrays, ${bytesText(bytes)} in all`,
        rate(bytesPerSecond, 1, "B/s"),
      ]),
      ["A dispatch with next to nothing to do", `${milliseconds(roof.launchSeconds)} ms`],
    ],
  }];
}

function lossTable({ compared }: GpuCheck): TextTable[] {
  if (compared.length === 0) return [];
  return [{
    title: "Losses beside the CPU's",
    caption: "The last loss on each, and the largest difference over all of them",
    about: "Half precision stores what experts multiply in 16 bits, on the GPU alone.",
    columns: ["What", "Precision", "CPU", "GPU", "Apart", "CPU ms", "GPU ms"],
    rows: compared.map(({ name, precision, cpuLosses, gpuLosses, apart, cpuSeconds, gpuSeconds }) => [
      name,
      precision,
      fixed(cpuLosses.at(-1)!, 6),
      fixed(gpuLosses.at(-1)!, 6),
      apart.toExponential(1),
      milliseconds(cpuSeconds),
      milliseconds(gpuSeconds),
    ]),
  }];
}

function speedTable({ products, blocks, pytorch }: GpuCheck): TextTable[] {
  const rows = [
    ...speedRows(products, "Product "),
    ...speedRows(blocks, "MoE block "),
    ...speedRows(pytorch?.blocks ?? [], "MoE block, PyTorch: "),
  ];
  if (rows.length === 0) return [];
  return [{
    title: "Products and MoE blocks",
    caption: "The best of three windows",
    about: "Blocks run forward and backward; the peak is that of multiply-adds measured here." +
      (pytorch ? ` PyTorch: ${pytorch.about}.` : ""),
    columns: ["What", "ms", "Rate", "Of the peak"],
    rows,
  }];
}

function kernelTable({ kernels }: GpuCheck): TextTable[] {
  if (kernels.length === 0) return [];
  return [{
    title: "Kernels",
    caption: "The largest call of training steps, the best of two windows",
    about: "Cases are those of the kernel's contract. A dash: no training step ran it, or no time was left.",
    columns: ["Kernel", "Cases", "Wrong", "Timed on", "ms", "Rate", "Bandwidth", "Of its roofline"],
    rows: kernels.map((kernel) => {
      const { name, cases, wrong, timed } = kernel;
      return [
        name,
        String(cases),
        String(wrong.length),
        timed?.at ?? missing,
        timed ? milliseconds(timed.seconds) : missing,
        timed ? rate(timed.flop, timed.seconds, "FLOP/s") : missing,
        timed ? rate(timed.bytes, timed.seconds, "B/s") : missing,
        timed ? percent(ofRoofline(kernel)!) : missing,
      ];
    }),
  }];
}

/** Limits and features as the adapter says them. */
function adapterTable({ adapter: { limits, features, arithmetic } }: GpuCheck): TextTable {
  return {
    title: "What the adapter offers",
    caption: "Limits",
    about: `Products are computed with ${arithmetic}. Features: ${features.join(", ") || "none"}.`,
    columns: ["Limit", "Value"],
    rows: Object.entries(limits).map(([name, value]) => [name, String(value)]),
  };
}

/** All tables; that of the adapter's limits, which is long, comes last. */
export function tablesOf(found: GpuCheck): TextTable[] {
  return [
    ...lossTable(found),
    ...speedTable(found),
    ...kernelTable(found),
    ...roofTable(found),
    adapterTable(found),
  ];
}
