// Every kernel against its f64 reference, on the cases of its contract and on the largest calls of training steps, and
// the time of those calls beside the roofline measured on the same adapter.
import { webgpu, type WebgpuBackend } from "../../gpu/backend.ts";
import { disagreement, referenceOf } from "../../kernels/agreement.ts";
import { kernels, wrongCases } from "../kernel_cases.ts";
import { bestPerCall } from "../repeat.ts";
import { leastSeconds, type Roof } from "../roofs/roof.ts";
import { callText, collecting, createCollector, type KeptCall } from "./calls.ts";
import type { Plan } from "./plan.ts";
import type { KernelFound } from "./schema.ts";
import { configAt, quickInit, trainSome } from "./training.ts";

/** Everything about every kernel that a GPU runs. An adapter that fails in one of them is opened anew for the next. */
export async function checkKernels(roof: Roof, plan: Plan): Promise<KernelFound[]> {
  const { checked, timed } = await largestCalls(plan);
  const found: KernelFound[] = [];
  let backend = await webgpu();
  try {
    for (const [, kernel] of kernels) {
      if (!kernel.gpu) continue;
      if (plan.isLate()) {
        plan.leaveOut(`the kernel ${kernel.name}: there was no time left`);
        continue;
      }
      plan.say(`The kernel ${kernel.name} ...`);
      try {
        const [small, large] = [checked.get(kernel.name), timed.get(kernel.name)];
        const cases = kernel.cases.slice(0, plan.casesOfKernel);
        found.push({
          name: kernel.name,
          cases: cases.length,
          wrong: [
            ...await wrongCases(backend, kernel, cases),
            ...small ? await wrongCall(backend, small) : [],
          ],
          checkedAt: small ? callText(small) : null,
          timed: large ? await timeCall(backend, large, roof) : null,
        });
      } catch (error) {
        plan.fail(`the kernel ${kernel.name}`, error);
        backend.close();
        backend = await webgpu();
      }
    }
  } finally {
    backend.close();
  }
  return found;
}

/** Of each kernel the largest call that a reference can follow, and the largest that is timed. */
async function largestCalls(plan: Plan) {
  const { checkedFlop, timedBytes } = plan;
  const checked = createCollector((cost, bytes) => cost.flop <= checkedFlop && bytes <= timedBytes);
  const timed = createCollector((_, bytes) => bytes <= timedBytes);
  for (const router of plan.routers) {
    const size = plan.sizeOf(router);
    if (plan.isLate()) {
      plan.leaveOut(`the step of ${router}, for its largest calls: there was no time left`);
      continue;
    }
    plan.say(`A step of ${router} at the size ${size.name} ...`);
    try {
      using backend = await webgpu();
      await trainSome(
        collecting(backend, [checked, timed]),
        configAt(size, router),
        size.V,
        1,
        quickInit,
      );
      // Arrays are read before the device goes.
      for (const { calls } of [checked, timed]) for (const { inputs } of calls.values()) await inputs;
    } catch (error) {
      plan.fail(`a step of ${router} at the size ${size.name}`, error);
    }
  }
  return { checked: checked.calls, timed: timed.calls };
}

async function wrongCall(backend: WebgpuBackend, call: KeptCall): Promise<string[]> {
  const { kernel, types, params } = call;
  const inputs = await call.inputs;
  const given = types.map(({ shape }, at) => backend.upload(inputs[at], shape));
  const made = backend.run(kernel, given, params);
  const got = await Promise.all(made.map((buffer) => backend.read(buffer)));
  for (const buffer of [...given, ...made]) backend.free(buffer);
  const wanted = referenceOf(kernel, inputs, types, params);
  const rounding = (kernel.gpuRounding ?? kernel.rounding)(types, params);
  return kernel.outputs(types, params).flatMap((type, at) => {
    const off = disagreement(type, got[at], wanted[at], rounding);
    return off ? [`${kernel.name}, ${callText(call)}, output ${at} of ${off}`] : [];
  });
}

async function timeCall(backend: WebgpuBackend, call: KeptCall, roof: Roof): Promise<KernelFound["timed"]> {
  const { kernel, types, params, cost } = call;
  const inputs = await call.inputs;
  const given = types.map(({ shape }, at) => backend.upload(inputs[at], shape));
  const run = () => {
    for (const output of backend.run(kernel, given, params)) backend.free(output);
  };
  run();
  const seconds = await bestPerCall(backend, run, 2, 0.02);
  for (const buffer of given) backend.free(buffer);
  return { at: callText(call), ...cost, seconds, leastSeconds: leastSeconds(roof, cost) };
}
