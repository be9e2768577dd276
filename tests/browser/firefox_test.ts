// The playground in a real Firefox: its threads are started by the page, since that browser can hang where a worker starts
// one, and so no opening hangs. `OPENINGS` in the environment says how often it is opened: .ci/run asks for 30.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { firefox, openings, skipsFirefox } from "../firefox.ts";
import { builtPage } from "../playground.ts";

const OPENINGS = Number(Deno.env.get("OPENINGS") ?? 10);

Deno.test({
  name: `Firefox trains on threads, and of ${OPENINGS} openings in a row none hangs or differs`,
  ignore: skipsFirefox,
  fn: async () => {
    assert(firefox !== null, "there is no Firefox (Debian: firefox-esr)");
    const first = `Object.defineProperty(navigator, "hardwareConcurrency", { value: 4 });`;
    const address = "task=recall&size=tiny&train.steps=2";
    const opened = await openings(firefox, await builtPage(), { times: OPENINGS, address, first });
    assertEquals(opened.length, OPENINGS);
    assertMatch(opened[0].place, /switch: CPU, 3 threads\./);
    assertEquals(opened[0].row.slice(0, 3), ["switch", "finished", "2 of 2"]);
    for (const [at, each] of opened.entries()) assertEquals(each, opened[0], `opening ${at + 1}`);
  },
  sanitizeResources: false,
  sanitizeOps: false,
});
