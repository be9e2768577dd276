// Trains a model on facts to remember and saves it as safetensors, with the config that made it.
// Run it: deno run --allow-write examples/train_and_save.ts model.safetensors
import { writeFile } from "node:fs/promises";
import process from "node:process";
import { cpu, findTask, parseTaskOptions } from "@switchyard/moe";
import { configOf, train } from "@switchyard/moe/training";

const path = process.argv[2] ?? "model.safetensors";
const task = findTask("recall");
const config = configOf(task.defaults, {
  "task.name": task.name,
  "task.facts": 256,
  "router.name": "gshard",
  "train.steps": 150,
});

using backend = await cpu();
const { name: _, ...options } = config.task;
using run = await train(config, { backend, data: await task.load(parseTaskOptions(task, options)) });
console.log(`loss ${run.record.steps[0].loss.toFixed(3)} to ${run.record.end!.loss.toFixed(3)} nats`);

const { encodeModel, model } = run.trainer!;
await writeFile(path, await encodeModel());
console.log(`${Object.keys(model.params).length} arrays in ${path}`);
