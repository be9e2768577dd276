// A device that is lost or runs out of memory: one sentence says so and names the checkpoint, what was written is whole,
// and going on ends in the same bits.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { openDevice } from "../cli/device.ts";
import { checkMemory } from "../cli/memory_check.ts";
import { webgpu, type WebgpuBackend } from "../gpu/backend.ts";
import { affine } from "../kernels/mod.ts";
import type { ModelInput } from "../models/spec.ts";
import { specOf } from "../training/spec_of.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { train, type TrainOptions } from "../training/train.ts";
import { experiments, filesIn, inFolder, startExperiments } from "./experiments_command.ts";
import { adapter, gpuTest } from "./gpu.ts";
import { openedDevices } from "./opened_devices.ts";
import { least, madeUpData, tinyConfig, wordsAlone } from "./run_configs.ts";

/** A backend and its device. */
async function opened(): Promise<{ backend: WebgpuBackend; device: GPUDevice }> {
  using noted = openedDevices();
  const backend = await webgpu();
  return { backend, device: noted.devices[0] };
}

const lost = /^Cannot [a-z_ ]+: the device .+ was lost \(destroyed.*\)$/;

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
    assertMatch(error.message, lost, moment);
    // From then on at once.
    assertMatch(assertThrows(() => backend.upload(Float32Array.of(1), [1]), Error).message, lost, moment);
  }
});

const data = await madeUpData();
const config = tinyConfig("switch", {}, least, { "train.learningRate": 0.02, "train.steps": 8 });

gpuTest(
  "a run whose device is lost or closed keeps its checkpoint and goes on to the same bits",
  async () => {
    const folder = await Deno.makeTempDir();
    const given = { data, checkpointEvery: 3 };
    const lasting = await webgpu();
    using whole = await train(config, { ...given, backend: lasting });
    for (const [how, step] of [["lost", 4], ["closed", 5]] as const) {
      const { backend, device } = await opened();
      const store = openRunStore(folder, `${how} at ${step}`);
      const options: TrainOptions = {
        ...given,
        store,
        backend,
        onStep: (row) => {
          if (row.step === step) how === "lost" ? device.destroy() : backend.close();
        },
      };
      const { message } = await assertRejects(() => train(config, options), Error);
      if (how === "lost") assertMatch(message, lost);
      else assertMatch(message, /^Cannot [a-z ]+: the WebGPU backend is closed$/);
      // Lost in the step that ends with a checkpoint: the one before still counts.
      const saved = await store.saved();
      assertEquals(saved?.record.steps.length, 3);

      using resumed = await train(config, { ...given, store, backend: lasting, resume: true });
      assertEquals(recordText(recordRows(resumed.record)), recordText(recordRows(whole.record)));
    }
    lasting.close();
    await Deno.remove(folder, { recursive: true });
  },
);

/** Runs a command to its end; graphics drivers may have their say on stderr. */
async function finish(words: readonly string[]): Promise<void> {
  const { code, out, error } = await experiments(...words);
  assertEquals(code, 0, out + error);
}

gpuTest(
  "a command whose device is lost fails with the checkpoint's name, and resumes to the same bytes",
  () =>
    inFolder(async (folder) => {
      const words = (out: string) => [
        ...["--device", "webgpu", "--routers", "switch", "--seeds", "1", "--size", "tiny", "--steps", "60"],
        "--no-controls",
        ...["--text", `${folder}/text.txt`, "--out", `${folder}/${out}`],
      ];
      await finish(words("whole"));
      const preload = ["--preload", new URL("lose_device.ts", import.meta.url).pathname];
      const { code, stderr } = await startExperiments(words("lost"), preload).output();
      const said = new TextDecoder().decode(stderr).split("\n").filter((line) => line.startsWith("Cannot "));
      const checkpoint = `${folder}/lost/runs/switch-seed0.safetensors`;
      assertEquals([code, said.length], [1, 1], said.join("\n"));
      assertMatch(said[0], /^Cannot [a-z_ ]+: the device .+ was lost \(destroyed/);
      assert(
        said[0].endsWith(`; switch-seed0 goes on with --resume from ${checkpoint}, saved after step 50`),
      );
      const left = filesIn(`${folder}/lost`);
      assertEquals([...left.keys()].filter((path) => path.includes("partial")), []);
      assert(left.has("runs/switch-seed0.safetensors"), "the checkpoint is there");

      await finish([...words("lost"), "--resume"]);
      const [resumed, whole] = ["lost", "whole"].map((out) => filesIn(`${folder}/${out}`));
      assertEquals(resumed.get("records.jsonl"), whole.get("records.jsonl"));
      assertEquals([...resumed.keys()].sort(), [...whole.keys()].sort());
    }),
);

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
