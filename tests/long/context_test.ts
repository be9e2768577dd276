// Runs at once on WebGPU, also for routers whose solvers run on the host: tests/runs_at_once.ts.
import { gpuTest, openGpu } from "../gpu.ts";
import { together } from "../runs_at_once.ts";

const shared = openGpu();
const second = openGpu();

for (const name of ["base", "gumbel-matching", "switch"]) {
  gpuTest(`${name}: runs at once on one WebGPU backend give the records they give alone`, async () => {
    await together(await shared(), await shared(), [name]);
  });
  gpuTest(`${name}: runs at once on two WebGPU backends give the records they give alone`, async () => {
    await together(await shared(), await second(), [name]);
  });
}
