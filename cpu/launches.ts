// What a kernel makes of shapes and params, kept for the next call with the same ones: a training step asks for the same
// launches again and again, and working one out takes longer than most small kernels do.
import type { ArrayType, Buffer, CpuLaunch, Kernel } from "../kernels/kernel.ts";
import { blockBytes } from "./heap.ts";

/** How a kernel is started on some shapes. */
export interface Launch {
  readonly outputs: readonly ArrayType[];
  /** Inputs that outputs may be written over, if any may. */
  readonly replaces: readonly number[] | undefined;
  readonly units: number;
  readonly chunkUnits: number;
  readonly leading: readonly number[];
  readonly integers: readonly number[];
  readonly floats: readonly number[];
  /** Length of the list that its program reads. */
  readonly words: number;
  readonly scratchBytes: number;
  /** Scratch of one thread, in whole blocks. */
  readonly eachScratch: number;
}

type Primitive = string | number | boolean | bigint | symbol | null | undefined;

interface Entry {
  readonly inputs: readonly ArrayType[];
  readonly params: Readonly<Record<string, Primitive>> | null;
  readonly count: number;
  readonly launch: Launch;
}

/** Calls of equal kernel and sizes that are kept: where params differ at every call (a stream's key), no more are. */
const MOST_ALIKE = 8;
/** A program whose shapes never come back starts anew here. */
const MOST = 4096;

/** Launches of one backend. A kernel's own functions are called by the backend, as near as can be to who called it. */
export interface Launches {
  /** The launch of an earlier call of the same kernel, types and params, if it was kept. */
  find<P>(kernel: Kernel<P>, inputs: readonly Buffer[], params: P): Launch | undefined;
  /** A launch from what the kernel made of types and params, kept for the next such call. */
  keep<P>(
    kernel: Kernel<P>,
    types: readonly ArrayType[],
    params: P,
    outputs: readonly ArrayType[],
    started: CpuLaunch,
  ): Launch;
}

/** Launches of a backend that has made none. */
export function createLaunches(): Launches {
  const byKernel = new Map<unknown, Map<number, Entry[]>>();
  let kept = 0;
  return {
    find(kernel, inputs, params) {
      const alike = byKernel.get(kernel)?.get(hashOf(inputs));
      if (!alike) return undefined;
      for (const entry of alike) {
        if (sameTypes(entry.inputs, inputs) && sameParams(entry, params)) return entry.launch;
      }
      return undefined;
    },
    keep(kernel, types, params, outputs, started) {
      const launch = launchOf(types, outputs, kernel.replaces?.(types.length), started);
      let byHash = byKernel.get(kernel);
      if (!byHash) byKernel.set(kernel, byHash = new Map());
      const hash = hashOf(types.map((type) => ({ type })));
      const alike = byHash.get(hash);
      const copied = copyOf(params);
      if (copied === undefined || (alike && alike.length >= MOST_ALIKE)) return launch;
      if (kept++ >= MOST) {
        byKernel.clear();
        kept = 0;
        return launch;
      }
      const entry: Entry = { inputs: types, params: copied, count: countOf(copied), launch };
      if (alike) alike.push(entry);
      else byHash.set(hash, [entry]);
      return launch;
    },
  };
}

function launchOf(
  inputs: readonly ArrayType[],
  outputs: readonly ArrayType[],
  replaces: readonly number[] | undefined,
  { units, grain, leading = [], integers = [], floats = [], scratchBytes = 0 }: CpuLaunch,
): Launch {
  return {
    outputs,
    replaces,
    units,
    // At least `grain`, and few enough chunks that taking them costs nothing.
    chunkUnits: Math.max(grain, Math.ceil(units / 64)),
    leading,
    integers,
    floats,
    words: leading.length + inputs.length + outputs.length + integers.length + floats.length,
    scratchBytes,
    eachScratch: blockBytes(scratchBytes),
  };
}

function hashOf(inputs: readonly Buffer[]): number {
  let hash = inputs.length;
  for (const { type: { dtype, shape } } of inputs) {
    hash = (hash * 31 + (dtype === "f32" ? 1 : 2)) | 0;
    for (const dimension of shape) hash = (hash * 31 + dimension) | 0;
  }
  return hash;
}

function sameTypes(types: readonly ArrayType[], inputs: readonly Buffer[]): boolean {
  if (types.length !== inputs.length) return false;
  for (let at = 0; at < types.length; at++) {
    const a = types[at], b = inputs[at].type;
    if (a === b) continue;
    if (a.dtype !== b.dtype || a.shape.length !== b.shape.length) return false;
    for (let axis = 0; axis < a.shape.length; axis++) if (a.shape[axis] !== b.shape[axis]) return false;
  }
  return true;
}

/** Params as they were, or undefined where they hold more than plain values: whoever made them may change those. */
function copyOf(params: unknown): Entry["params"] | undefined {
  if (params === null || params === undefined) return null;
  if (typeof params !== "object") return undefined;
  const prototype = Object.getPrototypeOf(params);
  if (prototype !== Object.prototype && prototype !== null) return undefined;
  for (const value of Object.values(params)) {
    if (typeof value === "function" || (typeof value === "object" && value !== null)) return undefined;
  }
  return { ...params as Record<string, Primitive> };
}

function countOf(params: Entry["params"]): number {
  return params === null ? 0 : Object.keys(params).length;
}

function sameParams({ params, count }: Entry, other: unknown): boolean {
  if (params === null) return other === null || other === undefined;
  if (typeof other !== "object" || other === null) return false;
  let found = 0;
  for (const name in other) {
    // -0 and 0 are two params: a shift of -0 keeps the sign of zeros.
    if (!Object.is((other as Record<string, Primitive>)[name], params[name])) return false;
    found++;
  }
  return found === count;
}
