// The system's BLAS through Deno's FFI: finds a library, says what it is, opens it on every thread. The one file of cpu/
// that names Deno; where there is none, or no permission, it says so, and it never makes Deno ask.

/** What this file knows of libraries. Addresses travel as whole numbers of 64 bits. */
const SYMBOLS = {
  cblas_sgemm: {
    parameters: [
      ...["i32", "i32", "i32", "i32", "i32", "i32", "f32"] as const, // order, transpositions, M, N, K, alpha
      ...["usize", "i32", "usize", "i32", "f32", "usize", "i32"] as const, // A, lda, B, ldb, beta, C, ldc
    ],
    result: "void",
  },
  openblas_set_num_threads: { parameters: ["i32"], result: "void", optional: true },
  openblas_get_config: { parameters: [], result: "pointer", optional: true },
  openblas_get_corename: { parameters: [], result: "pointer", optional: true },
  MKL_Set_Num_Threads: { parameters: ["i32"], result: "void", optional: true },
  MKL_Get_Version_String: { parameters: ["buffer", "i32"], result: "void", optional: true },
  bli_thread_set_num_threads: { parameters: ["i64"], result: "void", optional: true },
  bli_info_get_version_str: { parameters: [], result: "pointer", optional: true },
  BLASSetThreading: { parameters: ["i32"], result: "i32", optional: true },
} as const satisfies Deno.ForeignLibraryInterface;

/** What a library offers of them. */
export type Symbols = Deno.DynamicLibrary<typeof SYMBOLS>["symbols"];

/**
 * What `auto` tries, in this order; the system's loader looks names up. BLIS is not among them: on tiles of this size it
 * was slower than WebAssembly.
 */
const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  linux: ["libopenblasp.so.0", "libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2"],
  darwin: [
    "/System/Library/Frameworks/Accelerate.framework/Accelerate",
    "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
    "/usr/local/opt/openblas/lib/libopenblas.dylib",
  ],
  windows: ["libopenblas.dll", "openblas.dll", "mkl_rt.2.dll"],
};

/** Functions that set how many threads a library uses; all take 1 for one. */
export type BlasSetter =
  | "openblas_set_num_threads"
  | "MKL_Set_Num_Threads"
  | "bli_thread_set_num_threads"
  | "BLASSetThreading";

/** A library that can be used. */
export interface Blas {
  /** Name, version and, where it tells, the processor it chose its loops for: what decides the bits of its results. */
  readonly name: string;
  /** A path, or a name for the system's loader. */
  readonly library: string;
  /** Its function that sets how many threads of its own it uses. */
  readonly setter: BlasSetter;
}

/** What a worker thread needs to take part. */
export interface BlasStart extends Pick<Blas, "library" | "setter"> {
  /** Where the backend's memory begins in the process. */
  readonly origin: bigint;
  /** Products of fewer multiply-adds stay in WebAssembly. */
  readonly leastProduct: number;
}

/** There is no library to use. */
export interface NoBlas {
  /** In a few words. */
  readonly why: string;
  /** True when a library is there, but none that will do. */
  readonly opened: boolean;
}

/**
 * Finds a BLAS: OpenBLAS, MKL, BLIS or Accelerate, in a build that several threads may call at once. Where Deno, or its
 * permission, is missing, that is the answer; nothing prompts and nothing throws.
 * @param options.library A path, or `auto` (default) for the usual names of this system.
 * @param options.threads Threads that will call it; with 1 a build for one thread at a time will do. Default: 2.
 * @example
 * ```ts
 * import { findBlas } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const found = findBlas({ library: "/nowhere/libopenblas.so" });
 * assertEquals("why" in found, true);
 * const here = findBlas();
 * console.log("why" in here ? `no BLAS: ${here.why}` : `${here.name} in ${here.library}`);
 * ```
 */
export function findBlas(
  options: { readonly library?: string; readonly threads?: number } = {},
): Blas | NoBlas {
  const { library = "auto", threads = 2 } = options;
  if (!("Deno" in globalThis) || typeof Deno.dlopen !== "function") {
    return { why: "only Deno can open a library", opened: false };
  }
  if (library !== "auto") return open(library, threads);
  const names = LIBRARIES[Deno.build.os] ?? [];
  const permitted = names.filter(isPermitted);
  if (names.length > 0 && permitted.length === 0) return NOT_PERMITTED;
  const refused: string[] = [];
  for (const name of permitted) {
    const answer = open(name, threads);
    if (!("why" in answer)) return answer;
    if (answer.opened) refused.push(`${name}: ${answer.why}`);
  }
  return refused.length > 0
    ? { why: refused.join("; "), opened: true }
    : { why: `none of ${names.join(", ")} can be opened`, opened: false };
}

const NOT_PERMITTED: NoBlas = { why: "FFI is not permitted (--allow-ffi)", opened: false };

function isPermitted(library: string): boolean {
  return Deno.permissions.querySync({ name: "ffi", path: library }).state === "granted";
}

function open(library: string, threads: number): Blas | NoBlas {
  // An empty path opens the program itself.
  if (library === "") return { why: "the path is empty", opened: false };
  if (!isPermitted(library)) return NOT_PERMITTED;
  let symbols: Symbols;
  try {
    ({ symbols } = Deno.dlopen(library, SYMBOLS));
  } catch (error) {
    const why = (error as Error).message.replaceAll("Could not open library: ", "");
    return { why, opened: why.startsWith("Failed to register symbol") };
  }
  const found = identify(symbols, threads);
  if ("why" in found) return { ...found, opened: true };
  return { ...found, library };
}

/** Which library it is, by its own account, or why it will not do for so many threads. */
export function identify(
  symbols: Partial<Symbols>,
  threads: number,
): Pick<Blas, "name" | "setter"> | Pick<NoBlas, "why"> {
  if (symbols.openblas_set_num_threads) {
    const config = textAt(symbols.openblas_get_config?.() ?? null);
    if (config.includes("USE64BITINT")) return { why: "its whole numbers have 64 bits, 32 are needed" };
    if (threads > 1 && config.includes("SINGLE_THREADED")) {
      return { why: "it is a build for one thread at a time: choose one with threads, or threads: 1" };
    }
    const version = config.match(/^OpenBLAS \S+/)?.[0] ?? "OpenBLAS";
    const name = `${version} ${textAt(symbols.openblas_get_corename?.() ?? null)}`.trim();
    return { name, setter: "openblas_set_num_threads" };
  }
  if (symbols.MKL_Set_Num_Threads) {
    const bytes = new Uint8Array(256);
    symbols.MKL_Get_Version_String?.(bytes, bytes.length);
    const text = new TextDecoder().decode(bytes).replace(/\0.*$/s, "").trim();
    return { name: text || "MKL", setter: "MKL_Set_Num_Threads" };
  }
  if (symbols.bli_thread_set_num_threads) {
    const version = textAt(symbols.bli_info_get_version_str?.() ?? null);
    return { name: `BLIS ${version}`.trim(), setter: "bli_thread_set_num_threads" };
  }
  if (symbols.BLASSetThreading) return { name: "Accelerate", setter: "BLASSetThreading" };
  return { why: "it is none of OpenBLAS, MKL, BLIS and Accelerate (of macOS 15 or newer)" };
}

function textAt(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

/** Where a memory that never moves begins in the process. */
export function originOf(memory: WebAssembly.Memory): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(memory.buffer))));
}

/**
 * The library's `cblas_sgemm` for the calling thread; addresses are those of the process. Work is cut over the backend's
 * threads, each of which calls it: threads of its own would be in the way, so there is one from here on.
 */
export function openSgemm({ library, setter }: Pick<Blas, "library" | "setter">): WebAssembly.ImportValue {
  const { symbols } = Deno.dlopen(library, SYMBOLS);
  (symbols[setter] as (threads: number) => unknown)(1);
  return symbols.cblas_sgemm as unknown as WebAssembly.ImportValue;
}

/** The same as a text, which is what worker threads start from. */
export const OPEN_SGEMM = `({ library, setter }) => {
  const { symbols } = Deno.dlopen(library, ${JSON.stringify(SYMBOLS)});
  symbols[setter](1);
  return symbols.cblas_sgemm;
}`;
