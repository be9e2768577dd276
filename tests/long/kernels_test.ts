// Every kernel on WebGPU with the programs that such an adapter does not take by itself, and with grids that fold because a
// dimension takes 5 workgroups only; and every pipeline of either kind of programs.
import { assert, assertEquals } from "@std/assert";
import { openDevice } from "../../gpu/adapter.ts";
import { adapter, gpuTest, openGpu } from "../gpu.ts";
import { gpuKernels, passes } from "../gpu_passes.ts";
import { checkOnGpu, kernels } from "../kernel_cases.ts";

const software = !(adapter?.software ?? false);
const variants = [
  { about: `programs for ${software ? "software" : "hardware"} adapters`, backend: openGpu({ software }) },
  { about: "folded grids", backend: openGpu({ workgroupsPerDimension: 5 }) },
];

for (const [, kernel] of kernels) {
  for (const { about, backend } of kernel.gpu ? variants : []) {
    gpuTest(`${kernel.name}: all cases on WebGPU, ${about}`, async () => {
      await checkOnGpu(await backend(), kernel);
    });
  }
}

gpuTest("every pipeline that a case asks for can be made", async () => {
  const { device } = await openDevice({});
  const wanted = new Map(
    passes().map(({ name, pass }) => {
      const { program, entry = "main", constants = {} } = pass;
      return [`${entry} ${JSON.stringify(constants)} ${program}`, { name, program, entry, constants }];
    }),
  );
  const failed: string[] = [];
  for (const { name, program, entry, constants } of wanted.values()) {
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ code: program });
    const compute = { module, entryPoint: entry, constants: { ...constants } };
    device.createComputePipeline({ layout: "auto", compute });
    const error = await device.popErrorScope();
    if (error) failed.push(`${name} ${entry} ${JSON.stringify(constants)}: ${error.message}`);
  }
  device.destroy();
  assertEquals(failed, []);
  assert(wanted.size > gpuKernels.length);
});
