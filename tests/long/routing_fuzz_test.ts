// The fuzz of routing for a minute, from seeds that the short one does not reach.
import { assert } from "@std/assert";
import { cpu } from "../../cpu/backend.ts";
import { fuzzRouting } from "../routing_fuzz.ts";

Deno.test("tens of thousands of layers drawn at random: what plain loops give", async () => {
  const backend = await cpu({ threads: 1 });
  const { kept, refused } = await fuzzRouting(backend, { from: 1_000_000, seconds: 60 });
  assert(kept > 1000 && kept > refused / 2, `${kept} kept, ${refused} refused`);
  backend.close();
});
