// `deno bench`: products of small models' shapes with each register tile, on one thread. Results are the same bits; which
// tile is faster is the processor's affair.
import { cpu } from "../cpu/backend.ts";
import { tiles } from "../cpu/tiles.ts";
import { matmul } from "../kernels/mod.ts";
import { productSubject } from "./products.ts";

const AS_STORED = { transposeA: false, transposeB: false };
const shapes = [
  { name: "logits of tiny", M: 256, N: 1024, K: 32, params: { ...AS_STORED, transposeB: true } },
  { name: "gradient of weights", M: 32, N: 64, K: 512, params: { ...AS_STORED, transposeA: true } },
  { name: "one layer of recall", M: 512, N: 64, K: 32, params: AS_STORED },
  { name: "square", M: 384, N: 384, K: 384, params: AS_STORED },
];

for (const tile of tiles) {
  const backend = await cpu({ threads: 1, tile });
  for (const shape of shapes) {
    const { run, check } = productSubject(backend, shape);
    await check();
    const group = `${matmul.name}, ${shape.name}, [${shape.M}, ${shape.K}] [${shape.K}, ${shape.N}]`;
    Deno.bench({ name: `tile ${tile}`, group, baseline: tile === tiles[0], fn: run });
  }
}
