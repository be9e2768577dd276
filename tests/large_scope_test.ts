// Limits of a kernel are not limits of a router: one scope of more tokens than fit a thread's cache, sort or counters.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import * as kernels from "../kernels/mod.ts";
import { routers } from "../routers/registry.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { apply, tensor } from "../tensor/tensor.ts";
import { routeOnce } from "./route_once.ts";

/** The size that an attack found; all in one sequence. */
const T = 131_076;
const [D, E] = [8, 8];
const x = random(3).normal(T * D);

const settings: readonly (readonly [name: string, options: Record<string, unknown>])[] = [
  ...routers().map(({ name }) =>
    [name, name === "hash" ? { table: "random" } : name === "deepseek" ? { k: 2 } : {}] as const
  ),
  ["switch", { dropOrder: "probability" }],
  ["switch", { dropOrder: "batch-priority" }],
  ["locmoe-plus", { threshold: 0.5 }],
];

for (const [name, options] of settings) {
  Deno.test(`${name} ${JSON.stringify(options)}: one scope of ${T} tokens`, async () => {
    const plugin = routers().find((each) => each.name === name)!;
    const backend = await cpu({ threads: 1 });
    {
      using _scope = memory(backend);
      const { expert, weight, wanted } = await routeOnce(backend, plugin, {
        x,
        D,
        E,
        options,
        training: true,
      });
      assert(expert.length > 0 && expert.length === weight.length && expert.length === wanted.length);
      assert(expert.every((one) => one >= -1 && one < E));
      assert(expert.some((one) => one >= 0), "no token is sent to an expert");
      assert(weight.every(Number.isFinite));
    }
    backend.close();
  });
}

Deno.test("sorted lists longer than before have the ranks of a plain sort", async () => {
  const backend = await cpu({ threads: 1 });
  const priority = random(5).normal(T);
  const key = Int32Array.from({ length: T }, (_, at) => at % 3);
  const [rank] = apply(kernels.rankInGroup, [
    tensor(backend, key, [T, 1]),
    tensor(backend, priority, [T, 1]),
  ], { groups: 3, scope: T, choiceMajor: false });
  const wanted = new Int32Array(T);
  for (const group of [0, 1, 2]) {
    const members = Array.from(key.keys()).filter((at) => key[at] === group);
    members.sort((a, b) => priority[b] - priority[a] || a - b).forEach((at, place) => wanted[at] = place);
  }
  assertEquals(await rank.read(), wanted);
  const [, index] = apply(kernels.topK, [tensor(backend, priority, [1, T])], { k: 300 });
  const order = Array.from(priority.keys()).sort((a, b) => priority[b] - priority[a] || a - b).slice(0, 300);
  assertEquals([...await index.read()], order);
  backend.close();
});
