// Initial expert weights, drawn hidden unit by hidden unit: unit u of the bank (expert floor(u / F), its unit u mod F)
// gets the same numbers whatever E and F are, so banks cut into more, narrower experts start from the same network.
import * as z from "zod";
import type { Init } from "../../tensor/init.ts";
import type { OptionField } from "../../tensor/plugins.ts";
import type { Random } from "../../tensor/random.ts";
import type { Parameter } from "../../tensor/tensor.ts";
import type { ExpertDims } from "../expert.ts";

/** The option of a kind of experts whose last matrix maps F hidden units back. */
export const outDeviationOption: OptionField<number | null> = z.number().positive()
  .nullable().default(null).describe("standard deviation of W_out's init; null = 1 / sqrt(F)");

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
export function unitsIn(name: string, dims: ExpertDims, init: Init): Parameter {
  const { D, F, E } = dims;
  return init.parameter(name, [E, D, F], (random) => drawUnitsIn(random, dims));
}

/**
 * Two such weights side by side, [E, D, 2 F]: unit f's are columns 2 f and 2 f + 1. They get the numbers that `unitsIn` draws
 * under their two names, so that a bank starts as the same network whichever way it is laid out.
 * @example
 * ```ts
 * import { cpu, createInit, pairedUnitsIn, random, unitsIn } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const backend = await cpu({ threads: 1 });
 * const [init, dims] = [createInit(backend, random(0)), { D: 1, F: 2, E: 1 }];
 * const [gate, unit] = await Promise.all([unitsIn("gate", dims, init).read(), unitsIn("in", dims, init).read()]);
 * const pairs = await pairedUnitsIn("gateIn", ["gate", "in"], dims, init).read();
 * assertEquals(pairs, Float32Array.of(gate[0], unit[0], gate[1], unit[1]));
 * backend.close();
 * ```
 */
export function pairedUnitsIn(
  name: string,
  names: readonly [string, string],
  dims: ExpertDims,
  init: Init,
): Parameter {
  const { D, F, E } = dims;
  return init.parameter(name, [E, D, 2 * F], (_, count) => {
    const values = new Float32Array(count);
    names.forEach((each, place) => {
      drawUnitsIn(init.random.split(each), dims).forEach((value, at) => values[2 * at + place] = value);
    });
    return values;
  });
}

function drawUnitsIn(random: Random, { D, F, E }: ExpertDims): Float32Array {
  const drawn = random.normal(E * D * F);
  const scale = 1 / Math.sqrt(D);
  const values = new Float32Array(drawn.length);
  for (let e = 0; e < E; e++) {
    for (let d = 0; d < D; d++) {
      for (let f = 0; f < F; f++) values[(e * D + d) * F + f] = scale * drawn[(e * F + f) * D + d];
    }
  }
  return values;
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
