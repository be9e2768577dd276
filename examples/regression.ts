// Regression without tokens: two linear experts learn y = |x|, which no single line can. Rows of numbers go into the layer as
// they are. Run it: deno run examples/regression.ts
import {
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
} from "@switchyard/moe";
import { createAdamW, trainingLoss } from "@switchyard/moe/training";

using backend = await cpu({ threads: 1 });
const init = createInit(backend, random(0));
const [T, D, E] = [256, 2, 2];
using layer = createMoeLayer({
  D,
  E,
  router: switchRouter.create({ D, E }, parseOptions(switchRouter), init.part("router")),
  experts: linear.create({ D, F: 0, E }, linear.options.parse({}), init.part("experts")),
});
using optimizer = createAdamW(layer.params, { weightDecay: 0 });

const steps = 400;
for (let step = 0; step < steps; step++) {
  using _scope = memory(backend);
  const stream = random(1).split(step);
  const x = Array.from(stream.split("x").uniform(T), (value) => 2 * value - 1);
  // Features [1, x]: the 1 gives linear experts their bias. The first column of the output is the answer.
  const x_TD = tensor(backend, x.flatMap((value) => [1, value]), [T, D]);
  const target_T1 = tensor(backend, x.map(Math.abs), [T, 1]);
  const moe = await layer.apply(x_TD, { training: true, step, random: stream });
  const loss = meanAll(square(subtract(sliceColumns(moe.y_TD, 0, 1), target_T1)));
  const total = trainingLoss({ loss, losses: moe.routing.losses, layers: [moe] });
  optimizer.update(await gradientsByName(total, layer.params), 0.03, step);
  if (step % 100 === 99) console.log(`step ${step + 1}: mean squared error ${await scalar(loss)}`);
}
