// What a training step takes of memory, beside what it has to keep: counted by hand from the model's sizes in
// bench/memory_by_hand.ts, parameters' gradients not among them. Both are the same on every machine.
import { assert, assertEquals } from "@std/assert";
import { memoryByHand } from "../bench/memory_by_hand.ts";
import { cpu } from "../cpu/backend.ts";
import { type SizeName, sizes } from "../models/presets.ts";
import { findRouter, parseOptions } from "../routers/registry.ts";
import { train } from "../training/train.ts";
import { madeUpDataset } from "./made_up_text.ts";

const BAR = 1.3;

/** Sizes whose steps take long: tests/long/memory_test.ts. */
export const longSizes: readonly SizeName[] = ["base"];

/** Sizes whose steps do not. */
export const shortSizes = (Object.keys(sizes) as SizeName[]).filter((name) => !longSizes.includes(name));

/** A test of the peak of two steps. */
export function testStep(sizeName: SizeName): void {
  Deno.test(`a step of size ${sizeName} takes at most ${BAR} times what is counted by hand`, async () => {
    const size = { ...sizes[sizeName], steps: 2 };
    const text = { words: 10_000, documents: 10, wordsEach: 20_000 };
    const made = madeUpDataset({ ...text, vocabulary: size.vocabulary });
    // Looking at more than one batch of validation text takes time, and no more memory.
    const dataset = { ...made, validation: made.validation.subarray(0, size.batch * size.length + 1) };
    assertEquals(dataset.vocabulary.size, size.vocabulary);
    const router = findRouter("switch");
    using backend = await cpu({ threads: 2 });
    const peaks: number[] = [];
    const plan = { run: "switch", label: "switch", seed: 0, steps: size.steps, size, sizeName, router };
    const { record } = await train({ ...plan, routerOptions: parseOptions(router) }, {
      ...{ backend, dataset, machine: { threads: 2, machine: "" }, version: "0" },
      onStep: () => peaks.push(backend.statistics().carvedBytes),
    });
    const { parameters, optimizer, activations } = memoryByHand(size, record.header);
    assertEquals(peaks.length, size.steps);
    assertEquals(
      new Set([...peaks, backend.statistics().carvedBytes]).size,
      1,
      "the first step takes all there is",
    );
    const ratio = peaks[0] / (parameters + optimizer + activations);
    assert(ratio <= BAR, `the peak is ${ratio.toFixed(2)} times what is counted by hand`);
  });
}
