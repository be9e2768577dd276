// Recall: what experts can remember. Keys lie in topics, but objects are drawn without regard to them, so nothing can be
// inferred and every fact has to be stored; it is judged on the facts it learned.
import * as z from "zod";
import { random } from "../tensor/random.ts";
import { classificationData, clusteredVectors, oneLayer } from "./classification.ts";
import type { TaskPlugin } from "./task.ts";

/** Options of {@linkcode recall}. */
export interface RecallOptions {
  /** Keys, each with one object. */
  readonly facts: number;
  /** Centres that keys lie around, dealt out in turn. */
  readonly topics: number;
  /** Objects to choose from; chance has loss log(objects). */
  readonly objects: number;
  /** Width D of the vectors, and of the model. */
  readonly width: number;
  /** Size of a key's own part beside its topic's centre. */
  readonly spread: number;
  /** Seed of the facts, apart from the seed of a run. */
  readonly world: number;
}

/**
 * Keys with an object each, drawn at random: memory is what experts have.
 * @example
 * ```ts
 * import { parseTaskOptions, random, recall } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const data = await recall.load(parseTaskOptions(recall, { facts: 256 }));
 * const batch = data.trainingExamples({ batch: 1, length: 512, random: random(0) })(0);
 * assertEquals([batch.tokenId.length, data.references[0].loss], [512, Math.log(64)]);
 * ```
 */
export const recall: TaskPlugin<RecallOptions> = {
  name: "recall",
  about:
    "Facts to store: each key, a vector near its topic's centre, has one object drawn at random; judged on the same facts.",
  source: "Ours, after the phone book of Jelassi et al. 2024, arXiv:2410.19034.",
  options: z.strictObject({
    facts: z.int().min(1).default(2048).describe("keys, each with one object"),
    topics: z.int().min(1).default(16).describe("centres that keys lie around, dealt out in turn"),
    objects: z.int().min(2).default(64).describe("objects to choose from; chance has loss log(objects)"),
    width: z.int().min(1).default(32).describe("width D of the vectors, and of the model"),
    spread: z.number().min(0).default(0.5).describe("size of a key's own part beside its topic's centre"),
    world: z.int().min(0).default(7).describe("seed of the facts, apart from the seed of a run"),
  }),
  defaults: { ...oneLayer, "train.steps": 600, "train.warmupShare": 0.033 },
  sizes: {
    tiny: { "task.facts": 512, "train.steps": 150 },
    small: {},
    base: { "model.expertWidth": 64, "model.feedForwardWidth": 64, "train.steps": 2000 },
  },
  async load({ facts, topics, objects, width: D, spread, world: seed }) {
    const world = random(seed);
    const topic_N = Int32Array.from({ length: facts }, (_, at) => at % topics);
    const { values } = clusteredVectors(world, topic_N, { topics, D, spread });
    return await classificationData({
      name: "recall",
      input_ND: values,
      topic_N,
      topics,
      class_N: Int32Array.from(world.split("object").uniform(facts), (draw) => Math.floor(draw * objects)),
      output_VD: world.split("objvec").normal(objects * D),
      D,
      trainingRows: facts,
      firstHeldOut: 0,
      facts: { facts, topics, objects },
      references: [],
      // Facts of one topic are alike, so experts tell them apart best when each holds few of them: 0.06 nats, where a table
      // that keeps topics together (fact mod E) comes to 0.4.
      bestRouting: {
        about: "a fixed balanced table that deals the facts of each topic out to experts in turn",
        group_V: Int32Array.from({ length: facts }, (_, at) => Math.floor(at / topics)),
      },
    });
  },
};
