// Every kind of experts there is against the contract, with its defaults and with options that change what it does; and the
// list itself.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { feedForward } from "../experts/feed_forward.ts";
import { type AnyExpertPlugin, experts, findExperts, registerExperts } from "../experts/registry.ts";
import { expertContract, type Variant } from "./expert_contract.ts";

/** Besides defaults, by kind. A kind without an entry is held to the contract with its defaults. */
const variants: Readonly<Record<string, readonly Variant[]>> = {
  "feed-forward": [
    { options: {} },
    { options: { bias: true, outDeviation: 0.3 } },
    ...["gelu", "silu", "relu-squared"].map((activation) => ({ options: { activation, bias: true } })),
    ...["relu", "gelu", "relu-squared"].map((activation) => ({
      options: { activation, dropout: 0.4 },
      noisy: true,
    })),
  ],
  swiglu: [
    { options: {} },
    { options: { outDeviation: 0.3 } },
    { options: { dropout: 0.4 }, noisy: true },
  ],
  linear: [{ options: {} }, { options: { bias: true, outDeviation: 0.3 } }],
};

for (const plugin of experts()) expertContract(plugin, variants[plugin.name]);

Deno.test("every kind with variants is there", () => {
  const names = experts().map(({ name }) => name);
  assertEquals(Object.keys(variants).filter((name) => !names.includes(name)), []);
});

Deno.test("a kind of experts is found by its name, taken once, and must be whole", () => {
  const mine = { ...feedForward, name: "mine" };
  registerExperts(mine);
  assertEquals(findExperts("mine"), mine);
  assert(experts().includes(mine));
  const refuse = (plugin: unknown, kind: typeof TypeError | typeof RangeError, message: string) =>
    assertThrows(() => registerExperts(plugin as AnyExpertPlugin), kind, message);
  refuse(mine, RangeError, 'Cannot register experts "mine": the name is taken');
  refuse({ ...mine, name: "My" }, RangeError, "a name is kebab-case");
  refuse({ name: "half" }, TypeError, "Cannot register a kind of experts: it has no about, no options");
  refuse({ ...mine, name: "other", options: {} }, TypeError, "its options are no schema of zod 4");
  assertThrows(
    () => findExperts("swigloo"),
    RangeError,
    'there are "feed-forward", "linear", "mine", "swiglu"',
  );
});
