// Safetensors, what takes long: a hundred thousand damaged files, what a checkpoint of 1 GiB takes of memory, and what is
// left of one when its writer is killed.
import { assert, assertEquals } from "@std/assert";
import { readSafetensors } from "../../formats/safetensors.ts";
import { random } from "../../tensor/random.ts";
import { testDamaged } from "../safetensors_fuzz.ts";

testDamaged(10_000, 100_000);

const SIZE = 2 ** 30;
const program = new URL("../safetensors_memory.ts", import.meta.url).href;

/** A process that writes (`make`) or reads a checkpoint of 1 GiB. */
function moved(what: string, path: string, ...more: string[]): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", program, what, path, String(SIZE), ...more],
    stdout: "piped",
    stderr: "piped",
  });
}

const KILLS = 8;

Deno.test(`a checkpoint of 1 GiB whose writer is killed ${KILLS} times is the last whole one, every time`, async () => {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/checkpoint.safetensors`;
    const start = performance.now();
    assert((await moved("make", path, "0").output()).success);
    const whole = performance.now() - start;
    let [last, broken] = [0, 0];
    for (const [at, share] of random(0).uniform(KILLS).entries()) {
      const writer = moved("make", path, String(at + 1)).spawn();
      const timer = setTimeout(() => writer.kill("SIGKILL"), whole * share);
      const { success } = await writer.output();
      clearTimeout(timer);
      // Killed after it renamed the file, its step counts.
      const step = Number((await readSafetensors(path)).metadata.step);
      assert(step === at + 1 || !success && step === last, `step ${step} after ${at + 1}, before it ${last}`);
      last = step;
      const left = Array.from(Deno.readDirSync(folder), ({ name }) => name).filter((name) =>
        !path.endsWith(name)
      );
      assert(left.every((name) => /^\.checkpoint\.safetensors[\d.]+\.partial$/.test(name)), left.join());
      broken += left.length;
      for (const name of left) await Deno.remove(`${folder}/${name}`);
    }
    assert(broken > 0, "no writer was killed while it wrote");
    assert((await moved("read", path).output()).success);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

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
      for (const [what, bar] of [["write", bars.write], ["read", bars.read], ["make", bars.make]] as const) {
        const { success, stdout, stderr } = await moved(what, path).output();
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
