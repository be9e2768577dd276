// How a library's product is called, as plain data that worker threads are sent, and the call that follows from it.

/** A product for one thread at a time in one library. */
export interface Binding {
  /** A path, or a name for the system's loader. */
  readonly library: string;
  /** Name of the function that multiplies. */
  readonly sgemm: string;
  /** Its arguments: those of CBLAS, or of oneDNN (letters for transpositions, and no order). */
  readonly style: "cblas" | "dnnl";
  /** Its whole numbers. */
  readonly integers: "i32" | "i64";
  /** The function that sets how many threads of its own it uses, and that function's whole number. */
  readonly setThreads: { readonly name: string; readonly integer: "i32" | "i64" };
}

/**
 * The library's product, with CBLAS's arguments (order, transpositions, M, N, K, alpha, A, lda, B, ldb, beta, C, ldc), for
 * the calling thread; addresses are those of the process. Work is cut over the backend's threads, each of which calls it:
 * threads of its own would be in the way, so from here on there is one, unless more are asked for.
 */
export function openSgemm(binding: Binding, threads = 1): WebAssembly.ImportValue {
  // Worker threads run this function's text: it names nothing from outside.
  const { library, sgemm, style, integers: n, setThreads } = binding;
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
    setThreads: { name: setThreads.name, parameters: [setThreads.integer], result: "void" },
  });
  (symbols.setThreads as (threads: number) => void)(threads);
  const call = symbols.sgemm as unknown as (...values: (number | bigint)[]) => unknown;
  if (cblas) return call;
  const letter = (transposition: number | bigint) => (transposition === 112 ? "T" : "N").charCodeAt(0);
  return (_order: number, a: number, b: number, ...rest: (number | bigint)[]) => {
    call(letter(a), letter(b), ...rest);
  };
}

/** Where a memory that never moves begins in the process. */
export function originOf(memory: WebAssembly.Memory): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(new Uint8Array(memory.buffer))));
}
