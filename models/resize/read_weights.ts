// Parameters as they are now, on the host.
import type { Parameter } from "../../tensor/tensor.ts";
import type { Weights } from "./axes.ts";

/** Values of parameters as they are now. */
export async function readWeights(
  params: Readonly<Record<string, Parameter>>,
): Promise<Record<string, Weights>> {
  const values = await Promise.all(Object.values(params).map((param) => param.read()));
  return Object.fromEntries(
    Object.entries(params).map(([name, { shape }], at) => [
      name,
      { values: values[at] as Float32Array, shape },
    ]),
  );
}
