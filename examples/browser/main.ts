// Trains an MoE layer in a page, on WebGPU where the browser has an adapter and in WebAssembly elsewhere.
// Bundle it: deno bundle --platform browser -o examples/browser/main.js examples/browser/main.ts
import {
  adapterFacts,
  cpu,
  createInit,
  createMoeLayer,
  gradientsByName,
  linear,
  meanAll,
  memory,
  parseOptions,
  random,
  scalar,
  sliceColumns,
  square,
  subtract,
  switchRouter,
  tensor,
  webgpu,
} from "@switchyard/moe";
import { createAdamW, trainingLoss } from "@switchyard/moe/training";

// All that is used of the page; a project for browsers has "lib": ["dom"] instead.
declare const document: { getElementById(id: string): { textContent: string } | null };
const show = (id: string, text: string) => document.getElementById(id)!.textContent = text;

const backend = await adapterFacts() ? await webgpu() : await cpu();
show("backend", `${backend.name}: ${backend.arithmetic.device}`);
const init = createInit(backend, random(0));
const [T, D, E, steps] = [256, 2, 2, 300];
const layer = createMoeLayer({
  D,
  E,
  router: switchRouter.create({ D, E }, parseOptions(switchRouter), init.part("router")),
  experts: linear.create({ D, F: 0, E }, linear.options.parse({}), init.part("experts")),
});
const optimizer = createAdamW(layer.params, { weightDecay: 0 });

for (let step = 0; step < steps; step++) {
  const scope = memory(backend);
  const stream = random(1).split(step);
  const x = Array.from(stream.split("x").uniform(T), (value) => 2 * value - 1);
  const x_TD = tensor(backend, x.flatMap((value) => [1, value]), [T, D]);
  const target_T1 = tensor(backend, x.map(Math.abs), [T, 1]);
  const moe = await layer.apply(x_TD, { training: true, step, random: stream });
  const loss = meanAll(square(subtract(sliceColumns(moe.y_TD, 0, 1), target_T1)));
  const total = trainingLoss({ loss, losses: moe.routing.losses, layers: [moe] });
  optimizer.update(await gradientsByName(total, layer.params), 0.03, step);
  if (step % 10 === 9) {
    show("loss", `step ${step + 1}: mean squared error ${(await scalar(loss)).toPrecision(3)}`);
    await new Promise((resolve) => setTimeout(resolve)); // lets the page draw
  }
  scope[Symbol.dispose]();
}
optimizer.free();
layer.free();
backend.close();
show("state", "trained");
