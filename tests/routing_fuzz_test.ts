// The fuzz of routing for four seconds; tests/long goes on for longer, from another seed.
import { assert } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { fuzzRouting } from "./routing_fuzz.ts";

Deno.test("routers, options, shapes, ranks, ragged lengths and padding drawn at random: what plain loops give", async () => {
  const backend = await cpu({ threads: 1 });
  const { kept, refused } = await fuzzRouting(backend, { from: 1, seconds: 4 });
  assert(kept > 50 && kept > refused / 2, `${kept} kept, ${refused} refused`);
  backend.close();
});
