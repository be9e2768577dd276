// Nothing is timed before it was seen to be right: a call's results against the kernel's reference, within the roundings
// the kernel declares.
import { disagreement, referenceOf } from "../kernels/agreement.ts";
import type { Backend, HostArray } from "../kernels/kernel.ts";
import { type AnyKernel, type Call, keepingInputs, typesOf, watched } from "./watched.ts";

/**
 * Checks one call by the reference.
 * @param given Inputs as they were before the call.
 * @throws {Error} when a value is further off than rounding explains.
 */
export function verify(
  kernel: AnyKernel,
  call: Pick<Call, "inputs" | "params">,
  given: readonly HostArray[],
  got: readonly HostArray[],
  gpu: boolean,
): void {
  const types = typesOf(call);
  const wanted = referenceOf(kernel, given, types, call.params);
  const rounding = ((gpu && kernel.gpuRounding) || kernel.rounding)(types, call.params);
  kernel.outputs(types, call.params).forEach((type, output) => {
    const wrong = disagreement(type, got[output], wanted[output], rounding);
    if (wrong) throw new Error(`Cannot time ${kernel.name}: output ${output} of ${wrong}`);
  });
}

/** A kernel and the switches among its params: what its programs branch on. */
function kind({ kernel, params }: Call): string {
  const switches = Object.entries(params ?? {}).filter(([, value]) =>
    ["boolean", "string"].includes(typeof value)
  );
  return JSON.stringify([kernel.name, switches]);
}

/**
 * Runs `body` on a backend that checks the first call of every kernel, once for each setting of its switches.
 * @returns Names of the kernels checked.
 */
export async function verified(
  backend: Backend,
  body: (backend: Backend) => Promise<void>,
): Promise<string[]> {
  const seen = new Set<string>();
  const names = new Set<string>();
  const checks: Promise<void>[] = [];
  const gpu = backend.name === "webgpu";
  await body(watched(keepingInputs(backend), (call) => {
    if (seen.has(kind(call))) return;
    seen.add(kind(call));
    names.add(call.kernel.name);
    // Reads are asked for at once, before anybody frees or overwrites an array.
    const given = Promise.all(call.inputs.map((buffer) => backend.read(buffer)));
    const got = Promise.all(call.outputs.map((buffer) => backend.read(buffer)));
    checks.push(Promise.all([given, got]).then(([given, got]) => verify(call.kernel, call, given, got, gpu)));
  }));
  await Promise.all(checks);
  return [...names].sort();
}
