// The contract every kernel keeps: its programs agree with its reference within the derived rounding (integers exactly),
// on the CPU with the same bits however the work is cut over threads, with products on a BLAS and with
// none, and on a GPU; and its shape rule explains what it refuses.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { cpu, type CpuBackend, type CpuOptions } from "../cpu/backend.ts";
import { blockBytes } from "../cpu/heap.ts";
import { hasRelaxedSimd } from "../cpu/module.ts";
import { programs } from "../cpu/wasm.ts";
import { type ArrayType, type Buffer, f32, type HostArray, sizeOf } from "../kernels/kernel.ts";
import { referenceOf } from "../kernels/agreement.ts";
import { fill } from "../kernels/fill.ts";
import { toHalf } from "../kernels/mod.ts";
import { blas } from "./blas.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { agrees, type AnyCase, type AnyKernel, checkOnGpu, kernels, sameBits } from "./kernel_cases.ts";

interface Variant {
  readonly about: string;
  readonly one: CpuBackend;
  readonly two: CpuBackend;
}
async function variant(about: string, options: CpuOptions): Promise<Variant> {
  return {
    about,
    one: await cpu({ ...options, threads: 1 }),
    two: await cpu({ ...options, threads: 2 }),
  };
}
// A fixed tile each: one that is still being measured would take turns.
const variants = [await variant("plain", { relaxed: false, tile: "6x8" })];
variants.push(await variant("plain, narrow tile", { relaxed: false, tile: "4x8" }));
if (hasRelaxedSimd()) {
  variants.push(await variant("relaxed", { relaxed: true, tile: "6x8" }));
  variants.push(await variant("relaxed, narrow tile", { relaxed: true, tile: "4x8" }));
}
if (blas) variants.push(await variant(blas.name, { blas, leastBlasProduct: 1 }));
/** With the programs for such an adapter; other programs and folded grids: tests/long/kernels_test.ts. */
const onGpu = openGpu();

addEventListener("unload", () => {
  for (const { one, two } of variants) for (const backend of [one, two]) backend.close();
});

Deno.test("there are kernels and every program belongs to one", () => {
  assert(kernels.length > 0);
  assertEquals(kernels.flatMap(([, kernel]) => kernel.wasm ?? []).sort(), [...programs].sort());
});

for (const [exported, kernel] of kernels) {
  Deno.test(`${kernel.name}: is declared in full`, () => {
    assert(kernel.cpu || kernel.gpu, "runs somewhere");
    if (kernel.cpu) assertEquals(kernel.wasm, exported, "the export and the program share one name");
    assertEquals(kernel.name, exported.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    assert(/^[^\n]+\.$/.test(kernel.about), "about is one sentence");
    assert(kernel.cases.length > 0, "has cases");
    assertEquals(
      new Set(kernel.cases.map((each) => each.about)).size,
      kernel.cases.length,
      "cases differ by name",
    );
    for (const each of kernel.cases) {
      const types = each.inputs.map((input) => input.type);
      const { flop, bytes } = kernel.cost(types, each.params);
      const rounding = kernel.rounding(types, each.params);
      const { units, grain } = kernel.cpu?.(types, each.params) ?? { units: 0, grain: 1 };
      assert(
        Number.isFinite(flop) && flop >= 0 && Number.isFinite(bytes) && bytes >= 0,
        `${each.about}: cost`,
      );
      assert(Number.isFinite(rounding) && rounding >= 0, `${each.about}: rounding is ${rounding}`);
      assert(Number.isInteger(units) && units >= 0, `${each.about}: units is ${units}`);
      assert(Number.isInteger(grain) && grain >= 1, `${each.about}: grain is ${grain}`);
    }
  });

  for (const each of kernel.cases) {
    const { cpu } = kernel;
    if (!cpu || typesOf(kernel, each).some(({ dtype }) => dtype === "f16")) {
      Deno.test(`${kernel.name}: ${each.about}: the CPU refuses it by name`, () => {
        for (const { one } of variants) refusedOnCpu(one, kernel, each);
      });
      continue;
    }
    Deno.test(`${kernel.name}: ${each.about}`, async () => {
      const types = each.inputs.map((input) => input.type);
      const inputs = each.inputs.map((input, at) => fill(input, `${kernel.name} ${each.about} ${at}`));
      const outputs = kernel.outputs(types, each.params);
      const wanted = referenceOf(kernel, inputs, types, each.params);
      const rounding = kernel.rounding(types, each.params);
      for (const { about, one, two } of variants) {
        const got = await compute(one, kernel, each, inputs);
        outputs.forEach((type, at) => {
          assertEquals(got[at].type, type);
          agrees(
            `${kernel.name}, ${each.about}, ${about}, output ${at}`,
            type,
            got[at].values,
            wanted[at],
            rounding,
          );
        });
        const inPieces = await compute(
          two,
          { ...kernel, cpu: (...a) => ({ ...cpu(...a), grain: 1 }) },
          each,
          inputs,
        );
        outputs.forEach((_, at) =>
          sameBits(
            `${kernel.name}, ${each.about}, ${about}, output ${at}`,
            inPieces[at].values,
            got[at].values,
          )
        );
        if (kernel.replaces) await checkReplacing(two, kernel, each, inputs, got);
      }
    });
  }

  if (kernel.gpu) {
    gpuTest(`${kernel.name}: all cases on WebGPU`, async () => await checkOnGpu(await onGpu(), kernel));
  }

  Deno.test(`${kernel.name}: refuses what does not fit, in one clear sentence`, () => {
    const withInputs = kernel.cases.find((each) => each.inputs.length > 0 && each.inputs.every(hasValues));
    const each = withInputs ?? kernel.cases[0];
    const types = each.inputs.map((input) => input.type);
    const extra = [...types, ...Array.from({ length: 8 }, () => f32(1))];
    assert(refuses(kernel, extra, each.params), "eight inputs too many");
    if (types.length === 0) return;
    assert(refuses(kernel, [], each.params), "no inputs");
    const otherKind = types.map((_, at) => types.map((type, i) => i === at ? swapped(type) : type));
    const refused = otherKind.filter((changed) => refuses(kernel, changed, each.params));
    assert(refused.length > 0, "an input of the wrong dtype");
    types.forEach((type, at) => {
      const half = types.map((each, i): ArrayType => i === at ? { dtype: "f16", shape: type.shape } : each);
      const taken = kernel.cases.some(({ inputs }) => inputs[at]?.type.dtype === "f16");
      assert(
        taken || refuses(kernel, half, each.params),
        `16-bit floats as input ${at}, which no case covers`,
      );
    });
    if (types.length === 1) return;
    const longer = types.map((_, at) => types.map((type, i) => i === at ? grown(type) : type));
    assert(longer.some((changed) => refuses(kernel, changed, each.params)), "an input that is too long");
  });
}

/** Types of a case's inputs and outputs. */
function typesOf(kernel: AnyKernel, each: AnyCase): ArrayType[] {
  const types = each.inputs.map((input) => input.type);
  return [...types, ...kernel.outputs(types, each.params)];
}

/** 16-bit floats come from `to_half` alone, so a case that reads them is refused there. */
function refusedOnCpu(backend: CpuBackend, kernel: AnyKernel, each: AnyCase): void {
  const given = each.inputs.map((input, at) =>
    backend.upload(fill(input, `${kernel.name} ${each.about} ${at}`), input.type.shape)
  );
  const half = each.inputs.findIndex(({ type }) => type.dtype === "f16");
  const lacking = (name: string) =>
    `Cannot run ${name}: it has no WebAssembly program, only the WebGPU backend runs it`;
  if (half >= 0) {
    assertThrows(() => backend.run(toHalf, [given[half]], {}), TypeError, lacking("to_half"));
  } else {
    const message = kernel.cpu
      ? "Cannot place an array of f16 on the CPU backend: it stores f32 and i32; WebGPU stores f16 too"
      : lacking(kernel.name);
    assertThrows(() => backend.run(kernel, given, each.params), TypeError, message);
  }
  for (const buffer of given) backend.free(buffer);
}

function hasValues(input: { readonly type: ArrayType }): boolean {
  return sizeOf(input.type.shape) > 0;
}

function swapped(type: ArrayType): ArrayType {
  return { dtype: type.dtype === "f32" ? "i32" : "f32", shape: type.shape };
}

function grown(type: ArrayType): ArrayType {
  return { dtype: type.dtype, shape: [type.shape[0] + 1, ...type.shape.slice(1)] };
}

/** True when the shape rule throws; then what it says must read well. */
function refuses(kernel: AnyKernel, types: readonly ArrayType[], params: unknown): boolean {
  try {
    kernel.outputs(types, params);
    return false;
  } catch (error) {
    assert(error instanceof RangeError || error instanceof TypeError, `threw ${error}`);
    const { message } = error;
    assert(message.startsWith(`Cannot run ${kernel.name}: `), `does not say what failed: ${message}`);
    assert(
      !/\n|undefined|NaN|\[object/.test(message) && message.length < 240,
      `does not read well: ${message}`,
    );
    return true;
  }
}

interface Result {
  readonly type: ArrayType;
  readonly values: HostArray;
}

interface Addressed extends Buffer {
  readonly address: number;
}

/** What lies between an array's end and the end of its block: programs write their own elements only. */
async function readSlack(backend: CpuBackend, buffer: Buffer): Promise<HostArray> {
  const size = sizeOf(buffer.type.shape);
  const block: Addressed = { ...buffer as Addressed, type: f32(blockBytes(4 * size) / 4) };
  return (await backend.read(block)).subarray(size);
}

const GUARD = new Float32Array(64).fill(7);

/** Free blocks of these sizes, holding NaN, each with a guard behind it that no program may write to. */
function guardedGaps(backend: CpuBackend, sizes: readonly number[]): { gaps: Buffer[]; guards: Buffer[] } {
  const gaps: Buffer[] = [];
  const guards: Buffer[] = [];
  for (const size of sizes) {
    gaps.push(backend.upload(new Float32Array(size).fill(NaN), [size]));
    guards.push(backend.upload(GUARD, [GUARD.length]));
  }
  return { gaps, guards };
}

/** Runs a case on memory that held NaN before, and checks that inputs, and what lies behind outputs and scratch, were left alone. */
async function compute(
  backend: CpuBackend,
  kernel: AnyKernel,
  each: AnyCase,
  inputs: readonly HostArray[],
): Promise<Result[]> {
  const given = inputs.map((values, at) => backend.upload(values, each.inputs[at].type.shape));
  const types = each.inputs.map((input) => input.type);
  const { scratchBytes = 0 } = kernel.cpu!(types, each.params);
  // One thread takes the scratch of one; of several, how many is the backend's affair.
  const scratch = scratchBytes > 0 && backend.threads === 1 ? [scratchBytes / 4] : [];
  const { gaps: stale, guards } = guardedGaps(backend, [
    ...kernel.outputs(types, each.params).map(({ shape }) => sizeOf(shape)),
    ...scratch,
  ]);
  const slack = new Map<number, HostArray>();
  for (const buffer of stale) slack.set((buffer as Addressed).address, await readSlack(backend, buffer));
  for (const buffer of stale) backend.free(buffer);
  const made = backend.run(kernel, given, each.params);
  for (const buffer of made) {
    const before = slack.get((buffer as Addressed).address);
    if (before) {
      // Outputs of other lengths may have changed places: what lies past the end of both is compared.
      const after = await readSlack(backend, buffer);
      const past = Math.min(after.length, before.length);
      sameBits(
        `${kernel.name}, ${each.about}, past an output's end`,
        after.subarray(after.length - past),
        before.subarray(before.length - past),
      );
    }
  }
  for (const guard of guards) {
    sameBits(`${kernel.name}, ${each.about}, behind outputs and scratch`, await backend.read(guard), GUARD);
    backend.free(guard);
  }
  const results: Result[] = [];
  for (const buffer of made) results.push({ type: buffer.type, values: await backend.read(buffer) });
  for (const [at, buffer] of given.entries()) {
    sameBits(
      `${kernel.name}, ${each.about}, input ${at} after the run`,
      await backend.read(buffer),
      inputs[at],
    );
  }
  for (const buffer of [...given, ...made]) backend.free(buffer);
  return results;
}

/** Outputs that are written over inputs have the same bits. */
async function checkReplacing(
  backend: CpuBackend,
  kernel: AnyKernel,
  each: AnyCase,
  inputs: readonly HostArray[],
  want: readonly Result[],
): Promise<void> {
  const given = inputs.map((values, at) => backend.upload(values, each.inputs[at].type.shape));
  const made = backend.run(kernel, given, each.params, true);
  assertEquals(
    made.map((buffer) => (buffer as Addressed).address),
    kernel.replaces!(given.length).map((at) => (given[at] as Addressed).address),
  );
  for (const [at, buffer] of made.entries()) {
    assertEquals(buffer.type, want[at].type);
    sameBits(
      `${kernel.name}, ${each.about}, output ${at} in place`,
      await backend.read(buffer),
      want[at].values,
    );
  }
  for (const buffer of given) backend.free(buffer);
  for (const buffer of made) backend.free(buffer);
}
