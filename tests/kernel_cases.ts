// All kernels, and what holds their cases to their references: for the contract suite, and for WebGPU with other programs
// and folded grids, which takes long on a software adapter.
import { assert, assertEquals } from "@std/assert";
import type { WebgpuBackend } from "../gpu/backend.ts";
import { disagreement, referenceOf } from "../kernels/agreement.ts";
import {
  type ArrayType,
  type Buffer,
  type Case,
  type HostArray,
  type Kernel,
  type NumberArray,
  sizeOf,
} from "../kernels/kernel.ts";
import * as all from "../kernels/mod.ts";
import { fill } from "./fill.ts";

// Each kernel has its own type of params; what the suite passes always comes from the kernel's own cases.
// deno-lint-ignore no-explicit-any
export type AnyKernel = Kernel<any>;
// deno-lint-ignore no-explicit-any
export type AnyCase = Case<any>;

/** All kernels, by the name they are exported under. */
export const kernels = Object.entries(all as Record<string, unknown>).filter((
  entry,
): entry is [string, AnyKernel] =>
  typeof entry[1] === "object" && entry[1] !== null && "reference" in entry[1]
);

/** Runs every case on arrays that held NaN before, with one read for all, and compares; inputs must be left alone. */
export async function checkOnGpu(backend: WebgpuBackend, kernel: AnyKernel): Promise<void> {
  const buffers: Buffer[] = [];
  const runs = kernel.cases.map((each) => {
    const types = each.inputs.map((input) => input.type);
    const inputs = each.inputs.map((input, at) => fill(input, `${kernel.name} ${each.about} ${at}`));
    const outputs = kernel.outputs(types, each.params);
    for (const { shape } of outputs) {
      backend.free(backend.upload(new Float32Array(sizeOf(shape)).fill(NaN), shape));
    }
    const given = inputs.map((values, at) => {
      const uploaded = backend.upload(values, types[at].shape);
      if (types[at].dtype !== "f16") return uploaded;
      const [half] = backend.run(all.toHalf, [uploaded], {});
      backend.free(uploaded);
      return half;
    });
    const made = backend.run(kernel, given, each.params);
    buffers.push(...given, ...made);
    return { each, types, inputs, outputs, given, made };
  });
  const replacing = kernel.replaces ? replaceOnGpu(backend, kernel) : [];
  for (const { replaced, made } of replacing) buffers.push(...replaced, ...made);
  const values = new Map<Buffer, HostArray>();
  await Promise.all(buffers.map(async (buffer) => values.set(buffer, await backend.read(buffer))));
  for (const [run, { each, types, inputs, outputs, given, made }] of runs.entries()) {
    const where = `${kernel.name}, ${each.about}, WebGPU`;
    const wanted = referenceOf(kernel, inputs, types, each.params);
    const rounding = (kernel.gpuRounding ?? kernel.rounding)(types, each.params);
    outputs.forEach((type, at) => {
      assertEquals(made[at].type, type);
      agrees(`${where}, output ${at}`, type, values.get(made[at])!, wanted[at], rounding);
      const inPlace = replacing[run]?.made[at];
      if (inPlace) {
        agrees(`${where}, output ${at} in place`, type, values.get(inPlace)!, wanted[at], rounding);
      }
    });
    given.forEach((buffer, at) => sameBits(`${where}, input ${at} after`, values.get(buffer)!, inputs[at]));
  }
  for (const buffer of buffers) backend.free(buffer);
}

/** All cases with outputs written over inputs. */
function replaceOnGpu(backend: WebgpuBackend, kernel: AnyKernel): { replaced: Buffer[]; made: Buffer[] }[] {
  return kernel.cases.map((each) => {
    const given = each.inputs.map((input, at) =>
      backend.upload(fill(input, `${kernel.name} ${each.about} ${at}`), input.type.shape)
    );
    const { usedBytes } = backend.statistics();
    const made = backend.run(kernel, given, each.params, true);
    assertEquals(
      backend.statistics().usedBytes,
      usedBytes,
      `${kernel.name} took memory for what replaces inputs`,
    );
    return { replaced: given, made };
  });
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
