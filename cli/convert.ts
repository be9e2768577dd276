// `deno task convert`: a kept model with more or fewer experts, as one more kept model, and what that did to its held-out loss.
import { resolve } from "node:path";
import { readAssignment } from "../experiments/arms.ts";
import type { Backend } from "../kernels/kernel.ts";
import type { Model } from "../models/model.ts";
import type { MergeFeature } from "../models/resize/merge.ts";
import type { PruneScore } from "../models/resize/prune.ts";
import type { Upcycling } from "../models/resize/upcycle.ts";
import { findRouter, parseOptions } from "../routers/registry.ts";
import { findTask, parseTaskOptions } from "../tasks/registry.ts";
import type { TaskData } from "../tasks/task.ts";
import type { Chosen } from "../training/config.ts";
import type { ConvertedModel } from "../training/converted_model.ts";
import { evaluate, evaluationPlan } from "../training/evaluate.ts";
import { mergeExperts, pruneExperts, type ResizedModel } from "../training/fewer_experts.ts";
import { type LoadedModel, loadModel } from "../training/load_model.ts";
import { upcycleModel } from "../training/upcycled_model.ts";
import { type Conversion, convertLine, readConversion, readUpcycling } from "./convert_options.ts";
import { namedRun, openForModel } from "./kept_model.ts";
import { runTask, valueOf, wholeNumberOf, type Words } from "./options.ts";
import { elsewhere, fromWhereTheUserStands } from "./paths.ts";

const endings = { upcycle: "upcycled", prune: "pruned", merge: "merged" } as const;

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const words = fromWhereTheUserStands(given, convertLine, stands);
  const conversion = readConversion(words);
  const run = namedRun(words, stands, "convert");
  const backend = await openForModel(words);
  try {
    using loaded = await loadModel(run, { backend });
    const data = await dataOf(loaded);
    using made = await convert(loaded, conversion, words, { backend, data });
    const name = `${loaded.run}-${endings[conversion.way]}`;
    const out = valueOf(words, "out") ?? resolve(stands ?? ".", `${name}.model.safetensors`);
    await made.save(out, name);
    if ("layers" in made) { for (const line of layerLines(made as ResizedModel)) console.log(line); }
    const lossOf = (model: Model) => heldOutLoss(model, loaded, data, backend);
    const [before, after] = [await lossOf(loaded.model), await lossOf(made.model)];
    const weights = [loaded.model, made.model].map(({ weights: { total } }) => total.toLocaleString("en"));
    console.log(
      `Held-out loss ${before.toFixed(4)} before, ${after.toFixed(4)} after; weights ${weights.join(", ")}.`,
    );
    console.log(`${out}: to train it on, deno task experiments --from ${out}`);
  } finally {
    backend.close();
  }
}

async function dataOf({ config }: LoadedModel): Promise<TaskData> {
  const { name, ...options } = config.task;
  const task = findTask(name);
  return await task.load(parseTaskOptions(task, options));
}

async function convert(
  loaded: LoadedModel,
  { way, counts, by }: Conversion,
  words: Words,
  { backend, data }: { readonly backend: Backend; readonly data: TaskData },
): Promise<ConvertedModel> {
  const numbers = counts.length === 1 ? counts[0] : counts;
  const calibration = { backend, data, batches: wholeNumberOf(words, "batches", 1, 10_000) ?? 8 };
  switch (way) {
    case "prune":
      return await pruneExperts(loaded, numbers, by as PruneScore, calibration);
    case "merge": {
      const choice = { by: by as MergeFeature, align: !words.flags.unaligned };
      return await mergeExperts(loaded, numbers, choice, calibration);
    }
    case "upcycle": {
      const choice = { ...readUpcycling(words), experts: counts[0], how: by as Upcycling };
      return await upcycleModel(loaded, { ...choice, router: routerOf(words) }, { backend });
    }
    default:
      return way satisfies never;
  }
}

/** The router of an upcycled model, with its options. */
function routerOf(words: Words): Chosen {
  const named = valueOf(words, "router");
  const plugin = findRouter(named ?? "top-any");
  const options: Record<string, unknown> = named === null ? { k: 2, capacityFactor: 0 } : {};
  for (const word of words.values.set) {
    const { router, path, values, source } = readAssignment("set", word);
    if (router !== plugin.name || values.length !== 1) {
      throw new RangeError(`Cannot use ${source}: set one value of an option of router "${plugin.name}"`);
    }
    options[path.slice(router.length + 1)] = values[0];
  }
  return { name: plugin.name, ...parseOptions(plugin, options) as Record<string, unknown> };
}

/** For each layer which old experts each new one is, with what they were chosen by. */
function layerLines({ layers }: ResizedModel): string[] {
  return layers.flatMap(({ layer, mix, load, saliency }) => {
    const groups = mix.map((parts) =>
      parts.map(([e, weight]) => parts.length === 1 ? `${e}` : `${weight.toFixed(2)} of ${e}`).join(" + ")
    );
    const tokens = load.map((each, e) => `${e}: ${each} (${saliency[e].toPrecision(2)})`);
    return [
      `Layer ${layer}, tokens of each expert (saliency): ${tokens.join(", ")}`,
      `  its experts are now: ${groups.join("; ")}`,
    ];
  });
}

async function heldOutLoss(
  model: Model,
  { config, step }: LoadedModel,
  data: TaskData,
  backend: Backend,
): Promise<number> {
  return (await evaluate(model, { backend, data, plan: evaluationPlan(config, data), step })).loss;
}

if (import.meta.main) await runTask(convertLine, main);
