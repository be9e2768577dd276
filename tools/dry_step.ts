// Which kernels one training step runs, on what shapes, without computing anything: a backend that keeps types and no
// values carries the real step, so that models far larger than this machine can be counted.
import { type ArrayType, type Backend, type Kernel, sizeOf } from "../kernels/kernel.ts";
import { createModel } from "../models/model.ts";
import type { Init } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { parameter } from "../tensor/tensor.ts";
import type { TaskData } from "../tasks/task.ts";
import type { RunConfig } from "../training/config.ts";
import { createAdamW } from "../training/optimizer.ts";
import { specOf } from "../training/spec_of.ts";
import { createProgressState } from "../training/train_state.ts";
import { trainStep } from "../training/train_step.ts";

/** One call of a kernel. */
export interface KernelCall {
  // Each kernel has its own type of params; these are the ones it was called with.
  // deno-lint-ignore no-explicit-any
  readonly kernel: Kernel<any>;
  readonly types: readonly ArrayType[];
  readonly params: unknown;
}

/** A backend without memory: reads give zeros. */
export function dryBackend(calls: KernelCall[]): Backend {
  return {
    name: "webgpu",
    arithmetic: { device: "none", fusedMultiplyAdd: true },
    dtypes: ["f32", "i32", "f16"],
    upload: (values, shape) => ({ type: { dtype: values instanceof Float32Array ? "f32" : "i32", shape } }),
    run(kernel, inputs, params) {
      const types = inputs.map(({ type }) => type);
      calls.push({ kernel, types, params });
      return kernel.outputs(types, params).map((type) => ({ type }));
    },
    read({ type: { dtype, shape } }) {
      return Promise.resolve(
        dtype === "f32" ? new Float32Array(sizeOf(shape)) : new Int32Array(sizeOf(shape)),
      );
    },
    alias: ({ type }, shape) => ({ type: { ...type, shape } }),
    free() {},
  };
}

/** Parameters of zeros: drawing the weights of a large model would take longer than anything else here. */
export function dryInit(backend: Backend): Init {
  return {
    backend,
    random: random(0),
    parameter: (_, shape) => parameter(backend, new Float32Array(sizeOf(shape)), shape),
    part: () => dryInit(backend),
  };
}

/** The next of V words, without a text: batches of word 0. */
export function dryData(V: number): TaskData {
  const zeros = ({ batch, length }: { batch: number; length: number }) => new Int32Array(batch * length);
  return {
    name: "nothing",
    digest: "",
    input: { kind: "tokens", V, tokenCount_V: new Int32Array(V).fill(1) },
    output: { kind: "tokens" },
    labels: [],
    facts: {},
    references: [],
    nameOf: () => null,
    trainingExamples: (shape) => () => ({
      tokenId: zeros(shape),
      target: zeros(shape),
      lengths: new Array<number>(shape.batch).fill(shape.length),
    }),
    evaluationExamples: () => [],
    bestRouting: null,
  };
}

/** The kernels of one training step with a vocabulary of V words, in the order they run. */
export async function dryStep(config: RunConfig, V: number): Promise<KernelCall[]> {
  const calls: KernelCall[] = [];
  const backend = dryBackend(calls);
  const data = dryData(V);
  const model = createModel(specOf(config, data), dryInit(backend));
  const optimizer = createAdamW(model.params);
  const { length, learningRate } = config.train;
  const state = createProgressState(model, optimizer, length);
  const examplesAt = data.trainingExamples({ ...config.train, random: random(config.seed).split("data") });
  await trainStep({ config, run: "dry", examplesAt, backend, model, optimizer, state, learningRate });
  return calls;
}
