// What every kernel costs in a training step and what published GPUs should make of it, on paper: the tables of
// docs/webgpu.md, written by `deno task index`.
import type { ArrayType, GpuFacts } from "../kernels/kernel.ts";
import { bytesOf } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { sizes, vocabularies } from "../models/sizes.ts";
import { routers } from "../routers/registry.ts";
import { configOf, type Settings } from "../training/config.ts";
import { dryStep, type KernelCall } from "./dry_step.ts";
import { type Gpu, gpus } from "./gpus.ts";

/** Where GPUs live: hardware programs, and the grids every adapter takes. */
const hardware: GpuFacts = { software: false, workgroupsPerDimension: 65535 };

/** A model worth a GPU; two blocks hold every shape there is. */
const large: Settings = {
  ...sizes.base,
  "model.width": 1024,
  "model.heads": 16,
  "model.layers": 2,
  "model.feedForwardWidth": 4096,
  "model.experts": 16,
  "model.expertWidth": 4096,
  "train.length": 1024,
  "train.batch": 8,
};
const LARGE_VOCABULARY = 32768;

/** One pass of a call: what it asks memory for when nothing is found in a cache, and its workgroups. */
interface PassCost {
  readonly asked: number;
  readonly workgroups: number;
}

interface CallCost {
  readonly flop: number;
  readonly bytes: number;
  readonly passes: readonly PassCost[];
}

/** Sums over the calls of one kernel in a step. */
interface Row {
  readonly kernel: string;
  /** Whose step it is in. */
  readonly where: string;
  readonly calls: number;
  readonly dispatches: number;
  readonly flop: number;
  readonly bytes: number;
  /** Seconds by GPU: of the roofline, and of the program as it is written. */
  readonly seconds: readonly { readonly roof: number; readonly program: number }[];
}

const isProduct = (name: string) => /matmul|^grouped_/.test(name);

function costOf({ kernel, types, params }: KernelCall): CallCost {
  const { flop, bytes } = kernel.cost(types, params);
  if (!kernel.gpu) return { flop, bytes, passes: [] };
  const outputs = kernel.outputs(types, params);
  const launch = kernel.gpu(types, params, hardware);
  const arrays: ArrayType[] = [...types, ...outputs, ...launch.scratch ?? []];
  for (const { values } of launch.tables ?? []) arrays.push({ dtype: "f32", shape: [values().length] });
  const passes = launch.passes.flatMap(({ reads, writes, workgroups: [x, y, z] }): PassCost[] => {
    const workgroups = x * y * z;
    if (workgroups === 0) return [];
    const inputs = reads ?? types.map((_, at) => at);
    const written = writes ?? outputs.map((_, at) => types.length + at);
    const bound = [...new Set([...inputs, ...written])].map((at) => arrays[at]);
    return [{ asked: bytesOf(...bound), workgroups }];
  });
  if (!isProduct(kernel.name) || passes.length !== 1) return { flop, bytes, passes };
  // Each tile reads its rows and columns for itself: with sides of s it does s / 4 operations for a byte.
  const [{ workgroups, asked }] = passes;
  const side = Math.max(1, Math.sqrt(bytesOf(...outputs) / 4 / workgroups));
  return { flop, bytes, passes: [{ asked: Math.max(asked, 4 * flop / side), workgroups }] };
}

/** Seconds of one call. A pass does its share of the operations by what it asks for, and may leave units idle. */
function secondsOn({ flopPerSecond, bytesPerSecond, units }: Gpu, { flop, bytes, passes }: CallCost) {
  const roof = Math.max(flop / flopPerSecond, bytes / bytesPerSecond);
  const asked = passes.reduce((sum, pass) => sum + pass.asked, 0);
  const program = passes.reduce((sum, pass) => {
    const share = asked === 0 ? 1 / passes.length : pass.asked / asked;
    const full = Math.max(share * flop / flopPerSecond, pass.asked / bytesPerSecond);
    return sum + full * Math.ceil(pass.workgroups / units) * units / pass.workgroups;
  }, 0);
  return { roof, program };
}

function rowOf(kernel: string, where: string, calls: readonly KernelCall[]): Row {
  const costs = calls.map(costOf);
  const sum = (value: (cost: CallCost) => number) => costs.reduce((total, cost) => total + value(cost), 0);
  return {
    kernel,
    where,
    calls: calls.length,
    dispatches: sum(({ passes }) => passes.length),
    flop: sum(({ flop }) => flop),
    bytes: sum(({ bytes }) => bytes),
    seconds: gpus.map((gpu) => ({
      roof: sum((cost) => secondsOn(gpu, cost).roof),
      program: sum((cost) => secondsOn(gpu, cost).program),
    })),
  };
}

/** A row for every kernel: from Switch's step, else from the first router's whose step runs it, else its largest case. */
async function rowsOf(size: Settings, V: number): Promise<Row[]> {
  const found = new Map<string, Row>();
  const names = ["switch", ...routers().map(({ name }) => name)];
  for (const name of new Set(names)) {
    const calls = await dryStep(configOf(size, { "model.equalCost": true, "router.name": name }), V);
    for (const [kernel, its] of Map.groupBy(calls, (call) => call.kernel.name)) {
      if (!found.has(kernel)) found.set(kernel, rowOf(kernel, name, its));
    }
  }
  return Object.values(kernels).map((kernel) => {
    const cases: KernelCall[] = kernel.cases.map(({ inputs, params }) => ({
      kernel,
      types: inputs.map(({ type }) => type),
      params,
    }));
    const bytes = (call: KernelCall) => bytesOf(...call.types);
    const [largest] = cases.sort((a, b) => bytes(b) - bytes(a));
    return found.get(kernel.name) ?? rowOf(kernel.name, "none: its largest case", [largest]);
  });
}

/** Three digits and a unit of 1000s. */
function short(value: number): string {
  const units = ["", "k", "M", "G", "T"];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  const shown = value / 1000 ** power;
  return `${shown >= 100 || power === 0 ? Math.round(shown) : shown.toPrecision(3)}${
    units[power] && ` ${units[power]}`
  }`;
}

/** Microseconds or milliseconds, two digits. */
function time(seconds: number): string {
  if (seconds < 1e-8) return "< 0.01 us";
  const [value, unit] = seconds < 1e-3 ? [1e6 * seconds, "us"] : [1e3 * seconds, "ms"];
  return `${value < 10 ? value.toPrecision(2) : Math.round(value)} ${unit}`;
}

function tableOf(rows: readonly Row[]): string {
  const head = ["kernel", "in the step of", "calls", "dispatches", "FLOP", "bytes", "FLOP/byte"];
  const names = gpus.map(({ name }) => name);
  const figures = ({ calls, dispatches, flop, bytes, seconds }: Omit<Row, "kernel" | "where">) => [
    calls,
    dispatches || "CPU only",
    short(flop),
    short(bytes),
    (flop / bytes).toFixed(2),
    ...seconds.map(({ roof, program }) =>
      `${time(roof)}, ${program === 0 ? "-" : (roof / program).toFixed(2)}`
    ),
  ];
  const lines = rows.map((row) => [`\`${row.kernel}\``, row.where, ...figures(row)]);
  const all = rows.filter(({ where }) => where === "switch");
  const sum = (value: (row: Row) => number) => all.reduce((total, row) => total + value(row), 0);
  const step = figures({
    calls: sum(({ calls }) => calls),
    dispatches: sum(({ dispatches }) => dispatches),
    flop: sum(({ flop }) => flop),
    bytes: sum(({ bytes }) => bytes),
    seconds: gpus.map((_, at) => ({
      roof: sum(({ seconds }) => seconds[at].roof),
      program: sum(({ seconds }) => seconds[at].program),
    })),
  });
  return [[...head, ...names], [...head, ...names].map(() => "---"), ...lines, ["all", "switch", ...step]]
    .map((cells) => `| ${cells.join(" | ")} |\n`).join("");
}

function gpuTable(): string {
  const lines = gpus.map(({ name, flopPerSecond, bytesPerSecond, units, source }) =>
    `| ${name} | ${flopPerSecond / 1e12} | ${bytesPerSecond / 1e12} | ${units} | ` +
    `${(flopPerSecond / bytesPerSecond).toFixed(1)} | ${source} |\n`
  );
  return `| GPU | f32, TFLOP/s | memory, TB/s | units | FLOP/byte at the ridge | source |\n` +
    `|---|---|---|---|---|---|\n${lines.join("")}`;
}

function about(size: Settings, V: number): string {
  const { model: { width, heads, layers, moeEvery, expertWidth, experts }, train } = configOf(size);
  return `${train.batch} x ${train.length} tokens, width ${width}, ${heads} heads, ${layers} blocks, ` +
    `one block in ${moeEvery} has an MoE layer of ${experts} experts of ${expertWidth} hidden units, ${V} words`;
}

/** The tables, as Markdown. */
export async function rooflinePage(): Promise<string> {
  const section = async (size: Settings, V: number) =>
    `${about(size, V)}.\n\n${tableOf(await rowsOf(size, V))}`;
  return `${gpuTable()}\n### Default model\n\n${await section(sizes.small, vocabularies.small)}\n` +
    `### A large model\n\n${await section(large, LARGE_VOCABULARY)}`;
}
