// How a library's product is called, as plain data that worker threads are sent, and the call that follows from it.

/** A product for one thread at a time in one library. */
export interface Binding {
  /** A path, or a name for the system's loader. */
  readonly library: string;
  /** Name of the function that multiplies. */
  readonly sgemm: string;
  /** Its arguments: those of CBLAS, of oneDNN (letters for transpositions, and no order), or a graph of onnxruntime's. */
  readonly style: "cblas" | "dnnl" | "onnxruntime";
  /** Its whole numbers. */
  readonly integers: "i32" | "i64";
  /** The function that sets how many threads of its own it uses, and that function's whole number; null where graphs do. */
  readonly setThreads: { readonly name: string; readonly integer: "i32" | "i64" } | null;
  /** From so many multiply-adds on a call pays. */
  readonly leastProduct: number;
}

/** A product on arrays at addresses of the process; `alpha` is 1, and `beta` 1 to add to what C holds, else 0. */
export type Sgemm = (
  order: number,
  transposeA: number,
  transposeB: number,
  M: number,
  N: number,
  K: number,
  alpha: number,
  a: bigint,
  lda: number,
  b: bigint,
  ldb: number,
  beta: number,
  c: bigint,
  ldc: number,
) => void;

/**
 * A library's product for the calling thread. Work is cut over the backend's threads, each of which calls it: threads of its
 * own would be in the way, so from here on there is one, unless more are asked for.
 */
export function openSgemm({ library, sgemm, style, integers: n, setThreads }: Binding, threads = 1): Sgemm {
  // Worker threads run this function's text: it names nothing from outside.
  const cblas = style === "cblas";
  const { symbols } = Deno.dlopen(library, {
    sgemm: {
      name: sgemm,
      parameters: [
        ...(cblas ? ["i32", "i32", "i32"] as const : ["u8", "u8"] as const),
        ...[n, n, n, "f32", "usize", n, "usize", n, "f32", "usize", n] as const,
      ],
      result: cblas ? "void" : "i32",
    },
    setThreads: { name: setThreads!.name, parameters: [setThreads!.integer], result: "void" },
  });
  (symbols.setThreads as (threads: number) => void)(threads);
  // CBLAS's own function: WebAssembly calls it without a step in between.
  if (cblas) return symbols.sgemm as unknown as Sgemm;
  const call = symbols.sgemm as unknown as (...values: readonly (number | bigint)[]) => unknown;
  const letter = (transposition: number) => (transposition === 112 ? "T" : "N").charCodeAt(0);
  return (_order, transposeA, transposeB, ...rest) =>
    void call(letter(transposeA), letter(transposeB), ...rest);
}

/** Where a memory that never moves begins in the process. */
export function originOf(memory: WebAssembly.Memory): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(memory.buffer))));
}
