// `deno bench`: routers on the same tokens, forward and backward through weights, losses and log-probabilities: what a
// router costs alone. The baseline sends tokens in turn and learns nothing.
import { cpu } from "../cpu/backend.ts";
import { findSize } from "../models/sizes.ts";
import { routers } from "../routers/registry.ts";
import { configOf } from "../training/config.ts";
import { verified } from "./verify.ts";
import { createRouterSubject } from "./router.ts";

const backend = await cpu();
const { model: { width: D, experts }, train: { length, batch } } = configOf(findSize("small"));
const dims = { T: length * batch, D, experts, length };

await verified(backend, async (watching) => {
  for (const plugin of routers()) {
    using once = createRouterSubject(watching, plugin, dims);
    await once.run();
  }
});
for (const plugin of routers()) {
  const { run } = createRouterSubject(backend, plugin, dims);
  const baseline = plugin.name === "forced-balance";
  Deno.bench({
    name: plugin.name,
    group: `routers, T=${dims.T} D=${D}, ${experts} experts a choice`,
    baseline,
    fn: run,
  });
}
