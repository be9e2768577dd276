// Reads what train_and_save.ts wrote, asks the model for each fact that it learned, and says which experts answered.
// Run it: deno run --allow-read examples/inference.ts model.safetensors
import { readFile } from "node:fs/promises";
import process from "node:process";
import { cpu, equalSequences, findTask, memory, parseTaskOptions, random, topK } from "@switchyard/moe";
import { loadModel } from "@switchyard/moe/training";

const path = process.argv[2] ?? "model.safetensors";
using backend = await cpu();
using loaded = await loadModel(await readFile(path), { backend });
const { model, config, step } = loaded;
const { name, ...options } = config.task;
const task = findTask(name);
const data = await task.load(parseTaskOptions(task, options));

using _scope = memory(backend);
const [{ tokenId, target }] = data.evaluationExamples({ batch: 1, length: 256 });
const { logits_TV, layers } = await model.forward(
  { tokenId_T: tokenId, sequences: equalSequences(1, tokenId.length) },
  { training: false, step, random: random(0) },
);
const answers = await topK(logits_TV!, 1).index_TK.read();
const right = answers.filter((answer, at) => answer === target[at]).length;
console.log(`${right} of ${tokenId.length} facts recalled`);

const [{ E, routing: { expert_N } }] = layers;
const kept = new Array<number>(E).fill(0);
for (const expert of await expert_N.read()) if (expert >= 0) kept[expert]++;
console.log(`assignments by expert: ${kept.join(", ")}`);
