// Safetensors, what takes long: a hundred thousand damaged files, and what a checkpoint of 1 GiB takes of memory.
import { assert, assertEquals } from "@std/assert";
import { testDamaged } from "../safetensors_fuzz.ts";

testDamaged(10_000, 100_000);

const SIZE = 2 ** 30;
/** Of a checkpoint's size, for the whole process. "make" makes its tensors as they are written: one of 64, and the engine. */
const bars = { write: 1.2, read: 1.2, make: 0.3 };

Deno.test({
  name:
    "a checkpoint of 1 GiB is written and read in 1.2 times its size of memory (needs Linux, which counts a process's peak)",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const folder = await Deno.makeTempDir();
    try {
      const path = `${folder}/checkpoint.safetensors`;
      const program = new URL("../safetensors_memory.ts", import.meta.url).href;
      for (const [what, bar] of [["write", bars.write], ["read", bars.read], ["make", bars.make]] as const) {
        const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", program, what, path, String(SIZE)],
        }).output();
        assert(success, new TextDecoder().decode(stderr));
        const peak = Number(new TextDecoder().decode(stdout)) / SIZE;
        console.log(`${what}: ${peak.toFixed(3)} times the checkpoint's size`);
        assert(peak > bar / 10 && peak <= bar, `${what}: ${peak} times the checkpoint's size`);
      }
      assertEquals(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["checkpoint.safetensors"]);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
});
