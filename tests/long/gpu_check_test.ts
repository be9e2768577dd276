// All of `deno task gpu:check` on the adapter there is: every kernel that a GPU runs is right, and losses are the CPU's.
import { assert, assertEquals } from "@std/assert";
import { gpuCheckSchema } from "../../bench/gpu_check/schema.ts";
import { kernels } from "../../bench/kernel_cases.ts";
import { gpuTest } from "../gpu.ts";
import { runTask } from "../task_command.ts";

gpuTest("the whole check finds nothing wrong here, and leaves out PyTorch alone", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const words = ["--out", folder, "--json", "--seconds", "3600", "--python", "no-such-python"];
    const { code, out, error } = await runTask("gpu:check", words);
    assertEquals(code, 0, error);
    const found = gpuCheckSchema.parse(JSON.parse(out));
    assertEquals([found.failed, found.leftOut.length], [[], 1]);
    const onGpu = kernels.filter(([, kernel]) => kernel.gpu).map(([, { name }]) => name);
    assertEquals(found.kernels.map(({ name }) => name), onGpu);
    assertEquals(found.kernels.flatMap(({ wrong }) => wrong), []);
    const timed = found.kernels.flatMap(({ timed }) => timed ?? []);
    assert(timed.length > 30, `${timed.length} kernels were timed`);
    for (const { seconds, leastSeconds } of timed) assert(seconds > 0 && leastSeconds > 0);
    for (const { apart, allowed, name } of found.compared) assert(apart <= allowed, name);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
