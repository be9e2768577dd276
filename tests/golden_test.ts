// Ten training steps of every built-in router, held to losses written down once: whatever changes arithmetic, order of
// draws or defaults shows here first. After a change that means to: deno run -RW=tests tests/golden_test.ts --write
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { hasRelaxedSimd } from "../cpu/module.ts";
import { routers } from "../routers/registry.ts";
import { type Golden, goldenRun } from "./golden.ts";

const path = new URL("oracles/golden_losses.json", import.meta.url);

const { steps, usualRate, lossesOf, tolerance } = await goldenRun();

if (Deno.args.includes("--write")) {
  const backend = await cpu({ threads: 1, relaxed: true });
  const losses: Record<string, number[]> = {};
  for (const router of routers()) losses[router.name] = await lossesOf(router.name, backend);
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
        const losses = await lossesOf(router.name, backend);
        for (const [step, loss] of losses.entries()) {
          const [apart, allowed] = [Math.abs(loss - expected[step]), tolerance(expected[step], step)];
          const where = `${router.name}, step ${step}, ${relaxed ? "fused" : "plain"}`;
          assert(apart <= allowed, `${where}: ${loss} is ${apart} from ${expected[step]}, over ${allowed}`);
        }
        // The tolerance is no blanket: a learning rate off by a thousandth falls outside it.
        const other = await lossesOf(router.name, backend, 1.001 * usualRate);
        assert(
          other.some((loss, step) => Math.abs(loss - expected[step]) > tolerance(expected[step], step)),
          `${router.name}: golden losses do not tell a learning rate from another`,
        );
        backend.close();
      }
    },
  });
}
