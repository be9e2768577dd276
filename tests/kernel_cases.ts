// What holds kernels' cases to their references on a CPU and a GPU: for the contract suite, and for WebGPU with other
// programs and folded grids, which takes long on a software adapter.
import { assert, assertEquals } from "@std/assert";
import { type AnyKernel, wrongCases } from "../bench/kernel_cases.ts";
import type { WebgpuBackend } from "../gpu/backend.ts";
import { disagreement } from "../kernels/agreement.ts";
import type { ArrayType, HostArray, NumberArray } from "../kernels/kernel.ts";

export { type AnyCase, type AnyKernel, kernels } from "../bench/kernel_cases.ts";

/** Runs every case on WebGPU and compares. */
export async function checkOnGpu(backend: WebgpuBackend, kernel: AnyKernel): Promise<void> {
  assertEquals(await wrongCases(backend, kernel), []);
}

export function agrees(
  where: string,
  type: ArrayType,
  got: HostArray,
  want: NumberArray,
  rounding: number,
): void {
  const wrong = disagreement(type, got, want, rounding);
  assert(wrong === null, `${where} of ${wrong}`);
}

export function sameBits(where: string, got: HostArray, want: HostArray): void {
  assertEquals(got.length, want.length, where);
  const a = new Int32Array(got.buffer, got.byteOffset, got.length);
  const b = new Int32Array(want.buffer, want.byteOffset, want.length);
  // Engines may give NaN any payload.
  const at = a.findIndex((bits, i) => bits !== b[i] && !(Number.isNaN(got[i]) && Number.isNaN(want[i])));
  assert(at < 0, `${where}: bits differ at ${at}: ${got[at]} and ${want[at]}`);
}
