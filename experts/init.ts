// Initial expert weights, drawn hidden unit by hidden unit: unit u of the bank (expert floor(u / F), its unit u mod F)
// gets the same numbers whatever E and F are, so banks cut into more, narrower experts start from the same network.
import type { Init } from "../tensor/init.ts";
import type { Parameter } from "../tensor/tensor.ts";
import type { ExpertDims } from "./expert.ts";

/** Weights into hidden units, [E, D, F], normal with standard deviation 1 / sqrt(D). */
export function unitsIn(name: string, { D, F, E }: ExpertDims, init: Init): Parameter {
  return init.parameter(name, [E, D, F], (random, count) => {
    const drawn = random.normal(count);
    const scale = 1 / Math.sqrt(D);
    const values = new Float32Array(count);
    for (let e = 0; e < E; e++) {
      for (let d = 0; d < D; d++) {
        for (let f = 0; f < F; f++) values[(e * D + d) * F + f] = scale * drawn[(e * F + f) * D + d];
      }
    }
    return values;
  });
}

/** Weights out of hidden units, [E, F, D], normal with the given standard deviation. */
export function unitsOut(name: string, { D, F, E }: ExpertDims, deviation: number, init: Init): Parameter {
  return init.parameter(
    name,
    [E, F, D],
    (random, count) => random.normal(count).map((value) => value * deviation),
  );
}
