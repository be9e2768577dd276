// `deno bench`: the MoE block the project is held to, forward and backward, by load, and one product in groups beside one
// in a piece. Kernels are checked on fewer tokens first.
import { cpu } from "../cpu/backend.ts";
import { checkLayer, createLayerSubject, layerText, referenceLayer } from "./layer.ts";
import { skews } from "./loads.ts";
import { groupedSubject, productSubject } from "./products.ts";

const backend = await cpu();
const { T, D, F, E, K } = referenceLayer;

for (const skew of skews) {
  await checkLayer(backend, referenceLayer, { skew });
  const { run } = createLayerSubject(backend, referenceLayer, { skew });
  const group = `MoE block, ${layerText(referenceLayer)}`;
  Deno.bench({
    name: `forward and backward, skew ${skew}`,
    group,
    baseline: skew === 0,
    n: 10,
    warmup: 1,
    fn: run,
  });
}

const params = { transposeA: false, transposeB: false };
const dense = productSubject(backend, { name: "plain", M: T * K, N: F, K: D, params });
await dense.check();
const group = `product of ${T * K} rows, ${D}x${F}`;
Deno.bench({ name: "one matrix", group, baseline: true, fn: dense.run });
for (const skew of skews) {
  const grouped = groupedSubject(backend, { T, E, K, skew }, { K: D, M: F });
  await grouped.check();
  Deno.bench({ name: `${E} matrices, skew ${skew}`, group, fn: grouped.run });
}
