// Which kernels one training step runs, on what shapes, without computing anything: a backend that keeps types and no
// values carries the real step, so that models far larger than this machine can be counted.
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { parseOptions } from "../routers/registry.ts";
import { type ArrayType, type Backend, type Kernel, sizeOf } from "../kernels/kernel.ts";
import { createLanguageModel } from "../models/language_model.ts";
import type { ModelSize } from "../models/presets.ts";
import type { Init } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { parameter } from "../tensor/tensor.ts";
import type { Dataset } from "../data/dataset.ts";
import { createAdamW } from "../training/optimizer.ts";
import { createProgressState } from "../training/train_state.ts";
import { batchesOf, trainStep } from "../training/train_step.ts";

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

/** The kernels of one training step, in the order they run. */
export async function dryStep(size: ModelSize, router: AnyRouterPlugin): Promise<KernelCall[]> {
  const calls: KernelCall[] = [];
  const backend = dryBackend(calls);
  const V = size.vocabulary;
  const plan = {
    size,
    V,
    tokenCount_V: new Int32Array(V).fill(1),
    router,
    routerOptions: parseOptions(router),
  };
  const model = createLanguageModel(plan, dryInit(backend));
  const optimizer = createAdamW(model.params);
  // Of a data set a step reads the training text alone.
  const dataset = { name: "nothing", train: new Int32Array(size.batch * size.length + 1) } as Partial<
    Dataset
  >;
  await trainStep({
    plan: { ...plan, run: "dry", label: router.name, sizeName: "", seed: 0, steps: 1 },
    options: { backend, dataset: dataset as Dataset, machine: { threads: 1, machine: "" }, version: "" },
    model,
    optimizer,
    state: createProgressState(model, optimizer),
    batchAt: batchesOf({ size, seed: 0 }, dataset as Dataset),
    learningRate: size.learningRate,
  });
  return calls;
}
