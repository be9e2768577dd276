// Products on the kernels inside onnxruntime, a library that npm and PyPI bring ready-made. It has no function that
// multiplies: a product is a graph of one node, so operands with gaps between their rows are copied first.
import type { Sgemm } from "./binding.ts";

/** A graph of one Gemm as ONNX writes it, in protocol buffers: y = a b, or y = a b + c. */
export function gemmModel(
  transposeA: boolean,
  transposeB: boolean,
  accumulate: boolean,
): Uint8Array<ArrayBuffer> {
  // Worker threads run this function's text: it names nothing from outside.
  type Field = readonly [number: number, value: number | string | readonly Field[]];
  const varint = (value: number): number[] =>
    value < 128 ? [value] : [value & 127 | 128, ...varint(value >> 7)];
  const bytesOf = (fields: readonly Field[]): number[] =>
    fields.flatMap(([number, value]) => {
      if (typeof value === "number") return [...varint(number << 3), ...varint(value)];
      const inner = typeof value === "string" ? [...new TextEncoder().encode(value)] : bytesOf(value);
      return [...varint(number << 3 | 2), ...varint(inner.length), ...inner];
    });
  const matrix = (name: string): Field[] => {
    const shape = ["rows", "columns"].map((side): Field => [1, [[2, `${side} of ${name}`]]]);
    return [[1, name], [2, [[1, [[1, 1], [2, shape]]]]]];
  };
  const flag = (name: string, value: boolean): Field => [5, [[1, name], [3, Number(value)], [20, 2]]];
  const inputs = accumulate ? ["a", "b", "c"] : ["a", "b"];
  const node: Field[] = [
    ...inputs.map((name): Field => [1, name]),
    ...[[2, "y"], [4, "Gemm"]] as const,
    ...[flag("transA", transposeA), flag("transB", transposeB)],
  ];
  const graph: Field[] = [
    ...[[1, node], [2, "product"]] as const,
    ...inputs.map((name): Field => [11, matrix(name)]),
    [12, matrix("y")],
  ];
  return Uint8Array.from(bytesOf([[1, 8], [7, graph], [8, [[2, 13]]]]));
}

/** A function of onnxruntime's C interface, for whole numbers of 32 bits, and addresses and counts of 64. */
export type Method = (...values: readonly (number | bigint)[]) => void;
/** The function at a place, which every version from 1.17 on keeps. */
export type Api = (place: number, parameters: readonly ("i32" | "usize")[], result?: "void") => Method;

/** Opens the interface; a function that fails throws what the library says. */
export function onnxruntimeApi(library: string): Api {
  // Worker threads run this function's text: it names nothing from outside.
  const { symbols } = Deno.dlopen(library, { OrtGetApiBase: { parameters: [], result: "pointer" } });
  const base = new Deno.UnsafePointerView(symbols.OrtGetApiBase()!);
  const getApi = new Deno.UnsafeFnPointer(base.getPointer(0)!, { parameters: ["u32"], result: "pointer" });
  const api = new Deno.UnsafePointerView(getApi.call(17)!);
  const pointer = { parameters: ["pointer"], result: "pointer" } as const;
  const messageOf = new Deno.UnsafeFnPointer(api.getPointer(8 * 2)!, pointer);
  return (place, parameters, result) => {
    // deno-lint-ignore no-explicit-any -- an address does not know what its function takes
    const address = api.getPointer(8 * place) as any;
    if (result === "void") {
      const method = new Deno.UnsafeFnPointer(address, { parameters, result });
      return (...values) => void method.call(...values);
    }
    const method = new Deno.UnsafeFnPointer(address, { parameters, result: "pointer" });
    return (...values) => {
      const status = method.call(...values);
      if (status === null) return;
      throw new Error(`Cannot multiply: ${Deno.UnsafePointerView.getCString(messageOf.call(status)!)}`);
    };
  };
}

/** A product with CBLAS's arguments for the calling thread, on memory that begins at `origin` in the process. */
export function openOnnxruntime(
  api: Api,
  modelOf: typeof gemmModel,
  memory: WebAssembly.Memory,
  origin: bigint,
): Sgemm {
  // Worker threads run this function's text: it names nothing from outside.
  const createValue = api(49, ["usize", "usize", "usize", "usize", "usize", "i32", "usize"]);
  const run = api(9, ["usize", "usize", "usize", "usize", "usize", "usize", "usize", "usize"]);
  const release = api(96, ["usize"], "void");
  const addressOf = (bytes: ArrayBufferView<ArrayBuffer>) =>
    BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes)));
  // What is handed over by address lies in one buffer, which does not move: 3 values, a shape, 4 names, a handle, letters.
  const words = new BigUint64Array(16);
  const [VALUES, SHAPE, NAMES, HANDLE, LETTERS] = [0, 3, 5, 9, 10].map((word) =>
    8n * BigInt(word) + addressOf(words)
  );
  new Uint8Array(words.buffer).set(new TextEncoder().encode("a\0b\0c\0y\0"), 80);
  words.set([0n, 2n, 4n, 6n].map((letter) => LETTERS + letter), 5);
  const handle = (create: Method, ...values: readonly (number | bigint)[]) => {
    create(...values, HANDLE);
    return words[9];
  };
  const environment = handle(api(3, ["i32", "usize", "usize"]), 3, LETTERS);
  const options = handle(api(10, ["usize"]));
  api(24, ["usize", "i32"])(options, 1); // Threads: this one.
  const onCpu = handle(api(69, ["i32", "i32", "usize"]), 1, 0);
  const createSession = api(8, ["usize", "usize", "usize", "usize", "usize"]);
  const sessions = Array.from({ length: 8 }, (_, kind) => {
    const model = modelOf((kind & 1) > 0, (kind & 2) > 0, (kind & 4) > 0);
    return handle(createSession, environment, addressOf(model), BigInt(model.length), options);
  });
  let heap = new Float32Array(memory.buffer);
  const rooms = [0, 1, 2].map(() => new Float32Array(0));
  /** Copies a matrix with gaps between its rows to one without, or back. */
  const copy = (
    dense: Float32Array,
    address: bigint,
    [rows, columns, stride]: readonly number[],
    back = false,
  ) => {
    if (heap.buffer !== memory.buffer) heap = new Float32Array(memory.buffer);
    let start = Number(address - origin) / 4;
    for (let at = 0; at < rows * columns; at += columns, start += stride) {
      const [there, here] = [heap.subarray(start, start + columns), dense.subarray(at, at + columns)];
      if (back) there.set(here);
      else here.set(there);
    }
  };
  /** Names a matrix to the library: where it lies, or a copy of it where its rows have gaps, which is the answer. */
  const name = (which: number, address: bigint, sides: readonly number[], read = true) => {
    const [rows, columns, stride] = sides;
    const size = rows * columns;
    if (stride !== columns && rooms[which].length < size) rooms[which] = new Float32Array(size);
    const dense = stride === columns ? null : rooms[which];
    if (dense && read) copy(dense, address, sides);
    words.set([BigInt(rows), BigInt(columns)], 3);
    const at = dense ? addressOf(dense) : address;
    createValue(onCpu, at, BigInt(4 * size), SHAPE, 2n, 1, VALUES + 8n * BigInt(which));
    return dense;
  };
  return (_order, transposeA, transposeB, M, N, K, _alpha, a, lda, b, ldb, beta, c, ldc) => {
    const [tA, tB] = [transposeA === 112, transposeB === 112];
    name(0, a, tA ? [K, M, lda] : [M, K, lda]);
    name(1, b, tB ? [N, K, ldb] : [K, N, ldb]);
    const dense = name(2, c, [M, N, ldc], beta === 1);
    const session = sessions[Number(tA) + 2 * Number(tB) + 4 * beta];
    run(session, 0n, NAMES, VALUES, beta === 1 ? 3n : 2n, NAMES + 24n, 1n, VALUES + 16n);
    for (const value of words.subarray(0, 3)) release(value);
    if (dense) copy(dense, c, [M, N, ldc], true);
  };
}
