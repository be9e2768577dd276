// The CPU backend itself: the same bits without SharedArrayBuffer, a heap that reuses what is freed, and errors that say
// what to do.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { blockBytes, createHeap } from "../cpu/heap.ts";
import { hasRelaxedSimd } from "../cpu/module.ts";
import { attention, matmul, softmax } from "../kernels/mod.ts";
import { random } from "../tensor/random.ts";
import { equalSequences } from "../tensor/sequences.ts";

async function results(options: Parameters<typeof cpu>[0]): Promise<Float32Array[]> {
  using backend = await cpu(options);
  const draw = (name: string, shape: number[]) =>
    backend.upload(random(5).split(name).normal(shape[0] * shape[1]), shape);
  const [product] = backend.run(matmul, [draw("a", [61, 300]), draw("b", [300, 45])], {
    transposeA: false,
    transposeB: false,
  });
  const [share] = backend.run(softmax, [product], {});
  const { longest, pairs, offset_B1 } = equalSequences(2, 33);
  const qkv = draw("qkv", [66, 48]);
  const [attended] = backend.run(attention, [qkv, qkv, qkv, backend.upload(offset_B1, [3])], {
    heads: 2,
    keyValueHeads: 2,
    longest,
    past: 0,
    pairs,
    packed: true,
  });
  return await Promise.all(
    [product, share, attended].map((buffer) => backend.read(buffer) as Promise<Float32Array>),
  );
}

Deno.test("without SharedArrayBuffer there is one thread, and the same bits", async () => {
  using backend = await cpu({ shared: false, threads: 8 });
  assertEquals(backend.threads, 1);
  assertEquals(await results({ shared: false }), await results({ threads: 2 }));
  assertEquals(
    await results({ shared: false, relaxed: false }),
    await results({ threads: 3, relaxed: false }),
  );
});

Deno.test("the backend says which multiply-add it uses", async () => {
  using plain = await cpu({ threads: 1, relaxed: false });
  using found = await cpu({ threads: 1 });
  assertEquals(plain.arithmetic, { device: "cpu", fusedMultiplyAdd: false });
  assertEquals(found.arithmetic.fusedMultiplyAdd, hasRelaxedSimd());
});

Deno.test("freed memory is handed out again, and a block is at most 63 bytes too large", async () => {
  using backend = await cpu({ threads: 1 });
  backend.free(backend.upload(new Float32Array(1000), [1000]));
  const { carvedBytes } = backend.statistics();
  for (let at = 0; at < 100; at++) {
    backend.free(backend.upload(new Float32Array(1000 - at % 7), [1000 - at % 7]));
  }
  assertEquals(backend.statistics().carvedBytes, carvedBytes);
  for (const bytes of [1, 64, 65, 1000, 4097, 123_456_789]) {
    assert(blockBytes(bytes) >= bytes && blockBytes(bytes) < bytes + 64, `${bytes}`);
  }
});

/** A heap of `kibibytes` that cannot grow past that. */
function smallHeap(kibibytes: number) {
  const pages = kibibytes / 64;
  return createHeap(new WebAssembly.Memory({ initial: 1, maximum: pages }), 0, pages * 65536);
}

Deno.test("free blocks are joined, and cut up for other sizes, before memory grows", () => {
  const heap = smallHeap(1024);
  const KiB = 1024;
  const small = Array.from({ length: 256 }, () => heap.allocate(4 * KiB));
  assertThrows(() => heap.allocate(1), RangeError, "Cannot allocate 1 bytes on the CPU backend");
  for (const address of small) heap.release(address);
  // Larger than any block there was, then smaller, then as before.
  const large = heap.allocate(896 * KiB);
  const rest = heap.allocate(128 * KiB);
  heap.release(large);
  heap.release(rest);
  const again = Array.from({ length: 256 }, () => heap.allocate(4 * KiB));
  assertEquals(new Set(again).size, 256);
  assertEquals(heap.statistics(), { usedBytes: 1024 * KiB, carvedBytes: 1024 * KiB });
});

Deno.test("a block with two holders is free when both have released it", () => {
  const heap = smallHeap(64);
  const address = heap.allocate(100);
  heap.share(address);
  heap.release(address);
  assertEquals(heap.statistics().usedBytes, 128);
  assertEquals(heap.allocate(1), address + 128);
  heap.release(address);
  assertEquals(heap.allocate(128), address);
  assertThrows(() => heap.share(address + 64), RangeError, "Cannot share address");
  assertThrows(() => heap.release(address + 64), RangeError, "Cannot free address");
});

Deno.test("blocks never overlap, and memory runs out only when no free piece is large enough", () => {
  const pages = 32;
  const heap = smallHeap(64 * pages);
  const held = new Map<number, number>();
  const draw = random(7).uniform(20_000);
  let refused = 0;
  const longestGap = () => {
    const blocks = [...held].sort(([a], [b]) => a - b);
    let [longest, end] = [0, 0];
    for (const [address, bytes] of [...blocks, [pages * 65536, 0]]) {
      assert(address >= end, `a block at ${address} starts within one that ends at ${end}`);
      longest = Math.max(longest, address - end);
      end = address + bytes;
    }
    return longest;
  };
  for (let at = 0; at < 10_000; at++) {
    // Fills up, then empties by turns, so that sizes and places change.
    const fills = draw[2 * at] < (at % 2000 < 1200 ? 0.7 : 0.3);
    if (fills || held.size === 0) {
      const bytes = Math.ceil(draw[2 * at + 1] ** 4 * 400_000) + 1;
      const size = blockBytes(bytes);
      try {
        const address = heap.allocate(bytes);
        held.set(address, size);
      } catch (error) {
        assert(error instanceof RangeError);
        assert(longestGap() < size, `${size} bytes refused with ${longestGap()} free in a row`);
        refused++;
      }
    } else {
      const address = [...held.keys()][Math.floor(draw[2 * at + 1] * held.size)];
      heap.release(address);
      held.delete(address);
    }
    if (at % 50 === 0) longestGap();
  }
  assert(refused > 50, `memory ran out only ${refused} times`);
  const usedBytes = [...held.values()].reduce((sum, bytes) => sum + bytes, 0);
  assertEquals(heap.statistics().usedBytes, usedBytes);
  for (const address of held.keys()) heap.release(address);
  assertEquals(heap.allocate(pages * 65536), 0);
});

Deno.test("what cannot be done is refused in one sentence", async () => {
  await assertRejects(
    () => cpu({ threads: 0 }),
    RangeError,
    "Cannot start 0 threads: choose a whole number from 1 to 64",
  );
  await assertRejects(() => cpu({ threads: 1.5 }), RangeError, "1.5");
  const backend = await cpu({ threads: 1 });
  assertThrows(() => backend.upload(new Float32Array(3), [2, 2]), RangeError, "3 values as shape [2, 2]");
  assertThrows(() => backend.upload(new Float32Array(1), [0.5, 2]), RangeError, "whole numbers");
  const buffer = backend.upload(new Float32Array(6), [2, 3]);
  assertThrows(() => backend.alias(buffer, [4]), RangeError, "Cannot view shape [2, 3] as [4]");
  const wide = backend.upload(new Float32Array(40_000), [40_000, 1]);
  const row = backend.upload(new Float32Array(40_000), [1, 40_000]);
  const params = { transposeA: false, transposeB: false };
  assertThrows(
    () => backend.run(matmul, [wide, row], params),
    RangeError,
    "this WebAssembly heap ends at 4294967296 bytes",
  );
  backend.free(buffer);
  assertThrows(() => backend.free(buffer), RangeError, "it is not allocated");
  backend.close();
  assertThrows(() => backend.run(softmax, [wide], {}), TypeError, "the CPU backend is closed");
  assertThrows(() => backend.upload(new Float32Array(1), [1]), TypeError, "the CPU backend is closed");
});
