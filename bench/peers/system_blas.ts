// The system's BLAS by itself, with threads of its own: the rate that our products on the same library are held against.
import { findBlas } from "../../cpu/blas.ts";
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";

const SGEMM = {
  parameters: [
    ...["i32", "i32", "i32", "i32", "i32", "i32", "f32"] as const, // order, transpositions, M, N, K, alpha
    ...["buffer", "i32", "buffer", "i32", "f32", "buffer", "i32"] as const, // A, lda, B, ldb, beta, C, ldc
  ],
  result: "void",
} as const;
const [ROW_MAJOR, AS_IT_IS] = [101, 111];

type Sgemm = Deno.DynamicLibrary<{ cblas_sgemm: typeof SGEMM }>["symbols"]["cblas_sgemm"];

function open(threads: number): { sgemm: Sgemm; about: string } {
  const found = findBlas({ threads });
  if ("why" in found) throw new Missing(`there is no BLAS: ${found.why}`);
  const { library, setter, name } = found;
  if (setter === "BLASSetThreading" && threads > 1) {
    throw new Missing(`${name} cannot be told to use ${threads} threads`);
  }
  const { symbols } = Deno.dlopen(library, {
    cblas_sgemm: SGEMM,
    [setter]: { parameters: [setter === "bli_thread_set_num_threads" ? "i64" : "i32"], result: "void" },
  });
  const set = symbols[setter] as unknown as (count: number | bigint) => void;
  set(setter === "bli_thread_set_num_threads" ? BigInt(threads) : threads);
  return { sgemm: symbols.cblas_sgemm as Sgemm, about: `${name} with threads of its own` };
}

function prepare(sgemm: Sgemm, task: Task): Prepared {
  const { E, rows, K, N } = task.sizes;
  const product = (a: Float32Array, b: Float32Array, y: Float32Array, rows: number, inner: number) =>
    sgemm(
      ...[ROW_MAJOR, AS_IT_IS, AS_IT_IS, rows, N, inner, 1] as const,
      ...[a as BufferSource, inner, b as BufferSource, N, 0, y as BufferSource, N] as const,
    );
  let call: () => Float32Array;
  switch (task.name.replace(/-\d+$/, "")) {
    case "matmul": {
      const [a, b, y] = [task.floats("a"), task.floats("b"), new Float32Array(N * N)];
      call = () => {
        product(a, b, y, N, N);
        return y;
      };
      break;
    }
    case "grouped": {
      const [x, w, y] = [task.floats("x"), task.floats("w"), new Float32Array(E * rows * N)];
      const part = (values: Float32Array, e: number) => {
        const length = values.length / E;
        return values.subarray(e * length, (e + 1) * length);
      };
      const parts = Array.from({ length: E }, (_, e) => [part(x, e), part(w, e), part(y, e)]);
      call = () => {
        for (const [a, b, found] of parts) product(a, b, found, rows, K);
        return y;
      };
      break;
    }
    default:
      throw new Missing("a BLAS has products and nothing else of this");
  }
  return {
    outputs: () => Promise.resolve({ y: call() }),
    run(count) {
      for (let done = 0; done < count; done++) call();
      return Promise.resolve();
    },
  };
}

await serve((): Promise<Peer> => {
  const { sgemm, about } = open(Number(Deno.args[0]));
  return Promise.resolve({ about, prepare: (task) => Promise.resolve(prepare(sgemm, task)) });
});
