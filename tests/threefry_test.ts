// Known answers of Threefry-2x32-20 from the Random123 distribution (kat_vectors): without them the kernel and its
// reference could be wrong together.
import { assert, assertEquals } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { threefry, uniform } from "../kernels/uniform/kernel.ts";

Deno.test("threefry gives the published words", () => {
  const ones = 0xFFFFFFFF;
  assertEquals(threefry(0, 0, 0, 0), [0x6B200159, 0x99BA4EFE]);
  assertEquals(threefry(ones, ones, ones, ones), [0x1CB996FC, 0xBB002BE7]);
  assertEquals(threefry(0x13198A2E, 0x03707344, 0x243F6A88, 0x85A308D3), [0xC4923A9C, 0x483DF7A0]);
});

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
