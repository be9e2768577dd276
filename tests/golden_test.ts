// Ten training steps of every built-in router, held to losses written down once: whatever changes arithmetic, order of
// draws or defaults shows here first. After a change that means to: deno run -RW=tests tests/golden_test.ts --write
import { assert, assertEquals } from "@std/assert";
import { cpu, type CpuBackend } from "../cpu/backend.ts";
import { hasRelaxedSimd } from "../cpu/module.ts";
import { type AnyRouterPlugin, routers } from "../routers/registry.ts";
import { train } from "../training/train.ts";
import { rowsOf } from "../models/spec.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

const path = new URL("oracles/golden_losses.json", import.meta.url);
const data = await madeUpData();
const steps = 10;
const { model, train: { learningRate: usualRate, length: L, batch } } = tinyConfig("switch");

interface Golden {
  readonly about: string;
  /** Losses of steps 0 to 9 by router, nats. */
  readonly losses: Readonly<Record<string, readonly number[]>>;
}

async function lossesOf(
  router: AnyRouterPlugin,
  backend: CpuBackend,
  learningRate: number = usualRate,
): Promise<number[]> {
  const losses: number[] = [];
  const config = tinyConfig(router, {}, { "train.steps": steps, "train.learningRate": learningRate });
  using _run = await train(config, { backend, data, onStep: ({ loss }) => losses.push(loss) });
  return losses;
}

/**
 * How far two orders of rounding may lie apart. A loss is the end of a chain of sums; n roundings of random sign in it
 * leave an error of about sqrt(n) u, u = 2^-24 (Higham and Mary 2019, "A New Approach to Probabilistic Rounding Error
 * Analysis"). A step's chain is three times the terms of its forward pass, and each step goes on from the one before.
 */
function tolerance(loss: number, step: number): number {
  const { width: D, heads, feedForwardWidth, layers } = model;
  const attention = D + D + D / heads + L + D;
  const network = D + D + feedForwardWidth + D;
  const head = D + D + rowsOf(data.input) + batch * L;
  const roundings = 3 * (layers * (attention + network) + head) * (step + 1);
  return loss * 2 ** -24 * Math.sqrt(roundings);
}

if (Deno.args.includes("--write")) {
  const backend = await cpu({ threads: 1, relaxed: true });
  const losses: Record<string, number[]> = {};
  for (const router of routers()) losses[router.name] = await lossesOf(router, backend);
  const about =
    "Losses of ten training steps with fused multiply-add. Written by tests/golden_test.ts --write.";
  const golden: Golden = { about, losses };
  await Deno.writeTextFile(path, JSON.stringify(golden, null, 1) + "\n");
  backend.close();
}

const golden = JSON.parse(await Deno.readTextFile(path)) as Golden;

Deno.test("every router with golden losses is still there", () => {
  const known = routers().map(({ name }) => name);
  assertEquals(Object.keys(golden.losses).filter((name) => !known.includes(name)), []);
});

for (const router of routers()) {
  const expected = golden.losses[router.name];
  Deno.test({
    name: expected
      ? `${router.name} takes ten steps over its golden losses, with fused and with plain multiply-add`
      : `${router.name} has no golden losses: run tests/golden_test.ts --write`,
    ignore: !expected,
    fn: async () => {
      assertEquals(expected.length, steps);
      for (const relaxed of hasRelaxedSimd() ? [true, false] : [false]) {
        const backend = await cpu({ threads: 1, relaxed });
        const losses = await lossesOf(router, backend);
        for (const [step, loss] of losses.entries()) {
          const [apart, allowed] = [Math.abs(loss - expected[step]), tolerance(expected[step], step)];
          const where = `${router.name}, step ${step}, ${relaxed ? "fused" : "plain"}`;
          assert(apart <= allowed, `${where}: ${loss} is ${apart} from ${expected[step]}, over ${allowed}`);
        }
        // The tolerance is no blanket: a learning rate off by a thousandth falls outside it.
        const other = await lossesOf(router, backend, 1.001 * usualRate);
        assert(
          other.some((loss, step) => Math.abs(loss - expected[step]) > tolerance(expected[step], step)),
          `${router.name}: golden losses do not tell a learning rate from another`,
        );
        backend.close();
      }
    },
  });
}
