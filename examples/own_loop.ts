// A training loop of one's own around one MoE layer: a memory scope a step, the losses that the router adds, its load after
// capacity, and a look without noise at the end. Run it: deno run examples/own_loop.ts
import {
  cpu,
  createInit,
  createMoeLayer,
  findRouter,
  gradientsByName,
  type Load,
  loadOf,
  meanAll,
  memory,
  type MoeOutput,
  parseOptions,
  type Random,
  random,
  scalar,
  square,
  subtract,
  swiglu,
  type Tensor,
  tensor,
} from "@switchyard/moe";
import { createAdamW, learningRateAt, scheduleDefaults, trainingLoss } from "@switchyard/moe/training";

const [T, D, F, E, steps] = [128, 8, 16, 4, 200];
using backend = await cpu({ threads: 1 });
const init = createInit(backend, random(0));
const router = findRouter("gshard");
using layer = createMoeLayer({
  D,
  E,
  router: router.create({ D, E }, parseOptions(router, { balance: 0.05 }), init.part("router")),
  experts: swiglu.create({ D, F, E }, swiglu.options.parse({}), init.part("experts")),
});
using optimizer = createAdamW(layer.params);

/** Points of four clusters; each cluster has an axis of its own to be mirrored in. */
function examples(stream: Random): { x_TD: Tensor; target_TD: Tensor } {
  const cluster = stream.split("cluster").uniform(T).map((value) => Math.floor(4 * value));
  const x = stream.split("x").normal(T * D).map((value, at) =>
    at % D === cluster[Math.floor(at / D)] ? 3 + value / 4 : value / 2
  );
  const mirrored = x.map((value, at) => at % D === 4 + cluster[Math.floor(at / D)] ? -value : value);
  return { x_TD: tensor(backend, x, [T, D]), target_TD: tensor(backend, mirrored, [T, D]) };
}

async function readLoad({ routing: { wanted_N, expert_N, choices } }: MoeOutput): Promise<Load> {
  const [wanted, expert] = await Promise.all([wanted_N.read(), expert_N.read()]) as Int32Array[];
  return loadOf({ E, wanted_N: wanted, expert_N: expert, choices, gateEntropy: null });
}

const schedule = { ...scheduleDefaults, peak: 0.01, steps };
for (let step = 0; step < steps; step++) {
  using _scope = memory(backend); // frees everything that the step made
  const stream = random(1).split(step);
  const { x_TD, target_TD } = examples(stream);
  const moe = await layer.apply(x_TD, { training: true, step, random: stream.split("routing") });
  const loss = meanAll(square(subtract(moe.y_TD, target_TD)));
  const { losses } = moe.routing; // by name, already weighted
  const gradients = await gradientsByName(trainingLoss({ loss, losses, layers: [moe] }), layer.params);
  optimizer.update(gradients, learningRateAt(step, schedule), step);
  const load = await readLoad(moe);
  layer.router.observe?.({ tokens: T, ...load }); // for routers that balance themselves by it
  if (step % 50 > 0) continue;
  const [error, balance] = await Promise.all([scalar(loss), scalar(losses.balance)]);
  console.log(
    `step ${step}: loss ${error.toFixed(4)}, balance ${balance.toFixed(4)}, kept ${load.kept.join(", ")}`,
  );
}

using _scope = memory(backend);
const { x_TD, target_TD } = examples(random(2));
const moe = await layer.apply(x_TD, { training: false, step: steps, random: random(3) });
const error = await scalar(meanAll(square(subtract(moe.y_TD, target_TD))));
console.log(`held out: loss ${error.toFixed(4)}, kept ${(await readLoad(moe)).kept.join(", ")}`);
