// Regression: a function of one or two variables in pieces, each linear, so that one linear expert a piece is all it takes
// and a picture shows who computes where. Features are [1, x], so that linear experts need no bias.
import * as z from "zod";
import { random } from "../tensor/random.ts";
import { digestOf } from "./digest.ts";
import { linearError } from "./least_squares.ts";
import { functionNames, piecewiseLinear } from "./piecewise.ts";
import { rowsInOrder, sequenceLengths, walkRows } from "./rows.ts";
import type { FrozenVectors } from "../models/spec.ts";
import type { TaskData, TaskPlugin } from "./task.ts";

function namesOf(variables: number): string {
  return functionNames.filter((name) => piecewiseLinear[name].variables === variables).join(", ");
}

/** Points on which a function of one variable is judged, and of two variables: a square of 32. */
const GRID = 1024;

/** Options of {@linkcode regression}. */
export interface RegressionOptions {
  /** Of one variable: two, skew, four, four-skew; of two: quadrants, checker, disc. */
  readonly function: "two" | "skew" | "four" | "four-skew" | "quadrants" | "checker" | "disc";
  /** Training points, uniform in [0, 1) or its square. */
  readonly points: number;
  /** Standard deviation of noise on training values. */
  readonly noise: number;
  /** Seed of the points, apart from the seed of a run. */
  readonly world: number;
}

/**
 * Functions in linear pieces.
 * @example
 * ```ts
 * import { parseTaskOptions, regression } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const data = await regression.load(parseTaskOptions(regression, { function: "quadrants" }));
 * assertEquals(data.facts, { "training points": 100, "grid points": 1024, pieces: 4 });
 * ```
 */
export const regression: TaskPlugin<RegressionOptions> = {
  name: "regression",
  about:
    "A function of one or two variables in linear pieces, learned from random points and judged on a grid without noise.",
  source:
    "Ours, in the manner of the toy of Kool, Maddison, Mnih 2021, arXiv:2109.11817, whose settings are not published.",
  options: z.strictObject({
    function: z.enum(functionNames).default("two").describe(
      `of one variable: ${namesOf(1)}; of two: ${namesOf(2)}`,
    ),
    points: z.int().min(1).default(100).describe("training points, uniform in [0, 1) or its square"),
    noise: z.number().min(0).default(0).describe("standard deviation of noise on training values"),
    world: z.int().min(0).default(7).describe("seed of the points, apart from the seed of a run"),
  }),
  defaults: {
    "model.width": 2,
    "model.heads": 0,
    "model.layers": 1,
    "model.moeEvery": 1,
    "model.feedForwardWidth": 1,
    "model.experts": 2,
    "model.expertWidth": 1,
    "model.norm": false,
    "model.residual": false,
    "model.outputNorm": false,
    "experts.name": "linear",
    "experts.outDeviation": 0.1,
    "train.batch": 1,
    "train.length": 100,
    "train.steps": 4000,
    "train.learningRate": 0.1,
    "train.warmupShare": 0,
    "train.endShare": 1,
    "train.beta2": 0.999,
    "train.weightDecay": 0,
    "train.maximumNorm": 1e6,
    "train.evaluationBatches": null,
  },
  sizes: { tiny: { "train.steps": 500 }, small: {}, base: { "train.steps": 10_000 } },
  async load({ function: name, points, noise, world: seed }) {
    const made = piecewiseLinear[name];
    const world = random(seed);
    const places = [
      ...pairs(world.split("x").uniform(points * made.variables), made.variables),
      ...grid(made.variables),
    ];
    const piece_N = Int32Array.from(places, (place) => made.pieceOf(place));
    const clean_N = Float32Array.from(places, (place, at) => dot(made.pieces[piece_N[at]], [1, ...place]));
    const added = world.split("noise").normal(points);
    const value_N = clean_N.map((value, at) => at < points ? value + noise * added[at] : value);
    return await regressionData({
      name: `regression, ${name}`,
      input: {
        rows: places.length,
        D: made.variables + 1,
        values: Float32Array.from(places.flatMap((place) => [1, ...place])),
      },
      value_N,
      piece_N,
      pieces: made.pieces.length,
      points,
    });
  },
};

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, at) => sum + value * b[at], 0);
}

function pairs(values: Float32Array, variables: number): number[][] {
  return Array.from(
    { length: values.length / variables },
    (_, at) => [...values.subarray(at * variables, (at + 1) * variables)],
  );
}

/** Middles of equal cells, so that no point lies on a boundary of pieces. */
function grid(variables: number): number[][] {
  const side = Math.round(GRID ** (1 / variables));
  const middle = (at: number) => (at + 0.5) / side;
  return Array.from(
    { length: GRID },
    (_, at) => variables === 1 ? [middle(at)] : [middle(at % side), middle(Math.floor(at / side))],
  );
}

/** Points to train on, then the grid. */
interface Points {
  readonly name: string;
  readonly input: FrozenVectors;
  readonly value_N: Float32Array;
  readonly piece_N: Int32Array;
  readonly pieces: number;
  /** Rows to train on. */
  readonly points: number;
}

async function regressionData({ name, input, value_N, piece_N, pieces, points }: Points): Promise<TaskData> {
  const { D, rows } = input;
  const examples = (tokenId: Int32Array, length: number) => ({
    tokenId,
    target: Float32Array.from(tokenId, (row) => value_N[row]),
    lengths: sequenceLengths(tokenId.length, length),
  });
  const [judged, values] = [input.values.subarray(points * D), value_N.subarray(points)];
  // The first feature of an expert's output is its answer.
  const output = Float32Array.from({ length: D }, (_, d) => d === 0 ? 1 : 0);
  return {
    name,
    digest: await digestOf(name, input.values, value_N, piece_N, Int32Array.of(points)),
    input: { kind: "vectors", vectors: input },
    output: { kind: "vectors", vectors: { rows: 1, D, values: output }, loss: "squared-error" },
    labels: [{ name: "piece", names: Array.from({ length: pieces }, (_, at) => `piece ${at + 1}`) }],
    facts: { "training points": points, "grid points": rows - points, pieces },
    references: [
      { name: "a constant", loss: linearError(values.map(() => 1), values, 1) },
      { name: "one linear function", loss: linearError(judged, values, D) },
    ],
    nameOf: () => null,
    trainingExamples(shape) {
      const rowsAt = walkRows(points, shape);
      return (step) => examples(rowsAt(step), shape.length);
    },
    evaluationExamples: (shape) =>
      rowsInOrder(points, rows, shape).map((tokenId) => ({
        ...examples(tokenId, shape.length),
        labels: [tokenId.map((row) => piece_N[row])],
      })),
    bestRouting: { about: "by the piece that the point lies in", group_V: piece_N },
  };
}
