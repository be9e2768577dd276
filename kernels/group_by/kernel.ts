// Stable counting sort by a small key: assignments by expert, or by token. A key outside the groups (-1 for a dropped
// assignment) takes no place.
import { type ArrayType, bytesOf, type Case, i32, type Kernel, match } from "../kernel.ts";
import { checkTrips, forEach, grid } from "../parts/grid.ts";
import program from "./gpu.wgsl" with { type: "text" };
import large from "./gpu_large.wgsl" with { type: "text" };
import stable from "../parts/stable.wgsl" with { type: "text" };

/** Keys that one workgroup sorts alone; more are cut into chunks. */
const ONE_WORKGROUP = 32768;
/** Keys a workgroup takes at a time. */
const ROUND = 256;
/** Trips of loops that stable.wgsl takes for a round, and the loop around it for going on. */
const TRIPS_A_ROUND = 66;
/** Counts of groups by chunk, 16 MiB. */
const MOST_COUNTS = 2 ** 22;
const COUNTS_A_BLOCK = 4096;

/** How many groups there are; keys run from 0 to `groups` - 1. */
export interface GroupByParams {
  readonly groups: number;
}

function bind(inputs: readonly ArrayType[], { groups }: GroupByParams): { N: number; G: number } {
  const { rows } = match("group_by", inputs, ["i32 *"]);
  if (!Number.isInteger(groups) || groups < 1) {
    throw new RangeError(`Cannot run group_by: groups is ${groups}, it must be a whole number from 1`);
  }
  return { N: rows, G: groups };
}

export const groupBy: Kernel<GroupByParams> = {
  name: "group_by",
  about:
    "Order of a stable sort by key, where each group starts in it, and each entry's place in it (-1: none).",
  outputs(inputs, params) {
    const { N, G } = bind(inputs, params);
    return [i32(N), i32(G + 1), i32(N)];
  },
  reference([key], [order, offset, position], types, params) {
    const { N, G } = bind(types, params);
    order.fill(-1);
    position.fill(-1);
    let place = 0;
    for (let g = 0; g < G; g++) {
      for (let n = 0; n < N; n++) {
        if (key[n] !== g) continue;
        order[place] = n;
        position[n] = place++;
      }
      offset[g + 1] = place;
    }
  },
  wasm: "groupBy",
  cpu(inputs, params) {
    const { N, G } = bind(inputs, params);
    return { units: 1, grain: 1, integers: [N, G] };
  },
  wgsl: [stable + program, stable + large],
  gpu(inputs, params, facts) {
    const { N, G } = bind(inputs, params);
    const work = `${N} keys of ${G} groups`;
    if (N <= ONE_WORKGROUP) {
      const rounds = Math.ceil(N / ROUND);
      const trips = (TRIPS_A_ROUND + 2) * rounds + 3 * Math.ceil((G + 1) / ROUND) + 16;
      checkTrips("group_by", work, trips, facts);
      return {
        scratch: [i32(G)],
        passes: [{
          program: stable + program,
          writes: [1, 2, 3, 4],
          integers: [N, G],
          workgroups: [1, 1, 1],
        }],
      };
    }
    const chunks = Math.max(1, Math.min(Math.ceil(N / ROUND), Math.floor(MOST_COUNTS / G)));
    const keysPerChunk = ROUND * Math.ceil(N / ROUND / chunks);
    const blocks = Math.ceil(G * chunks / COUNTS_A_BLOCK);
    const trips = Math.max(TRIPS_A_ROUND * keysPerChunk / ROUND, 2 * Math.ceil(blocks / ROUND)) + 16;
    checkTrips("group_by", work, trips, facts);
    const common = {
      program: stable + large,
      writes: [1, 2, 3, 4, 5],
      integers: [N, G, chunks, keysPerChunk, blocks],
    };
    return {
      scratch: [i32(G * chunks), i32(blocks + 1)],
      passes: [
        { ...common, entry: "clear", workgroups: forEach(G * chunks, facts) },
        { ...common, entry: "rank", workgroups: grid(chunks, facts) },
        { ...common, entry: "sumBlocks", workgroups: grid(blocks, facts) },
        { ...common, entry: "sumSums", workgroups: [1, 1, 1] },
        { ...common, entry: "addSums", workgroups: grid(blocks, facts) },
        { ...common, entry: "place", workgroups: forEach(N, facts) },
      ],
    };
  },
  cost(inputs, params) {
    const { N, G } = bind(inputs, params);
    return { flop: 0, bytes: bytesOf(...inputs, i32(N), i32(G + 1), i32(N)) };
  },
  rounding() {
    return 0;
  },
  cases: [
    keysCase("few keys, one dropped", [8], [2, 0, -1, 2, 1, 0, 2, 0], 3),
    keysCase("a group without entries", [3], [3, 1, 3], 4),
    keysCase("every entry dropped", [2, 2], [-1, -1, 7, 4], 4),
    keysCase("one entry", [1], [0], 1),
    keysCase("no entries", [0], [], 5),
    randomCase("one group", [100], 1),
    randomCase("top-2 of 64 experts", [512, 2], 64),
    randomCase("more groups than entries", [37], 1000),
    randomCase("more entries than one workgroup sorts", [35_003], 77),
    randomCase("odd sizes in three dimensions", [3, 5, 67], 7),
  ],
};

function keysCase(about: string, shape: number[], values: number[], groups: number): Case<GroupByParams> {
  return { about, inputs: [{ type: i32(...shape), fill: { kind: "values", values } }], params: { groups } };
}

function randomCase(about: string, shape: number[], groups: number): Case<GroupByParams> {
  const fill = { kind: "integers", low: -1, below: groups } as const;
  return { about, inputs: [{ type: i32(...shape), fill }], params: { groups } };
}
