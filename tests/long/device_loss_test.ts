// A device that is lost in the middle of a run: one sentence says so and names the checkpoint, what was written is whole,
// and going on ends in the same bits.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { webgpu } from "../../gpu/backend.ts";
import { recordRows, recordText } from "../../training/record_text.ts";
import { openRunStore } from "../../training/run_store.ts";
import { train, type TrainOptions } from "../../training/train.ts";
import { experiments, filesIn, inFolder, startExperiments } from "../experiments_command.ts";
import { gpuTest } from "../gpu.ts";
import { LOST, opened } from "../opened_devices.ts";
import { least, madeUpData, tinyConfig } from "../run_configs.ts";

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
      if (how === "lost") assertMatch(message, LOST);
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
      const preload = ["--preload", new URL("../lose_device.ts", import.meta.url).pathname];
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
