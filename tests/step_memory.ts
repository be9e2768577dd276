// What a training step takes of memory, beside what it has to keep: counted by hand from the model's sizes in
// bench/scaling/memory_by_hand.ts, parameters' gradients not among them. Both are the same on every machine.
import { assert, assertEquals } from "@std/assert";
import { memoryByHand } from "../bench/scaling/memory_by_hand.ts";
import { cpu } from "../cpu/backend.ts";
import { type SizeName, sizes, vocabularies } from "../models/sizes.ts";
import { textData } from "../tasks/text.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";
import { tinyConfig } from "./run_configs.ts";

const BAR = 1.3;

/** Sizes whose steps take long: tests/long/memory_test.ts. */
export const longSizes: readonly SizeName[] = ["base"];

/** Sizes whose steps do not. */
export const shortSizes = (Object.keys(sizes) as SizeName[]).filter((name) => !longSizes.includes(name));

/** A test of the peak of two steps. */
export function testStep(sizeName: SizeName): void {
  Deno.test(`a step of size ${sizeName} takes at most ${BAR} times what is counted by hand`, async () => {
    const text = { words: 10_000, documents: 10, wordsEach: 20_000 };
    const config = tinyConfig("switch", {}, sizes[sizeName], { "train.steps": 2 });
    const T = config.train.batch * config.train.length;
    const made = madeUpDataset({ ...text, vocabulary: vocabularies[sizeName] });
    assertEquals(made.vocabulary.size, vocabularies[sizeName]);
    // Looking at more than one batch of validation text takes time, and no more memory.
    const data = await textData({ ...made, validation: made.validation.subarray(0, T + 1) });
    using backend = await cpu({ threads: 2 });
    const peaks: number[] = [];
    using run = await train(config, {
      backend,
      data,
      onStep: () => peaks.push(backend.statistics().carvedBytes),
    });
    const { total } = run.record.header.parameters;
    const { parameters, optimizer, activations } = memoryByHand(specOf(config, data), T, total);
    assertEquals(peaks.length, 2);
    assertEquals(
      new Set([...peaks, backend.statistics().carvedBytes]).size,
      1,
      "the first step takes all there is",
    );
    const ratio = peaks[0] / (parameters + optimizer + activations);
    assert(ratio <= BAR, `the peak is ${ratio.toFixed(2)} times what is counted by hand`);
  });
}
