// The bench of routing's share runs, checks what it times and prints what it says; how fast is its own affair.
import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Spread } from "../bench/rounds.ts";
import { routers } from "../routers/registry.ts";
import { runTask } from "./task_command.ts";

const bench = (...words: string[]) => runTask("bench:routing", words);

const small = ["--tokens", "256", "--width", "32", "--hidden", "16", "--experts", "16", "--rounds", "1"];

Deno.test("one small round times every router, verified, with shares below 1", async () => {
  const { code, out, error } = await bench(...small, "--json");
  assertEquals([code, error], [0, ""]);
  const { figures, experts, machine, date } = JSON.parse(out);
  assertEquals(experts, 16);
  assertMatch(date, /^\d{4}-\d\d-\d\d$/);
  assert(machine.includes(`Deno ${Deno.version.deno}`), machine);
  for (const { name } of routers()) assert(name in figures, `no ${name} among ${Object.keys(figures)}`);
  for (const [name, found] of Object.entries(figures as Record<string, Record<string, Spread>>)) {
    const [all, route, share] = [found.seconds, found.routeSeconds, found.routeShare].map(({ median }) =>
      median
    );
    assert(route > 0 && route < all && Math.abs(share - route / all) < 1e-12, `${name}: ${route} of ${all}`);
  }
});

Deno.test("a bench of nothing is refused in one sentence", async () => {
  for (
    const [words, sentence] of [
      [["--rounds", "0"], "Cannot use --rounds 0: choose a whole number of at least 1"],
      [["--tokens", "100"], "Cannot use --tokens 100: choose a multiple of 256"],
      [["--routers", "topk"], 'Cannot find router "topk"'],
      [
        ["--round", "2"],
        'Cannot use "--round": did you mean --rounds? deno task bench:routing has --rounds, --threads',
      ],
    ] as const
  ) {
    const { code, error } = await bench(...words);
    assert(code !== 0 && error.startsWith(sentence) && error.trimEnd().split("\n").length === 1, error);
  }
});
