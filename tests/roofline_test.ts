// Figures on paper rest on the real step: the dry step runs the kernels that training runs, on the same shapes.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Backend } from "../kernels/kernel.ts";
import * as kernels from "../kernels/mod.ts";
import { rowsOf } from "../models/spec.ts";
import { createTrainer } from "../training/trainer.ts";
import { dryStep } from "../tools/dry_step.ts";
import { gpus } from "../tools/gpus.ts";
import { rooflinePage } from "../tools/roofline.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

/** Names, shapes and params of what runs on a backend from `start` on until `stop`. */
function listening(backend: Backend) {
  const heard: string[] = [];
  const listener: Backend = {
    ...backend,
    run(kernel, inputs, params) {
      heard.push(line(kernel.name, inputs.map(({ type }) => type), params));
      return backend.run(kernel, inputs, params);
    },
  };
  return { heard, listener };
}

/** What differs from step to step and costs nothing is left out: keys, rates, counts of steps. */
function line(
  name: string,
  types: readonly { readonly shape: readonly number[] }[],
  params: unknown,
): string {
  const kept = Object.entries(params ?? {}).filter(([, value]) => typeof value !== "number");
  return `${name} ${types.map(({ shape }) => shape.join("x"))} ${JSON.stringify(Object.fromEntries(kept))}`;
}

for (const name of ["switch", "gshard", "locmoe-plus"]) {
  Deno.test(`${name}: the dry step runs what training runs`, async () => {
    using backend = await cpu({ threads: 1 });
    const { heard, listener } = listening(backend);
    const data = await madeUpData();
    const config = tinyConfig(name, {}, { "train.steps": 9, "train.evaluations": 1 });
    const trainer = await createTrainer(config, { backend: listener, data });
    // Looks at held-out text stand before the first step and in the middle of the run, so the second step is one alone.
    await trainer.step();
    heard.length = 0;
    await trainer.step();
    const step = heard.slice();
    trainer.close();
    const dry = await dryStep(config, rowsOf(data.input));
    assertEquals(dry.map(({ kernel, types, params }) => line(kernel.name, types, params)), step);
  });
}

Deno.test("the tables have a row for every kernel and no figure that cannot be", async () => {
  const page = await rooflinePage();
  const rows = page.split("\n").filter((row) => row.startsWith("| `"));
  assertEquals(rows.length, 2 * Object.keys(kernels).length);
  for (const { name } of Object.values(kernels)) assertStringIncludes(page, `| \`${name}\` |`);
  assert(!/NaN|Infinity|undefined/.test(page));
  for (const row of rows) {
    const cells = row.split(" | ");
    assertEquals(cells.length, 7 + gpus.length, row);
    for (const cell of cells.slice(7)) {
      // No program is faster than its roofline.
      const [, share] = cell.match(/^(?:< )?[\d.]+ [um]s, (-|[01]\.\d\d)(?: \|)?$/) ?? [];
      assert(share === "-" || Number(share) <= 1, `${row}: ${cell}`);
    }
  }
});
