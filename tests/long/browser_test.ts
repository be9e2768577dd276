// The package in a real Chromium: records are Deno's, runs at once are those alone, and what a page refuses has a reason.
// What other engines refuse: tests/browser_faults_test.ts.
import { assert, assertEquals, assertMatch, assertNotEquals, assertStringIncludes } from "@std/assert";
import { cpu } from "../../cpu/backend.ts";
import { routers } from "../../routers/registry.ts";
import { parseRecord } from "../../training/record_text.ts";
import { pagesTest } from "../chromium.ts";
import { apart, counting } from "../roundings.ts";
import { recordOf } from "../small_run.ts";
import { tried } from "../tried_backend.ts";

/** Deno's record of a router on the CPU, and how far another's loss may lie apart after each step. */
async function onCpu(name: string, seed: number): Promise<{ record: string; tolerances: number[] }> {
  using backend = await cpu({ threads: 1 });
  const counted = counting(backend);
  const tolerances: number[] = [];
  // Numbers about as large as a loss, 4.
  const onStep = () => void tolerances.push(4 * apart(counted.roundings()));
  const [record] = await recordOf(counted.backend, name, seed, { onStep });
  return { record, tolerances };
}

pagesTest("every router's record is Deno's, byte for byte, on one thread and on two", async (pages) => {
  const names = routers().map(({ name }) => name);
  using backend = await cpu({ threads: 2 });
  const wanted: Record<string, string> = {};
  for (const name of names) [wanted[name]] = await recordOf(backend, name, 0);
  for (const threads of [1, 2]) {
    assertEquals(await pages.call("isolated", "records", names, threads), wanted);
  }
});

for (const name of ["base", "gumbel-matching", "switch"]) {
  pagesTest(
    `${name}: two runs at once on WebGPU are those alone, and the CPU's within rounding`,
    async (pages) => {
      const { alone, together } = await pages.call("isolated", "atOnce", name);
      assertNotEquals(alone[0], alone[1]);
      assertEquals(together, alone);
      for (const seed of [0, 1]) {
        const { record, tolerances } = await onCpu(name, seed);
        const [wanted, found] = [record, alone[seed]].map((text) =>
          parseRecord(text, name).steps.map(({ loss }) => loss)
        );
        assertEquals(found.length, wanted.length);
        found.forEach((loss, step) => {
          const off = Math.abs(loss - wanted[step]);
          assert(
            off <= tolerances[step],
            `step ${step}: ${loss}, CPU ${wanted[step]}, tolerance ${tolerances[step]}`,
          );
        });
      }
    },
  );
}

pagesTest(
  "the adapter has a name of its own, and a page without one is told so in a browser's words",
  async (pages) => {
    const adapter = await pages.call("isolated", "adapter");
    assert(adapter !== null);
    assertMatch(adapter.name, /swiftshader/i);
    assertEquals(adapter.software, true);
    const refusal = await pages.call("isolated", "withoutAdapter");
    assertStringIncludes(refusal, "Cannot open WebGPU: this browser offers no adapter");
    assert(!/Linux|--device/.test(refusal), refusal);
  },
);

pagesTest(
  "threads come up in an isolated page, and in its worker if the page starts them",
  async (pages) => {
    const { product } = await tried({ threads: 1 });
    const { threads, notes, product: found } = await pages.call("isolated", "opened", { threads: 3 });
    assertEquals([threads, notes, found], [3, [], [...product]]);
    const opened = await pages.call("isolated", "openedByWorker", 100);
    assertEquals(opened, Array.from({ length: 100 }, () => ({ threads: 2, notes: [] })));
  },
);

pagesTest(
  "a page that forbids workers from a Blob has one thread and a reason, or serves their program",
  async (pages) => {
    const { threads, notes: [note] } = await pages.call("forbidding", "opened", { threads: 2 });
    assertEquals(threads, 1);
    assertMatch(note, /^1 thread instead of 2: .*Content Security Policy .*worker-src blob:/);
    const served = await pages.call("forbidding", "opened", { threads: 2, program: "/thread.js" });
    assertEquals([served.threads, served.notes], [2, []]);
  },
);

pagesTest("a page that is not isolated has one thread and a reason", async (pages) => {
  const { threads, notes: [note] } = await pages.call("plain", "opened", { threads: 4 });
  assertEquals(threads, 1);
  assertMatch(
    note,
    /^1 thread instead of 4: this page is not cross-origin isolated: .*\(COOP\) and .*\(COEP\)$/,
  );
  const refusal = await pages.call("plain", "refusedToOpen", { shared: true });
  assertMatch(
    refusal,
    /^Error: Cannot share memory between threads: this page is not .*\(COOP\) and .*\(COEP\)$/,
  );
});

pagesTest("what needs files says that a browser has none", async (pages) => {
  const [text, store] = await pages.call("plain", "withoutFiles");
  assertMatch(text, /^Error: Cannot .*texts\/mine\.txt: only Deno has files/);
  assertMatch(store, /^Error: Cannot .*, which stores of runs and texts on disk need$/);
});
