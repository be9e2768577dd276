// The bench runs, checks what it times and prints what it says; how fast is its own affair.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { createFigures, spread } from "../bench/rounds.ts";

/** The task's words after `deno`, with all the permissions it needs. */
const task = ["run", "--no-prompt", "--allow-read=bench", "--allow-env", "--allow-ffi", "bench/main.ts"];

async function bench(...words: string[]): Promise<{ code: number; out: string; error: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...task, ...words],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
}

Deno.test("one short round gives every figure, with a spread and in base units", async () => {
  const words = ["--rounds", "1", "--steps", "2", "--size", "tiny", "--routers", "switch,hash", "--json"];
  const { code, out, error } = await bench(...words);
  assertEquals([code, error], [0, ""]);
  const { figures, machine, sizeName } = JSON.parse(out);
  assertEquals(sizeName, "tiny");
  assertMatch(machine, /^\d+ logical cores, /);
  const subjects = Object.keys(figures);
  for (const on of ["1 thread", "2 threads"]) {
    for (const subject of ["peak plain", "matmul logits", "matmul square", "step switch", "step hash"]) {
      assert(subjects.includes(`${subject}, ${on}`), `no ${subject}, ${on} among ${subjects}`);
    }
    const step = figures[`step switch, ${on}`];
    const shares = ["route", "dispatch", "experts", "rest"].map((stage) => step[`${stage}Share`].median);
    assert(shares.every((share) => share > 0 && share < 1), `shares ${shares}`);
    assert(Math.abs(shares.reduce((sum, share) => sum + share) - 1) < 1e-9, `shares ${shares}`);
    assert(step.usedBytes.median > 0 && step.peakBytes.median >= step.usedBytes.median);
    // 8 x 32 tokens of the tiny size, three passes.
    const flop = step.flopPerSecond.median * step.seconds.median / (3 * 8 * 32);
    assert(flop > 1e4 && Math.abs(flop - Math.round(flop)) < 1e-6 * flop, `${flop} FLOP a token`);
  }
  for (const found of Object.values(figures) as Record<string, ReturnType<typeof spread>>[]) {
    for (const [name, { least, median, most }] of Object.entries(found)) {
      assert(least >= 0 && least <= median && median <= most && Number.isFinite(most), `${name}: ${median}`);
    }
  }
});

Deno.test("a bench of nothing is refused in one sentence", async () => {
  for (
    const [words, sentence] of [
      [["--rounds", "0"], "Cannot use --rounds 0: choose a whole number of at least 1"],
      [["--size", "huge"], 'Cannot find size "huge"'],
      [["--routers", "topk"], 'Cannot find router "topk"'],
      [["--round", "2"], 'Cannot use "--round": there are --rounds, --steps'],
    ] as const
  ) {
    const { code, error } = await bench(...words);
    assert(code !== 0 && error.startsWith(sentence) && error.trimEnd().split("\n").length === 1, error);
  }
});

Deno.test("figures are medians with their range", () => {
  assertEquals(spread([3, 1, 2]), { median: 2, least: 1, most: 3 });
  assertEquals(spread([4, 1, 2, 3]), { median: 2.5, least: 1, most: 4 });
  assertThrows(() => spread([]), RangeError, "no rounds");
  const figures = createFigures();
  for (const value of [5, 7]) figures.add("b", { x: value });
  figures.add("a", { y: 1 });
  assertEquals(figures.all(), {
    b: { x: { median: 6, least: 5, most: 7 } },
    a: { y: { median: 1, least: 1, most: 1 } },
  });
});
