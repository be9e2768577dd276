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
  /** True when outputs took the place of what the kernel replaces. */
  readonly over: boolean;
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
    run(kernel, inputs, params, over = false) {
      const start = performance.now();
      const outputs = backend.run(kernel, inputs, params, over);
      const seconds = (performance.now() - start) / 1000;
      told({ kernel, inputs, outputs, params, over: over && kernel.replaces !== undefined, seconds });
      return outputs;
    },
  };
}

/** The backend, where no output takes an input's place: for listeners that read what a call was given. */
export function keepingInputs(backend: Backend): Backend {
  return { ...backend, run: (kernel, inputs, params) => backend.run(kernel, inputs, params) };
}
