// Regimes: routing has to find the topic. Each topic has a linear rule of its own for the own part of its inputs, so one
// expert a topic is all it takes, and it is judged on inputs never seen in training.
import * as z from "zod";
import { type Random, random } from "../tensor/random.ts";
import { classificationData, clusteredVectors, oneLayer } from "./classification.ts";
import type { ReferenceLoss, TaskPlugin } from "./task.ts";

/** Options of {@linkcode regimes}. */
export interface RegimesOptions {
  /** Inputs, those held out included. */
  readonly inputs: number;
  /** Topics, each with its own rule. */
  readonly topics: number;
  /** Classes to choose from; chance has loss log(classes). */
  readonly classes: number;
  /** Width D of the vectors, and of the model. */
  readonly width: number;
  /** Size of an input's own part beside its topic's centre. */
  readonly spread: number;
  /** Zipf exponent: topic c is drawn in proportion to c^-skew; 0 = equally often. */
  readonly skew: number;
  /** Share of answers replaced by a class drawn at random, in training and in what is held out. */
  readonly noise: number;
  /** Share of inputs held out. */
  readonly heldOut: number;
  /** Seed of the topics and inputs, apart from the seed of a run. */
  readonly world: number;
}

/**
 * Topics with a linear rule each: finding the topic is the router's work.
 * @example
 * ```ts
 * import { parseTaskOptions, regimes } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const data = await regimes.load(parseTaskOptions(regimes, { inputs: 1000, skew: 1, noise: 0.1 }));
 * assertEquals(data.facts, { "inputs": 900, "inputs held out": 100, topics: 8, classes: 8 });
 * assertEquals(data.bestRouting?.about, "by the input's true topic");
 * ```
 */
export const regimes: TaskPlugin<RegimesOptions> = {
  name: "regimes",
  about:
    "Topics with a linear rule each: an input is its topic's centre and an own part, its class the topic's rule applied to the own part; judged on inputs never seen.",
  source: "Ours, after the clusters of Chen, Deng, Wu, Gu, Li 2022, arXiv:2208.02813.",
  options: z.strictObject({
    inputs: z.int().min(2).default(40960).describe("inputs, those held out included"),
    topics: z.int().min(1).default(8).describe("topics, each with its own rule"),
    classes: z.int().min(2).default(8).describe("classes to choose from; chance has loss log(classes)"),
    width: z.int().min(1).default(32).describe("width D of the vectors, and of the model"),
    spread: z.number().min(0).default(0.7).describe("size of an input's own part beside its topic's centre"),
    skew: z.number().min(0).default(0).describe(
      "Zipf exponent: topic c is drawn in proportion to c^-skew; 0 = equally often",
    ),
    noise: z.number().min(0).max(1).default(0).describe(
      "share of answers replaced by a class drawn at random, in training and in what is held out",
    ),
    heldOut: z.number().gt(0).lt(1).default(0.1).describe("share of inputs held out"),
    world: z.int().min(0).default(7).describe("seed of the topics and inputs, apart from the seed of a run"),
  }),
  defaults: { ...oneLayer, "train.steps": 800, "train.warmupShare": 0.025 },
  sizes: {
    tiny: { "task.inputs": 8192, "train.steps": 200 },
    small: {},
    base: { "model.expertWidth": 64, "model.feedForwardWidth": 64, "train.steps": 3000 },
  },
  async load({ inputs, topics, classes, width: D, spread, skew, noise, heldOut, world: seed }) {
    const firstHeldOut = Math.floor(inputs * (1 - heldOut));
    if (firstHeldOut < 1 || firstHeldOut === inputs) {
      throw new RangeError(
        `Cannot hold out a share of ${heldOut} of ${inputs} inputs: choose one that leaves some to train on and some ` +
          "to judge by",
      );
    }
    const world = random(seed);
    const topic_N = topicsOf(world.split("topic").uniform(inputs), topics, skew);
    const { values, own_ND } = clusteredVectors(world, topic_N, { topics, D, spread });
    const rules = world.split("maps").normal(topics * D * classes);
    return await classificationData({
      name: "regimes",
      input_ND: values,
      topic_N,
      topics,
      class_N: withNoise(world, answersOf(own_ND, topic_N, rules, { D, classes }), classes, noise),
      output_VD: world.split("objvec").normal(classes * D),
      D,
      trainingRows: firstHeldOut,
      firstHeldOut,
      facts: { inputs: firstHeldOut, "inputs held out": inputs - firstHeldOut, topics, classes },
      references: noise === 0 ? [] : [noiseAlone(classes, noise)],
      bestRouting: { about: "by the input's true topic", group_V: topic_N },
    });
  },
};

/** A topic for each draw; topic c, from 1, has weight c^-skew. */
function topicsOf(draws: Float32Array, topics: number, skew: number): Int32Array {
  const upTo: number[] = [];
  for (let topic = 0; topic < topics; topic++) upTo.push((upTo[topic - 1] ?? 0) + (topic + 1) ** -skew);
  return Int32Array.from(draws, (draw) => {
    const place = draw * upTo[topics - 1];
    const topic = upTo.findIndex((end) => place < end);
    return topic < 0 ? topics - 1 : topic;
  });
}

/** The class that the rule of its topic scores highest for each own part. */
function answersOf(
  own_ND: Float32Array,
  topic_N: Int32Array,
  rules: Float32Array,
  { D, classes }: { readonly D: number; readonly classes: number },
): Int32Array {
  return topic_N.map((topic, row) => {
    let [best, highest] = [0, -Infinity];
    for (let v = 0; v < classes; v++) {
      let score = 0;
      for (let d = 0; d < D; d++) score += own_ND[row * D + d] * rules[(topic * D + d) * classes + v];
      if (score > highest) [best, highest] = [v, score];
    }
    return best;
  });
}

function withNoise(world: Random, class_N: Int32Array, classes: number, share: number): Int32Array {
  if (share === 0) return class_N;
  const replaced = world.split("noise").uniform(class_N.length);
  const drawn = world.split("replacement").uniform(class_N.length);
  return class_N.map((answer, row) => replaced[row] < share ? Math.floor(drawn[row] * classes) : answer);
}

/** Loss of a model that knows every rule: the entropy of an answer that noise may have replaced. */
function noiseAlone(classes: number, noise: number): ReferenceLoss {
  const other = noise / classes;
  const right = 1 - noise + other;
  return { name: "noise alone", loss: -right * Math.log(right) - (classes - 1) * other * Math.log(other) };
}
