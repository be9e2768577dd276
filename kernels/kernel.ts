// What a kernel is: its shape rule, its definition in plain loops, how it runs and what it costs.
// This file imports nothing, so that a backend, a simulator or a browser can read kernels without any runtime.

/** Element types: floats and whole numbers of 4 bytes, and floats of 2 bytes, which are stored but never computed in. */
export type DType = "f32" | "i32" | "f16";

/** The type of an array on a backend: element type and shape (row-major, at least one dimension). */
export interface ArrayType {
  /** Type of its elements. */
  readonly dtype: DType;
  /** Its dimensions, the last one contiguous. */
  readonly shape: readonly number[];
}

/** Values on the host; f16 is read as f32. */
export type HostArray = Float32Array | Int32Array;

/** What a reference reads and writes: f64 on the way, so that it is more exact than what it judges. */
export type NumberArray = Float64Array | Float32Array | Int32Array;

/** How a case fills one input. */
export type Fill =
  | { readonly kind: "normal"; readonly scale?: number }
  | { readonly kind: "uniform"; readonly low?: number; readonly high?: number }
  | { readonly kind: "integers"; readonly low: number; readonly below: number }
  | { readonly kind: "values"; readonly values: readonly number[] };

/** One input of a case. */
export interface CaseInput {
  /** Element type and shape. */
  readonly type: ArrayType;
  /** How it is filled. */
  readonly fill: Fill;
}

/** One set of inputs that tests check and benches time. */
export interface Case<P> {
  /** What sets it apart from the other cases, for names of tests. */
  readonly about: string;
  /** One entry an input. */
  readonly inputs: readonly CaseInput[];
  /** What the kernel is called with. */
  readonly params: P;
}

/** How the CPU backend starts a kernel: `units` independent pieces of work, in chunks of at least `grain`. */
export interface CpuLaunch {
  /** Pieces of work that do not depend on each other. */
  readonly units: number;
  /** Least pieces a chunk holds, so that a chunk is worth a thread. */
  readonly grain: number;
  /** Whole numbers the program reads before its addresses, where they say how many addresses there are. */
  readonly leading?: readonly number[];
  /** Whole numbers the program reads after its input and output addresses. */
  readonly integers?: readonly number[];
  /** 32-bit floats the program reads after the whole numbers. */
  readonly floats?: readonly number[];
  /** Memory that a thread needs for itself meanwhile; it arrives with any content. None unless said otherwise. */
  readonly scratchBytes?: number;
}

/** What of a GPU its programs and grids are chosen by. */
export interface GpuFacts {
  /** Most workgroups along one dimension of a grid. */
  readonly workgroupsPerDimension: number;
  /** True for an adapter that computes on the CPU: loads cost it far more than arithmetic, barriers most of all. */
  readonly software: boolean;
}

/** One dispatch. Arrays are numbered: a kernel's inputs first, then its outputs, then scratch arrays, then tables. */
export interface GpuPass {
  /** WGSL, one of the kernel's `wgsl`. */
  readonly program: string;
  /** Its entry point; `main` unless said otherwise. */
  readonly entry?: string;
  /** Arrays bound from binding 1 on for reading; all inputs unless said otherwise. */
  readonly reads?: readonly number[];
  /** Arrays bound after them for reading and writing; all outputs unless said otherwise. */
  readonly writes?: readonly number[];
  /** Values of the program's `override` constants: each set of them is a pipeline of its own. */
  readonly constants?: Readonly<Record<string, number>>;
  /** Whole numbers at the start of the uniforms in binding 0. */
  readonly integers?: readonly number[];
  /** 32-bit floats after them. */
  readonly floats?: readonly number[];
  /** The grid. */
  readonly workgroups: readonly [number, number, number];
}

/** An array that depends on params alone, computed once and kept on the device. */
export interface GpuTable {
  /** Equal keys mean equal values. */
  readonly key: string;
  /** Computes them, when the device does not have the key yet. */
  values(): HostArray;
}

/** How the WebGPU backend starts a kernel. Passes run one after the other; a grid without workgroups is left out. */
export interface GpuLaunch {
  /** Dispatches, in order. */
  readonly passes: readonly GpuPass[];
  /** The same where outputs are written over the inputs that they replace: no pass may bind one of these twice. */
  readonly over?: readonly GpuPass[];
  /** Types of arrays that one pass leaves for the next; they arrive with any content. */
  readonly scratch?: readonly ArrayType[];
  /** Arrays that programs read beside inputs. */
  readonly tables?: readonly GpuTable[];
}

/** What one call costs: floating-point operations and bytes of compulsory traffic. */
export interface Cost {
  /** Floating-point operations. */
  readonly flop: number;
  /** Bytes that have to be read and written at least. */
  readonly bytes: number;
}

/** The whole truth about one operation; every backend's program for it is held to `reference`. */
export interface Kernel<P> {
  /** In snake case, for errors and tables. */
  readonly name: string;
  /** One sentence, shown in docs. */
  readonly about: string;
  /** The shape rule. Throws `RangeError` (shapes, values) or `TypeError` (kinds) with the state found. */
  outputs(inputs: readonly ArrayType[], params: P): ArrayType[];
  /** The definition and the oracle: plain loops, accumulated in f64. Outputs arrive filled with zeros. */
  reference(
    inputs: readonly NumberArray[],
    outputs: readonly NumberArray[],
    types: readonly ArrayType[],
    params: P,
  ): void;
  /**
   * Exported function of the WebAssembly module: `(from, to, arguments) => void` over units. A kernel without `cpu` runs
   * on WebGPU alone; the CPU refuses it by name.
   */
  readonly wasm?: string;
  /** How its WebAssembly program is started; without it the CPU refuses the kernel. */
  cpu?(inputs: readonly ArrayType[], params: P): CpuLaunch;
  /**
   * For each output an input of its type, in whose place it may be written, given the number of inputs. A WebAssembly
   * program then gets one address twice: whatever it reads of that input to make an element, it reads before it writes the
   * element. WebGPU runs the launch's `over`.
   */
  replaces?(inputs: number): readonly number[];
  /**
   * Every WGSL program that `gpu` may name. A kernel without `gpu` runs on the CPU alone; WebGPU refuses it by name, and
   * `tensor/on_host.ts` takes it to the CPU where a caller says so.
   */
  readonly wgsl?: readonly string[];
  /** How its WGSL programs are started; without it WebGPU refuses the kernel. */
  gpu?(inputs: readonly ArrayType[], params: P, facts: GpuFacts): GpuLaunch;
  /** What a call costs at least, whatever runs it. */
  cost(inputs: readonly ArrayType[], params: P): Cost;
  /** Rounding steps a result may have gone through (terms summed, polynomial error in epsilons). */
  rounding(inputs: readonly ArrayType[], params: P): number;
  /** The same for WGSL programs, where they sum in another order or WGSL promises less than correct rounding. */
  gpuRounding?(inputs: readonly ArrayType[], params: P): number;
  /** Inputs that tests hold every program to. */
  readonly cases: readonly Case<P>[];
}

/** A handle to an array on a backend. */
export interface Buffer {
  /** Element type and shape. */
  readonly type: ArrayType;
}

/** Facts about a backend's arithmetic that records carry. */
export interface Arithmetic {
  /** What computes: a processor or an adapter, by name. */
  readonly device: string;
  /** True when multiply and add round once. */
  readonly fusedMultiplyAdd: boolean;
  /** Where a BLAS was asked for: its name and version, or `none` and why. */
  readonly blas?: string;
}

/** Work that a backend has handed to its device so far; the numbers grow. */
export interface QueueCounts {
  /** Programs started. */
  readonly dispatches: number;
  /** Command buffers handed to the device. */
  readonly submits: number;
  /** Waits for values; reads asked for together are one. */
  readonly reads: number;
  /** Seconds from handing over what a wait is for to its values on the host; the rest is the program's own. */
  readonly waitSeconds: number;
}

/** Where arithmetic runs. `run` queues and never waits; `read` is the only wait. */
export interface Backend {
  /** Which backend it is. */
  readonly name: "cpu" | "webgpu";
  /** What decides the last bits of results: on one machine and JavaScript engine, equal arithmetic gives equal bits. */
  readonly arithmetic: Arithmetic;
  /** Element types it stores. */
  readonly dtypes: readonly DType[];
  /** Copies host values in; the caller's array is never changed or kept. */
  upload(values: HostArray, shape: readonly number[]): Buffer;
  /**
   * Queues a kernel's programs; {@linkcode Backend.read} waits for what they make.
   * @param over Gives up what the kernel's outputs may replace: those inputs hold nothing afterwards, whether a backend
   * makes use of it or not. They are freed as usual.
   */
  run<P>(kernel: Kernel<P>, inputs: readonly Buffer[], params: P, over?: boolean): Buffer[];
  /** Waits for an array and copies it to the host. */
  read(buffer: Buffer): Promise<HostArray>;
  /** The same memory under another shape of equal size. Only the original is freed. */
  alias(buffer: Buffer, shape: readonly number[]): Buffer;
  /** Gives the memory of an array back. */
  free(buffer: Buffer): void;
  /** On backends that queue alone. */
  readonly counts?: QueueCounts;
}

/** Product of a shape's dimensions. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dimension of shape) size *= dimension;
  return size;
}

/** What one element takes. */
export function bytesPerElement(dtype: DType): number {
  return dtype === "f16" ? 2 : 4;
}

/** A shape as text: `[2, 3]`. */
export function shapeText(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** Compulsory traffic when every input is read once and every output written once. */
export function bytesOf(...types: readonly ArrayType[]): number {
  let bytes = 0;
  for (const { dtype, shape } of types) bytes += bytesPerElement(dtype) * sizeOf(shape);
  return bytes;
}

export function f32(...shape: number[]): ArrayType {
  return { dtype: "f32", shape };
}

export function i32(...shape: number[]): ArrayType {
  return { dtype: "i32", shape };
}

export function f16(...shape: number[]): ArrayType {
  return { dtype: "f16", shape };
}

/** The letters of a text that is known when types are checked: `"TD"` gives `"T" | "D"`. */
export type Letters<Text extends string> = string extends Text ? string
  : Text extends `${infer First}${infer Rest}` ? First | Letters<Rest>
  : never;

/** The names that a pattern of {@linkcode match} binds. */
type Bound<Pattern extends string> = string extends Pattern ? string
  : Pattern extends `${string} ${infer Names}` ? Names extends `*${infer Rest}` ? "rows" | Letters<Rest>
    : Letters<Names>
  : never;

/**
 * Checks inputs against patterns and binds their dimensions: `match("matmul", inputs, ["f32 MK", "f32 KN"])` gives
 * `{ M, K, N }`. `*` stands for any leading dimensions, bound as their product under the name `rows`; `f32|f16` takes
 * either element type, `any` every one of 4 bytes.
 */
export function match<const Pattern extends string>(
  kernel: string,
  inputs: readonly ArrayType[],
  patterns: readonly Pattern[],
): Record<Bound<Pattern>, number> {
  if (inputs.length !== patterns.length) {
    throw new TypeError(`Cannot run ${kernel}: it takes ${patterns.length} inputs, not ${inputs.length}`);
  }
  const bound: Record<string, number> = {};
  for (let at = 0; at < inputs.length; at++) {
    const { dtype, shape } = inputs[at];
    const pattern = patternOf(patterns[at]);
    const { names, dtypes } = pattern;
    if (!dtypes.includes(dtype)) {
      throw new TypeError(`Cannot run ${kernel}: input ${at} must be ${dtypes.join(" or ")}, not ${dtype}`);
    }
    const lead = shape.length - names.length + 1;
    const dimensions = pattern.leads && lead >= 0
      ? [sizeOf(shape.slice(0, lead)), ...shape.slice(lead)]
      : shape;
    if (dimensions.length !== names.length) {
      throw new RangeError(
        `Cannot run ${kernel}: input ${at} must have shape [${names.join(", ")}], not ${shapeText(shape)}`,
      );
    }
    for (let axis = 0; axis < names.length; axis++) {
      const name = names[axis], found = dimensions[axis];
      if (name in bound && bound[name] !== found) {
        throw new RangeError(
          `Cannot run ${kernel}: ${name} is ${
            bound[name]
          } in an earlier input but ${found} in input ${at} of shape ${shapeText(shape)}`,
        );
      }
      bound[name] = found;
    }
  }
  return bound;
}

/** A pattern of `match` taken apart. */
interface Pattern {
  readonly dtypes: readonly string[];
  readonly names: readonly string[];
  /** Whether the first name stands for any number of leading dimensions. */
  readonly leads: boolean;
}

const known = new Map<string, Pattern>();

/** Patterns are few and are matched twice a kernel, so each is taken apart once. */
function patternOf(text: string): Pattern {
  let pattern = known.get(text);
  if (!pattern) {
    const [dtype, letters] = text.split(" ");
    const leads = letters[0] === "*";
    const dtypes = dtype === "any" ? ["f32", "i32"] : dtype.split("|");
    pattern = { dtypes, names: leads ? ["rows", ...letters.slice(1)] : [...letters], leads };
    known.set(text, pattern);
  }
  return pattern;
}
