// Configs of small runs for tests: made-up text, the tiny size, equal cost, and what a test changes by path.
import { sizes } from "../models/sizes.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import { textData } from "../tasks/text.ts";
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import { madeUpDataset } from "./made_up_text.ts";

/** Made-up text as a task's data. */
export const madeUpData = () => textData(madeUpDataset());

/** A tiny run of a registered router. */
export function tinyConfig(
  router: AnyRouterPlugin | string,
  options: Readonly<Record<string, unknown>> = {},
  ...settings: readonly Settings[]
): RunConfig {
  const name = typeof router === "string" ? router : router.name;
  return configOf(sizes.tiny, { "model.equalCost": true, router: { name, ...options } }, ...settings);
}
