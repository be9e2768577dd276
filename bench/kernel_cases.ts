// All kernels, and what is wrong with their cases on WebGPU: for the contract suite and for `deno task gpu:check`.
import type { WebgpuBackend } from "../gpu/backend.ts";
import { disagreement, referenceOf } from "../kernels/agreement.ts";
import { fill } from "../kernels/fill.ts";
import { type Buffer, type Case, type HostArray, type Kernel, sizeOf } from "../kernels/kernel.ts";
import * as all from "../kernels/mod.ts";

// Each kernel has its own type of params; what is passed always comes from the kernel's own cases.
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

/** A case with its outputs on a device. */
interface Ran {
  readonly each: AnyCase;
  readonly inputs: readonly HostArray[];
  readonly given: readonly Buffer[];
  readonly made: readonly Buffer[];
  /** Outputs written over inputs, for a kernel that can. */
  readonly inPlace: { readonly given: readonly Buffer[]; readonly made: readonly Buffer[] } | null;
}

/**
 * Runs cases on arrays that held NaN before, with one read for all, and compares with the f64 reference; inputs must be left
 * alone, and outputs that replace inputs must take no memory.
 * @returns A line for everything that is wrong.
 */
export async function wrongCases(
  backend: WebgpuBackend,
  kernel: AnyKernel,
  cases: readonly AnyCase[] = kernel.cases,
): Promise<string[]> {
  const wrong: string[] = [];
  const ran = cases.map((each) => runCase(backend, kernel, each, wrong));
  const buffers = ran.flatMap(({ given, made, inPlace }) => [
    ...given,
    ...made,
    ...inPlace ? [...inPlace.given, ...inPlace.made] : [],
  ]);
  const values = new Map<Buffer, HostArray>();
  await Promise.all(buffers.map(async (buffer) => values.set(buffer, await backend.read(buffer))));
  for (const one of ran) wrong.push(...wrongWith(kernel, one, values));
  for (const buffer of buffers) backend.free(buffer);
  return wrong;
}

function inputsOf(kernel: AnyKernel, each: AnyCase): HostArray[] {
  return each.inputs.map((input, at) => fill(input, `${kernel.name} ${each.about} ${at}`));
}

function runCase(backend: WebgpuBackend, kernel: AnyKernel, each: AnyCase, wrong: string[]): Ran {
  const types = each.inputs.map((input) => input.type);
  const inputs = inputsOf(kernel, each);
  for (const { shape } of kernel.outputs(types, each.params)) {
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
  if (!kernel.replaces) return { each, inputs, given, made, inPlace: null };
  const replaced = inputs.map((values, at) => backend.upload(values, types[at].shape));
  const { usedBytes } = backend.statistics();
  const over = backend.run(kernel, replaced, each.params, true);
  if (backend.statistics().usedBytes !== usedBytes) {
    wrong.push(`${kernel.name}, ${each.about}: it took memory for what replaces inputs`);
  }
  return { each, inputs, given, made, inPlace: { given: replaced, made: over } };
}

function wrongWith(
  kernel: AnyKernel,
  { each, inputs, given, made, inPlace }: Ran,
  values: ReadonlyMap<Buffer, HostArray>,
): string[] {
  const types = each.inputs.map((input) => input.type);
  const where = `${kernel.name}, ${each.about}, WebGPU`;
  const wanted = referenceOf(kernel, inputs, types, each.params);
  const rounding = (kernel.gpuRounding ?? kernel.rounding)(types, each.params);
  const found = kernel.outputs(types, each.params).flatMap((type, at) => {
    const isOf = JSON.stringify(made[at].type) === JSON.stringify(type);
    return [
      isOf ? null : `${where}, output ${at} is of type ${JSON.stringify(made[at].type)}`,
      ...[made[at], ...inPlace ? [inPlace.made[at]] : []].map((buffer, how) => {
        const off = disagreement(type, values.get(buffer)!, wanted[at], rounding);
        return off && `${where}, output ${at}${how === 1 ? " in place" : ""} of ${off}`;
      }),
    ];
  });
  const changed = given.map((buffer, at) =>
    sameBits(values.get(buffer)!, inputs[at]) ? null : `${where}, input ${at} was changed`
  );
  return [...found, ...changed].filter((line) => line !== null);
}

/** Whether two arrays hold the same bits; engines may give NaN any payload. */
function sameBits(got: HostArray, want: HostArray): boolean {
  if (got.length !== want.length) return false;
  const [a, b] = [got, want].map((each) => new Int32Array(each.buffer, each.byteOffset, each.length));
  return a.every((bits, i) => bits === b[i] || (Number.isNaN(got[i]) && Number.isNaN(want[i])));
}
