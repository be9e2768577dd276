// The package's arithmetic in a real Chromium: every kernel's cases on its WebGPU, and ten steps of every router over the
// golden losses, on the CPU and on WebGPU.
import { assert, assertEquals } from "@std/assert";
import { routers } from "../../routers/registry.ts";
import { pagesTest } from "../chromium.ts";
import { type Golden, goldenRun } from "../golden.ts";
import { kernels } from "../kernel_cases.ts";

/** Kernels of one browser: a page answers within minutes. */
const AT_ONCE = 8;
/** Routers of one browser. */
const ROUTERS = 3;

function groupsOf<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from(
    { length: Math.ceil(items.length / size) },
    (_, at) => items.slice(at * size, (at + 1) * size),
  );
}

const onGpu = kernels.flatMap(([, kernel]) => kernel.gpu ? [kernel] : []);

for (const group of groupsOf(onGpu, AT_ONCE)) {
  pagesTest(`kernels ${group[0].name} to ${group.at(-1)!.name} hold on Chromium's WebGPU`, async (pages) => {
    const { wrong, cases } = await pages.call("isolated", "kernels", group.map(({ name }) => name));
    assertEquals(cases, group.reduce((sum, kernel) => sum + kernel.cases.length, 0));
    assertEquals(wrong, []);
  });
}

const { steps, tolerance } = await goldenRun();
const golden: Golden = JSON.parse(
  await Deno.readTextFile(new URL("../oracles/golden_losses.json", import.meta.url)),
);

for (const device of ["cpu", "webgpu"] as const) {
  for (const names of groupsOf(routers().map(({ name }) => name), ROUTERS)) {
    pagesTest(
      `ten steps of ${names.join(", ")} over golden losses in Chromium on ${device}`,
      async (pages) => {
        const found = await pages.call("isolated", "goldenLosses", names, device);
        for (const name of names) {
          const wanted = golden.losses[name];
          assertEquals(found[name].length, steps);
          for (const [step, loss] of found[name].entries()) {
            const [apart, allowed] = [Math.abs(loss - wanted[step]), tolerance(wanted[step], step)];
            assert(
              apart <= allowed,
              `${name}, step ${step}: ${loss} is ${apart} from ${wanted[step]}, over ${allowed}`,
            );
          }
        }
      },
    );
  }
}
