// Chooses and unpacks the WebAssembly module that this engine can run: relaxed multiply-add where there is one, plain
// SIMD otherwise; shared memory where the engine grants it.
import { type OpenMemory, openMemory } from "./memory.ts";
import { modules } from "./wasm.ts";

/** What the engine offers and what is used of it. */
export interface ModuleChoice extends OpenMemory {
  readonly module: WebAssembly.Module;
  /** True when multiply and add round once (relaxed SIMD), false when they round twice. */
  readonly fusedMultiplyAdd: boolean;
}

/** Functions every variant exports. */
export interface Exports {
  attach(control: number, thread: number, origin: bigint, leastProduct: number): void;
  run(
    program: number,
    units: number,
    grain: number,
    list: number,
    threads: number,
    scratch: number,
    scratchBytes: number,
    narrow: number,
  ): void;
  work(): void;
  quit(): void;
  heapBase(): number;
}

// (module (func (param v128 v128 v128) (result v128) local.get 0 local.get 1 local.get 2 f32x4.relaxed_madd))
const RELAXED_PROBE = Uint8Array.of(
  ...[0, 97, 115, 109, 1, 0, 0, 0, 1, 8, 1, 96, 3, 123, 123, 123, 1, 123, 3, 2, 1, 0],
  ...[10, 13, 1, 11, 0, 32, 0, 32, 1, 32, 2, 253, 133, 2, 11],
);

/** True when the engine runs relaxed SIMD. */
export function hasRelaxedSimd(): boolean {
  return WebAssembly.validate(RELAXED_PROBE);
}

/** The byte of a module by which it imports memory that is shared and has a maximum (WebAssembly threads, limits). */
export const SHARED_LIMITS = 3;

/** Loads a variant; `shared` and `relaxed` default to what the engine offers. */
export async function loadModule(
  options: { shared?: boolean; relaxed?: boolean } = {},
): Promise<ModuleChoice> {
  const opened = openMemory(options.shared);
  const fusedMultiplyAdd = options.relaxed ?? hasRelaxedSimd();
  const { default: packed, limitsAt } = await modules[fusedMultiplyAdd ? "relaxed" : "plain"]();
  const bytes = await unpack(packed);
  if (opened.shared) bytes[limitsAt] = SHARED_LIMITS;
  return { ...opened, module: await WebAssembly.compile(bytes), fusedMultiplyAdd };
}

/** The bytes behind a base64 text of a gzipped module. */
export async function unpack(text: string): Promise<Uint8Array<ArrayBuffer>> {
  const zipped = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([zipped]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
