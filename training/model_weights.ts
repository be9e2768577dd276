// What a model is beside its spec, by name: parameters, and what routers carry beyond them (`state.blocks.1.router.bias`).
// Checkpoints and saved models hold both under these names.
import type { Model } from "../models/model.ts";
import { type Parameter, tensor } from "../tensor/tensor.ts";
import type { CheckpointTensor } from "./checkpoint.ts";
import { restoreRouters, routerState } from "./router_state.ts";

type Tensors = Readonly<Record<string, CheckpointTensor>>;

/** Values of parameters as they are now. */
export async function readParameters(
  params: Readonly<Record<string, Parameter>>,
): Promise<Record<string, CheckpointTensor>> {
  const values = await Promise.all(Object.values(params).map((param) => param.read()));
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape }], at) => [name, { values: values[at], shape }]),
  );
}

/** @throws {RangeError} through `refuse` when a tensor is missing or has another shape. */
export function assignParameters(
  params: Readonly<Record<string, Parameter>>,
  tensors: Tensors,
  refuse: (why: string) => never,
): void {
  for (const [name, param] of Object.entries(params)) {
    const { values, shape } = tensors[name] ?? refuse(`it has no "${name}"`);
    if (String(shape) !== String(param.shape)) {
      refuse(`"${name}" has shape [${shape.join(", ")}], and the model's has [${param.shape.join(", ")}]`);
    }
    param.assign(tensor(param.backend, values, shape));
  }
}

/**
 * What routers carry beyond parameters.
 * @throws {TypeError} as {@linkcode routerState} does.
 */
export function routerStates(routers: Model["routers"]): Record<string, CheckpointTensor> {
  return Object.fromEntries(
    routerState(routers).map(([name, values]) => [name, { values, shape: [values.length] }]),
  );
}

/** @throws {RangeError} through `refuse` when a tensor is missing. */
export function restoreStates(
  routers: Model["routers"],
  tensors: Tensors,
  refuse: (why: string) => never,
): void {
  restoreRouters(routers, (name) => {
    const { values } = tensors[name] ?? refuse(`it has no "${name}"`);
    return Float32Array.from(values);
  });
}
