// A device that is lost, or too small for a model: one sentence says so. What a run keeps when its device is lost is in
// tests/long/device_loss_test.ts.
import { assertEquals, assertMatch, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { openDevice } from "../cli/device.ts";
import { checkMemory } from "../cli/memory_check.ts";
import { watchDevice } from "../gpu/failure.ts";
import { affine } from "../kernels/mod.ts";
import type { ModelInput } from "../models/spec.ts";
import { specOf } from "../training/spec_of.ts";
import { adapter, gpuTest } from "./gpu.ts";
import { LOST, opened } from "./opened_devices.ts";
import { tinyConfig, wordsAlone } from "./run_configs.ts";

gpuTest("a device lost at any moment is said to be lost, by whatever comes next", async () => {
  const moments: Record<string, (device: GPUDevice) => void | Promise<void>> = {
    "before work is queued": (device) => device.destroy(),
    "while values are read": (device) => queueMicrotask(() => device.destroy()),
    "long before": async (device) => {
      device.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  };
  for (const [moment, lose] of Object.entries(moments)) {
    const { backend, device } = await opened();
    const x = backend.upload(Float32Array.of(1, 2), [2]);
    const use = async () => {
      await lose(device);
      const [y] = backend.run(affine, [x], { scale: 2, shift: 0 });
      await backend.read(y);
    };
    const error = await assertRejects(use, Error);
    assertMatch(error.message, LOST, moment);
    // From then on at once.
    assertMatch(assertThrows(() => backend.upload(Float32Array.of(1), [1]), Error).message, LOST, moment);
  }
});

Deno.test("a read that is broken off waits for the device to say that it is lost, however busy it is", async () => {
  const lose = Promise.withResolvers<GPUDeviceLostInfo>();
  const device = Object.assign(new EventTarget(), { lost: lose.promise }) as unknown as GPUDevice;
  const failure = watchDevice(device, "a slow adapter");
  const brokenOff = new DOMException("Buffer was unmapped before mapping was resolved.", "AbortError");
  setTimeout(() => lose.resolve({ reason: "destroyed", message: "" } as GPUDeviceLostInfo), 3500);
  const { message } = await failure.explain("read", brokenOff);
  assertEquals(message, "Cannot read: the device a slow adapter was lost (destroyed)");
});

gpuTest("a model whose largest array the adapter does not bind is refused before any training", async () => {
  const device = await openDevice("webgpu", { threads: null, blas: "off" });
  const config = tinyConfig("switch");
  const T = config.train.batch * config.train.length;
  const fits = device.largestBytes / (4 * T);
  const check = (V: number) => checkMemory({ ...spec, input: { ...spec.input, V } as ModelInput }, T, device);
  const spec = specOf(config, wordsAlone(64));
  check(fits);
  const { message } = assertThrows(() => check(fits + 1), RangeError);
  assertMatch(message, /^Cannot train with an input of \d+ rows [^\n]+ takes [\d.]+ GiB an array$/);
  assertStringIncludes(message, adapter!.name);
  device.backend.close();
});
