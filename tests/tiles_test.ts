// Register tiles of products: the same bits with each, and the faster one is kept.
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import type { Launch } from "../cpu/launches.ts";
import { chooseTile, type Tile, tiles } from "../cpu/tiles.ts";
import { matmul } from "../kernels/mod.ts";
import { fill } from "../kernels/fill.ts";
import { sameBits } from "./kernel_cases.ts";

/** A launch that only its identity is asked of. */
function launch(): Launch {
  const nothing = { leading: [], integers: [], floats: [], outputs: [], replaces: undefined };
  return { ...nothing, units: 1, chunkUnits: 1, words: 0, scratchBytes: 0, eachScratch: 0 };
}

Deno.test("a product has the same bits with every tile, for any number of rows, columns and terms", async () => {
  using tall = await cpu({ threads: 1, tile: "6x8" });
  using narrow = await cpu({ threads: 1, tile: "4x8" });
  for (const M of [1, 2, 3, 4, 5, 6, 7, 11, 97]) {
    for (const [N, K] of [[1, 1], [8, 5], [19, 385], [260, 33]]) {
      for (const [transposeA, transposeB] of [[false, false], [true, false], [false, true]]) {
        const shapes = [transposeA ? [K, M] : [M, K], transposeB ? [N, K] : [K, N]];
        const values = shapes.map((shape, at) =>
          fill({ type: { dtype: "f32", shape }, fill: { kind: "normal" } }, `${M} ${N} ${K} ${at}`)
        );
        const [want, got] = await Promise.all([tall, narrow].map((backend) => {
          const inputs = values.map((each, at) => backend.upload(each, shapes[at]));
          return backend.read(backend.run(matmul, inputs, { transposeA, transposeB })[0]);
        }));
        sameBits(`[${M}, ${K}] [${K}, ${N}]`, got, want);
      }
    }
  }
});

Deno.test("shapes take turns with both tiles, and the tile of lesser times is kept", () => {
  for (const faster of [0, 1]) {
    const choice = chooseTile(undefined);
    const shapes = [launch(), launch()];
    const taken = [0, 0];
    for (let run = 0; run < 128 && choice.chosen() === null; run++) {
      for (const each of shapes) {
        const tile = choice.next("matmul", each);
        taken[tile]++;
        // The first runs of both are slow.
        choice.took("matmul", each, run < 4 ? 50 : tile === faster ? 1 : 1.1);
      }
      if (choice.chosen() === null) assertEquals(choice.next("softmax", shapes[0]), 0);
      choice.took("softmax", shapes[0], 1000);
    }
    assertEquals(choice.chosen(), tiles[faster]);
    assertEquals(choice.next("matmul", shapes[0]), faster);
    assert(Math.abs(taken[0] - taken[1]) <= 2, `${taken}`);
  }
});

Deno.test("a backend chooses after some products, or takes the tile it was given", async () => {
  using backend = await cpu({ threads: 1 });
  assertEquals(backend.tile(), null);
  const square = backend.upload(new Float32Array(128 * 128).fill(1), [128, 128]);
  for (let run = 0; run < 5000 && backend.tile() === null; run++) {
    backend.free(backend.run(matmul, [square, square], { transposeA: false, transposeB: false })[0]);
  }
  assert(tiles.includes(backend.tile()!));
  using given = await cpu({ threads: 1, tile: "4x8" });
  assertEquals(given.tile(), "4x8");
});

Deno.test("a program whose shapes never come back stays with the first tile", () => {
  const choice = chooseTile(undefined);
  for (let run = 0; run < 4096; run++) choice.took("matmul", launch(), 1);
  assertEquals(choice.chosen(), tiles[0]);
});

Deno.test("a tile that there is not is refused", async () => {
  const message = 'Cannot multiply with tile "8x8": choose 6x8 or 4x8';
  assertThrows(() => chooseTile("8x8" as Tile), RangeError, message);
  await assertRejects(() => cpu({ tile: "8x8" as Tile }), RangeError, message);
});
