// Configs of small runs for tests: made-up text, the tiny size, equal cost, and what a test changes by path.
import { sizes } from "../models/sizes.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import { textData } from "../tasks/text.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { madeUpDataset } from "./made_up_text.ts";

/** Made-up text as a task's data. */
export const madeUpData = () => textData(madeUpDataset());

/** Settings of a model that takes a step in milliseconds. */
export const least: Settings = {
  "model.width": 16,
  "model.feedForwardWidth": 16,
  "model.expertWidth": 16,
  "train.batch": 2,
};

/** A model of V words, for batches made by hand. */
export function wordsAlone(V: number): Pick<TaskData, "input" | "output" | "bestRouting"> {
  const tokenCount_V = new Int32Array(V).fill(1);
  return { input: { kind: "tokens", V, tokenCount_V }, output: { kind: "tokens" }, bestRouting: null };
}

/** A tiny run of a registered router. */
export function tinyConfig(
  router: AnyRouterPlugin | string,
  options: Readonly<Record<string, unknown>> = {},
  ...settings: readonly Settings[]
): RunConfig {
  const name = typeof router === "string" ? router : router.name;
  return configOf(sizes.tiny, { "model.equalCost": true, router: { name, ...options } }, ...settings);
}
