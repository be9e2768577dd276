// The disk fills up at every write in turn: the run says so by the file's name, nothing half-written passes for a whole file,
// and with room again it goes on to the bytes of a run that was never stopped.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { recordRows, recordText } from "../training/record_text.ts";
import { openRunStore } from "../training/run_store.ts";
import { train } from "../training/train.ts";
import { fillDiskAfter } from "./full_disk.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

Deno.test("a disk that fills up at any write loses nothing that was saved, and is named", async () => {
  const backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const config = tinyConfig("deepseek", { k: 2, shared: 0 }, least, {
    "train.steps": 4,
    "train.evaluations": 1,
  });
  using whole = await train(config, { backend, data });
  const wanted = recordText(recordRows(whole.record));
  let writes = 0;
  for (let finished = false; !finished; writes++) {
    const folder = await Deno.makeTempDir();
    const options = () => ({
      backend,
      data,
      store: openRunStore(folder, "run"),
      checkpointEvery: 2,
      resume: true,
    });
    const disk = fillDiskAfter(writes);
    try {
      using trained = await train(config, options());
      finished = disk.left() >= 0;
      assert(finished, "a failed write was not noticed");
      assertEquals(recordText(recordRows(trained.record)), wanted);
    } catch (error) {
      assertMatch(
        (error as Error).message,
        new RegExp(`^Cannot write ${folder}/\\S+: no space left on the disk$`),
      );
    } finally {
      disk.undo();
    }
    assertEquals([...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".partial")), []);
    using resumed = await train(config, options());
    assertEquals(recordText(recordRows(resumed.record)), wanted, `after ${writes} writes`);
    assertEquals(
      Array.from(Deno.readDirSync(folder), ({ name }) => name).sort(),
      ["run.jsonl", "run.timing.json"],
    );
    await Deno.remove(folder, { recursive: true });
  }
  assert(writes > 8, `only ${writes} writes were tried`);
  backend.close();
});
