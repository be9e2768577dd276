// What recall and regimes share: rows of frozen vectors that lie in topics, each with one of V classes to say. Inputs and
// outputs are frozen, so that nothing but experts and router can learn.
import type { Random } from "../tensor/random.ts";
import { digestOf } from "./digest.ts";
import { drawRows, rowsInOrder, sequenceLengths } from "./rows.ts";
import type { ReferenceLoss, TaskData } from "./task.ts";

/** Settings of a run on such a task: one mixture with its residual, no norm before it, AdamW without decay. */
export const oneLayer: Readonly<Record<string, unknown>> = {
  "model.width": 32,
  "model.heads": 0,
  "model.layers": 1,
  "model.moeEvery": 1,
  "model.feedForwardWidth": 32,
  "model.experts": 8,
  "model.expertWidth": 32,
  "model.norm": false,
  "model.residualScale": 1,
  "experts.bias": true,
  "train.batch": 1,
  "train.length": 512,
  "train.learningRate": 0.01,
  "train.endShare": 0,
  "train.weightDecay": 0,
  "train.evaluationBatches": null,
};

/** Vectors around centres. */
export interface Clusters {
  readonly topics: number;
  readonly D: number;
  /** Size of a vector's own part beside its topic's centre. */
  readonly spread: number;
}

/**
 * A vector for each of N rows: (centre of its topic + spread x own part) / sqrt(1 + spread^2), so that entries keep
 * variance 1. Centres and own parts are standard normal.
 */
export function clusteredVectors(
  world: Random,
  topic_N: Int32Array,
  { topics, D, spread }: Clusters,
): { values: Float32Array; own_ND: Float32Array } {
  const centre = world.split("centre").normal(topics * D);
  const own_ND = world.split("own").normal(topic_N.length * D);
  const scale = Math.sqrt(1 + spread * spread);
  const values = own_ND.map((own, at) => {
    const [row, d] = [Math.floor(at / D), at % D];
    return (centre[topic_N[row] * D + d] + spread * own) / scale;
  });
  return { values, own_ND };
}

/** What a task of vectors and classes is made of. */
export interface Classification {
  readonly name: string;
  /** Frozen inputs, [N, D]. */
  readonly input_ND: Float32Array;
  readonly topic_N: Int32Array;
  readonly topics: number;
  readonly class_N: Int32Array;
  /** Frozen outputs, one a class, [V, D]. */
  readonly output_VD: Float32Array;
  readonly D: number;
  /** Rows that training draws from: the first of them. */
  readonly trainingRows: number;
  /** First row to judge by; all up to the last are. */
  readonly firstHeldOut: number;
  readonly facts: Readonly<Record<string, number>>;
  /** Beside chance. */
  readonly references: readonly ReferenceLoss[];
  readonly bestRouting: TaskData["bestRouting"];
}

/** Its examples as a task's. */
export async function classificationData(made: Classification): Promise<TaskData> {
  const { name, input_ND, output_VD, class_N, topic_N, topics, D, trainingRows, firstHeldOut } = made;
  const N = class_N.length;
  const V = output_VD.length / D;
  const targetOf = (rows: Int32Array) => {
    const target_T = new Int32Array(rows.length);
    for (let at = 0; at < rows.length; at++) target_T[at] = class_N[rows[at]];
    return target_T;
  };
  return {
    name,
    digest: await digestOf(
      name,
      input_ND,
      output_VD,
      class_N,
      topic_N,
      Int32Array.of(trainingRows, firstHeldOut),
    ),
    input: { kind: "vectors", vectors: { rows: N, D, values: input_ND } },
    output: { kind: "vectors", vectors: { rows: V, D, values: output_VD }, loss: "cross-entropy" },
    labels: [{ name: "topic", names: Array.from({ length: topics }, (_, at) => `topic ${at + 1}`) }],
    facts: made.facts,
    references: [{ name: "chance", loss: Math.log(V) }, ...made.references],
    nameOf: () => null,
    trainingExamples(shape) {
      const rowsAt = drawRows(trainingRows, shape);
      return (step) => {
        const tokenId = rowsAt(step);
        const lengths = sequenceLengths(tokenId.length, shape.length);
        return { tokenId, target: targetOf(tokenId), lengths };
      };
    },
    evaluationExamples: (shape) =>
      rowsInOrder(firstHeldOut, N, shape).map((tokenId) => ({
        tokenId,
        target: targetOf(tokenId),
        lengths: sequenceLengths(tokenId.length, shape.length),
        labels: [tokenId.map((row) => topic_N[row])],
      })),
    bestRouting: made.bestRouting,
  };
}
