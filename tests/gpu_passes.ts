// What kernels ask WebGPU for, case by case, without running any of it.
import type { GpuFacts, GpuPass, Kernel } from "../kernels/kernel.ts";
import * as all from "../kernels/mod.ts";

/** Kernels with programs for WebGPU; what is passed to one always comes from its own cases. */
// deno-lint-ignore no-explicit-any
export const gpuKernels = (Object.values(all) as Kernel<any>[]).flatMap((kernel) => {
  const { name, cases, gpu, wgsl } = kernel;
  return gpu && wgsl ? [{ name, cases, gpu, wgsl }] : [];
});
const hardware: GpuFacts = { software: false, workgroupsPerDimension: 65535 };
const software: GpuFacts = { software: true, workgroupsPerDimension: 65535 };

/** What the cases of all kernels dispatch, on adapters of either kind. */
export function passes(): { readonly name: string; readonly pass: GpuPass }[] {
  return gpuKernels.flatMap(({ name, cases, gpu }) =>
    cases.flatMap(({ inputs, params }) =>
      [hardware, software].flatMap((facts) => {
        const { passes, over = [] } = gpu(inputs.map(({ type }) => type), params, facts);
        return [...passes, ...over].map((pass) => ({ name, pass }));
      })
    )
  );
}
