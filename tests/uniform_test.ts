// Device draws against Threefry's known answer: kernel and reference share the words and could be wrong together.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { uniform } from "../kernels/uniform/kernel.ts";

Deno.test("uniform draws the top 24 bits of those words", async () => {
  const backend = await cpu({ threads: 1 });
  const [drawn] = backend.run(uniform, [], { key0: 0, key1: 0, shape: [2] });
  const words = Array.from(await backend.read(drawn), (value) => value * 2 ** 24);
  backend.close();
  assertEquals(words, [0x6B2001, 0x99BA4E]);
});

Deno.test("uniform draws have the mean and variance of the uniform distribution", async () => {
  const backend = await cpu({ threads: 1 });
  const count = 1 << 18;
  const [drawn] = backend.run(uniform, [], { key0: 1, key1: 2, shape: [count] });
  const values = Array.from(await backend.read(drawn));
  backend.close();
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const variance = values.reduce((sum, value) => sum + (value - 0.5) ** 2, 0) / count;
  // Five standard deviations of each estimate: sqrt(1/12 / count) and sqrt(1/180 / count).
  assert(Math.abs(mean - 1 / 2) < 5 * Math.sqrt(1 / 12 / count));
  assert(Math.abs(variance - 1 / 12) < 5 * Math.sqrt(1 / 180 / count));
});
