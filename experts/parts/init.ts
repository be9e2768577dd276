// Initial expert weights, drawn hidden unit by hidden unit: unit u of the bank (expert floor(u / F), its unit u mod F)
// gets the same numbers whatever E and F are, so banks cut into more, narrower experts start from the same network.
import type { Init } from "../../tensor/init.ts";
import type { Parameter } from "../../tensor/tensor.ts";
import type { ExpertDims } from "../expert.ts";

/**
 * Weights into hidden units, [E, D, F], normal with standard deviation 1 / sqrt(D).
 * @example
 * ```ts
 * import { cpu, createInit, random, unitsIn } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const [a, b, c, d] = await unitsIn("in", { D: 2, F: 2, E: 1 }, init).read(); // units (a, c) and (b, d)
 * // The same units in two experts of one unit each.
 * assertEquals(await unitsIn("in", { D: 2, F: 1, E: 2 }, init).read(), Float32Array.of(a, c, b, d));
 * backend.close();
 * ```
 */
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

/**
 * Weights out of hidden units, [E, F, D], normal with the given standard deviation.
 * @example
 * ```ts
 * import { cpu, createInit, random, unitsOut } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const init = createInit(backend, random(0));
 * const wide_EFD = unitsOut("out", { D: 2, F: 2, E: 1 }, 0.1, init);
 * const narrow_EFD = unitsOut("out", { D: 2, F: 1, E: 2 }, 0.1, init);
 * assertEquals(await narrow_EFD.read(), await wide_EFD.read()); // the same units in two experts of one unit each
 * backend.close();
 * ```
 */
export function unitsOut(name: string, { D, F, E }: ExpertDims, deviation: number, init: Init): Parameter {
  return init.parameter(
    name,
    [E, F, D],
    (random, count) => random.normal(count).map((value) => value * deviation),
  );
}
