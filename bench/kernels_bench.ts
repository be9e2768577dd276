// `deno bench`: every kernel of a training step of the default model, on the arrays of its costliest call there. Checked
// by its reference before it is timed.
import { cpu } from "../cpu/backend.ts";
import { type ArrayType, bytesOf, type HostArray } from "../kernels/kernel.ts";
import { findRouter } from "../routers/registry.ts";
import { createKernelSubject } from "./products.ts";
import { benchData, trainSteps } from "./step.ts";
import { type AnyKernel, keepingInputs, typesOf, watched } from "./watched.ts";

interface Recorded {
  readonly kernel: AnyKernel;
  readonly params: unknown;
  readonly types: readonly ArrayType[];
  readonly inputs: Promise<HostArray[]>;
}

const backend = await cpu();
const data = await benchData("small");
const largest = new Map<string, Recorded>();
const watching = watched(keepingInputs(backend), (call) => {
  const { kernel, params } = call;
  const types = typesOf(call);
  const known = largest.get(kernel.name);
  if (known && bytesOf(...types) <= bytesOf(...known.types)) return;
  // Read at once: a buffer may be freed and filled anew after this.
  largest.set(kernel.name, { kernel, params, types, inputs: Promise.all(call.inputs.map(backend.read)) });
});
const router = findRouter("switch");
await trainSteps(watching, { router, sizeName: "small", data, threads: backend.threads }, 1);

for (const [name, { kernel, params, types, inputs }] of [...largest].sort(([a], [b]) => a < b ? -1 : 1)) {
  const values = await inputs;
  const buffers = types.map(({ shape }, at) => backend.upload(values[at], shape));
  const { run, check } = createKernelSubject(backend, kernel, buffers, params);
  await check();
  // An optimizer's step names every array of the model.
  const shapes = types.length > 12
    ? `${types.length} arrays`
    : types.map(({ shape }) => shape.join("x")).join(" ");
  // No group: its summary would compare kernels that do different things.
  Deno.bench({ name: `${name} ${shapes}`.trimEnd(), fn: run });
}
