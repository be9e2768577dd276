// A BLAS by itself, with threads of its own: the rate that our products on the same library are held against.
import { openSgemm, type Sgemm } from "../../cpu/blas/binding.ts";
import { choose } from "../../cpu/blas/choose.ts";
import { findBlas, surveyBlas } from "../../cpu/blas/find.ts";
import type { Blas, NoBlas } from "../../cpu/blas/measurement.ts";
import { Missing, type Peer, type Prepared, serve, type Task } from "./contender.ts";

const [ROW_MAJOR, AS_IT_IS] = [101, 111];

async function open(threads: number): Promise<{ sgemm: Sgemm; about: string }> {
  const found = await findFunction(threads);
  if ("why" in found) throw new Missing(`there is no BLAS: ${found.why}`);
  if (found.setThreads === null) throw new Missing(`${found.name} has no function that multiplies`);
  if (found.setThreads.name === "BLASSetThreading" && threads > 1) {
    throw new Missing(`${found.name} cannot be told to use ${threads} threads`);
  }
  return {
    sgemm: openSgemm(found, threads),
    about: `${found.name} with threads of its own`,
  };
}

/** The fastest library with a function that multiplies: onnxruntime, which may be faster, runs graphs. */
async function findFunction(threads: number): Promise<Blas | NoBlas> {
  const found = await findBlas({ threads });
  if ("why" in found || found.setThreads !== null) return found;
  const survey = await surveyBlas({ library: "auto" });
  if ("why" in survey) return { why: survey.why, opened: false };
  const measured = survey.measured.filter(({ setThreads }) => setThreads !== null);
  const chosen = choose({ ...survey, measured }, { threads, mayTell: true, named: true });
  return "why" in chosen ? chosen : await findBlas({ library: chosen.library, threads });
}

function addressOf(values: Float32Array): bigint {
  return BigInt(Deno.UnsafePointer.value(Deno.UnsafePointer.of(values as Float32Array<ArrayBuffer>)));
}

function prepare(sgemm: Sgemm, task: Task): Prepared {
  const { E, rows, K, N } = task.sizes;
  const product = (a: Float32Array, b: Float32Array, y: Float32Array, rows: number, inner: number) =>
    sgemm(
      ...[ROW_MAJOR, AS_IT_IS, AS_IT_IS, rows, N, inner, 1] as const,
      ...[addressOf(a), inner, addressOf(b), N, 0, addressOf(y), N] as const,
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

await serve(async (): Promise<Peer> => {
  const { sgemm, about } = await open(Number(Deno.args[0]));
  return { about, prepare: (task) => Promise.resolve(prepare(sgemm, task)) };
});
