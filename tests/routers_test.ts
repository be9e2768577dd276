// Every router there is against the contract, with its defaults and with options that change what it does; the latter on
// WebGPU are in tests/long.
import { assert, assertMatch } from "@std/assert";
import { routers } from "../routers/registry.ts";
import { routerContract } from "./router_contract.ts";
import { routerVariants } from "./router_variants.ts";

Deno.test("every router of this package says how it reads its paper and what goes wrong easily", () => {
  for (const { name, readings = [], pitfalls = [] } of routers()) {
    for (const [what, sentences] of Object.entries({ readings, pitfalls })) {
      assert(sentences.length > 0, `${name} has no ${what}`);
      for (const sentence of sentences) assertMatch(sentence, /^\S[^\n]*\.$/, `${name}, ${what}`);
    }
  }
});

for (const plugin of routers()) {
  const [first, ...others] = routerVariants[plugin.name] ?? [{ options: {} }];
  routerContract(plugin, [first]);
  routerContract(plugin, others, ["cpu"]);
}
