// How many keys fall into each group: an expert's load.
import { bytesOf, type Case, i32, type Kernel, match } from "../kernel.ts";
import { elements } from "../parts/elementwise.ts";
import { grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };

/** Groups are numbered from 0 to `groups` - 1. */
export interface CountParams {
  readonly groups: number;
}

export const count: Kernel<CountParams> = {
  name: "count",
  about: "y[groups]: how many keys equal each group's number; other keys, such as -1, are not counted.",
  outputs(inputs, { groups }) {
    match("count", inputs, ["i32 *"]);
    if (!Number.isInteger(groups) || groups < 1) {
      throw new RangeError(`Cannot run count: groups must be a whole number from 1, not ${groups}`);
    }
    return [i32(groups)];
  },
  reference([key], [y], _types, { groups }) {
    for (const group of key) if (group >= 0 && group < groups) y[group]++;
  },
  wasm: "count",
  cpu(inputs, { groups }) {
    return { units: 1, grain: 1, integers: [elements(inputs), groups] };
  },
  wgsl: [program],
  gpu(inputs, { groups }, facts) {
    const workgroups = grid(Math.ceil(groups / 2048), facts);
    return { passes: [{ program, integers: [elements(inputs), groups], workgroups }] };
  },
  cost(inputs, { groups }) {
    return { flop: 0, bytes: bytesOf(...inputs, i32(groups)) };
  },
  rounding: () => 0,
  cases: [
    countCase("odd size", [13, 3], 7, -1, 7),
    countCase("one key", [1], 1, 0, 1),
    countCase("no keys", [0, 2], 5, 0, 5),
    countCase("keys out of range", [200], 8, -5, 12),
    countCase("empty groups", [9], 300, 100, 103),
    countCase("many keys", [30_000], 64, -1, 64),
  ],
};

function countCase(
  about: string,
  shape: number[],
  groups: number,
  low: number,
  below: number,
): Case<CountParams> {
  return {
    about,
    inputs: [{ type: i32(...shape), fill: { kind: "integers", low, below } }],
    params: { groups },
  };
}
