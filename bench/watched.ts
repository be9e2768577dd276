// A backend that tells of every call: what was run on which arrays, and how long it took. Profiles, checks and recorded
// inputs all listen here, so that no backend has to know of them.
import type { ArrayType, Backend, Buffer, Cost, Kernel } from "../kernels/kernel.ts";

// Kernels differ in what their params are; a listener passes them back to the kernel they came with.
// deno-lint-ignore no-explicit-any
export type AnyKernel = Kernel<any>;

/** One call of a kernel. */
export interface Call {
  readonly kernel: AnyKernel;
  readonly inputs: readonly Buffer[];
  readonly outputs: readonly Buffer[];
  readonly params: unknown;
  /** Until `run` returned: the work itself on the CPU, only its queueing on a GPU. */
  readonly seconds: number;
}

/** Types of a call's inputs. */
export function typesOf({ inputs }: Pick<Call, "inputs">): ArrayType[] {
  return inputs.map(({ type }) => type);
}

/** What a call costs. */
export function costOf(call: Call): Cost {
  return call.kernel.cost(typesOf(call), call.params);
}

/** The backend, with `told` called after each kernel and `uploaded` after each array that came from the host. */
export function watched(
  backend: Backend,
  told: (call: Call) => void,
  uploaded: (buffer: Buffer) => void = () => {},
): Backend {
  return {
    ...backend,
    upload(values, shape) {
      const buffer = backend.upload(values, shape);
      uploaded(buffer);
      return buffer;
    },
    // Nothing takes an input's place here: who listens may read what a call was given.
    run(kernel, inputs, params) {
      const start = performance.now();
      const outputs = backend.run(kernel, inputs, params);
      told({ kernel, inputs, outputs, params, seconds: (performance.now() - start) / 1000 });
      return outputs;
    },
  };
}
