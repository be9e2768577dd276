// Our side of a task beside its PyTorch twin (task_twin.py): the same arms through the trainer, from the task's own
// settings. Prints JSON lines as the twin does.
// Usage: deno run --allow-read --allow-env bench/peers/task_ours.ts TASK [SEEDS] [OPTION=VALUE ...]
import { cpu } from "../../cpu/backend.ts";
import { findTask, parseTaskOptions } from "../../tasks/registry.ts";
import type { TaskData } from "../../tasks/task.ts";
import { configOf, flatten } from "../../training/config.ts";
import { train } from "../../training/train.ts";
import { readOptions, twinConfig } from "./task_data.ts";

/** Settings of each of the twin's arms, by path. */
export const arms: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  "random": { "control": "random routing" },
  "best": { "control": "best known routing" },
  "dense": { "control": "dense, equal FLOPs" },
  "switch": { "router.name": "switch" },
  "top-2": { "router.name": "top-any", "router.k": 2, "router.capacityFactor": 0, "model.equalCost": true },
  "no experts": { "control": "no experts" },
  "wide": { "control": "dense, equal parameters" },
  "switch dropless": { "router.name": "switch", "router.capacityRule": "dropless" },
};

/** Loss of one run on what the task is judged by. */
export async function lossOf(data: TaskData, settings: Readonly<Record<string, unknown>>): Promise<number> {
  const backend = await cpu({ threads: 1 });
  try {
    using run = await train(configOf(settings), { backend, data });
    return run.record.end!.loss;
  } finally {
    backend.close();
  }
}

if (import.meta.main) {
  const [name, seeds = "4", ...words] = Deno.args;
  const plugin = findTask(name);
  const options = readOptions(words);
  const data = await plugin.load(parseTaskOptions(plugin, options)) as TaskData;
  console.log(JSON.stringify({ task: data.name, digest: data.digest }));
  const { router: _, ...rest } = twinConfig(name, options);
  const base = flatten(rest);
  for (const [arm, settings] of Object.entries(arms)) {
    if (arm === "best" && !data.bestRouting) continue;
    const losses: number[] = [];
    for (let seed = 0; seed < Number(seeds); seed++) {
      losses.push(await lossOf(data, { ...base, ...settings, seed }));
    }
    console.log(JSON.stringify({ arm, losses: losses.map((loss) => Number(loss.toFixed(4))) }));
  }
}
