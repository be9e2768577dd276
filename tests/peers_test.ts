// The peers bench: what it holds others to is right, whoever fails is listed with the reason, and nothing wrong is timed.
import { assert, assertAlmostEquals, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { machineText } from "../bench/machine.ts";
import { compare, type Contender, type Row } from "../bench/peers/compare.ts";
import { erf, moe, type MoeInputs, type MoeSizes, updated } from "../bench/peers/reference.ts";
import { judge, markdownOf, ratio, tableOf } from "../bench/peers/table.ts";
import type { Workload } from "../bench/peers/workload.ts";
import { createWorkloads } from "../bench/peers/workloads.ts";
import configuration from "../deno.json" with { type: "json" };
import { random } from "../tensor/random.ts";

/** Runs the task's own command with more words, and with the permissions it asks for. */
async function peers(
  words: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; out: string; error: string }> {
  const [program, run, ...own] = configuration.tasks["bench:peers"].command.split(" ");
  assertEquals([program, run], ["deno", "run"]);
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [run, "--no-prompt", ...own, ...words],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  }).output();
  return { code, out: new TextDecoder().decode(stdout), error: new TextDecoder().decode(stderr) };
}

Deno.test("ours gives what every workload asks for, and a row for each", async () => {
  const { code, out, error } = await peers(["--only", "ours,system-blas", "--quick", "--json"]);
  assertEquals(code, 0, error);
  const { comparisons } = JSON.parse(out) as { comparisons: { workload: string; rows: Row[] }[] };
  assertEquals(
    comparisons.map(({ workload }) => workload),
    [
      "matmul-96",
      "grouped",
      "softmax",
      "moe-forward",
      "moe-gradient",
      "moe-train",
      "moe-swiglu",
      "language-model",
    ],
  );
  for (const { workload, rows } of comparisons) {
    const row = rows.find(({ contender }) => contender === "switchyard")!;
    assertEquals([row.cannot, row.secondsOfCall.length], [null, 1], workload);
    assert(row.secondsOfCall[0] > 0 && row.errorShare! <= 1, `${workload}: ${row.secondsOfCall[0]} s`);
    // It is timed like the others where there is a BLAS, and says why not where there is none.
    const blas = rows.find(({ contender }) => contender === "switchyard-blas")!;
    assert(
      blas.secondsOfCall.length === 1 || /^the CPU backend uses no BLAS: ./.test(blas.cannot!),
      workload,
    );
    const library = rows.find(({ contender }) => contender === "system-blas");
    assertEquals(library !== undefined, /^(matmul|grouped)/.test(workload), workload);
    if (blas.cannot === null && library) {
      assertEquals([library.cannot, library.secondsOfCall.length], [null, 1], workload);
      assert(library.errorShare! <= 1, workload);
    }
  }
});

Deno.test("a peer that is not there is listed with the reason", async () => {
  const words = ["--only", "pytorch,softmax", "--quick", "--python", "./no-such-python"];
  const { code, out, error } = await peers(words);
  assertEquals(code, 0, error);
  assertMatch(out, /^pytorch: \.\/no-such-python cannot be started: ./m);
  // One round has no range.
  assertMatch(out, /│ switchyard +│ \d+\.\d\d +│/);
});

Deno.test("a run says where, when and with what it was made", async () => {
  const words = ["--only", "softmax,switchyard", "--quick"];
  const { code, out, error } = await peers(words, { OPENBLAS_L2_SIZE: "512", MKL_NUM_THREADS: "1" });
  assertEquals(code, 0, error);
  assertStringIncludes(out, machineText());
  assertMatch(
    out,
    /^\d{4}-\d\d-\d\d, deno task bench:peers --only softmax,switchyard --quick: 1 round, f32$/m,
  );
  assertMatch(out, /^OPENBLAS_L2_SIZE=512 is set: OpenBLAS's tiles may not be /m);
  assertMatch(out, /^MKL_NUM_THREADS=1 is set: MKL's threads may not be /m);
  assertMatch(out, /^One round; .*All results were checked first\.$/m);
});

Deno.test("a run that timed none of ours fails and says so", async () => {
  // No folder of drivers: no adapter.
  const env = { VK_DRIVER_FILES: "/nowhere", VK_ICD_FILENAMES: "/nowhere", DENO_WEBGPU_BACKEND: "vulkan" };
  const words = ["--device", "webgpu", "--only", "softmax,switchyard-webgpu", "--quick"];
  const { code, out, error } = await peers(words, env);
  assertEquals(code, 1);
  assertMatch(error, /^Cannot compare: none of ours was timed, for the reasons above$/m);
  assertMatch(out, /^switchyard-webgpu: ./m);
  assert(!out.includes("checked first"), out);
});

Deno.test("each workload's text is to be understood alone", () => {
  for (const scale of ["full", "small"] as const) {
    for (const { name, about } of createWorkloads(scale)) {
      assert(!/\bthe (same|layer)\b/i.test(about), `${name}: ${about}`);
      if (name.startsWith("moe-")) {
        assertMatch(about, /^MoE layer, \d+ tokens, D = \d+, F = \d+, \d+ experts with /);
      }
    }
  }
});

Deno.test("a choice that is none is refused in one sentence", async () => {
  for (
    const [words, sentence] of [
      [["--threads", "100"], "Cannot use --threads 100: choose a whole number from 1 to 64"],
      [["--rounds", "0"], "Cannot use --rounds 0: choose a whole number of at least 1"],
      [["--device", "tpu"], "Cannot use --device tpu: there are cpu, webgpu, all"],
      [["--only", "jax"], 'Cannot compare only "jax": there are the workloads matmul-512, '],
      [
        ["--round", "2"],
        'Cannot use "--round": did you mean --rounds? deno task bench:peers has --only, --rounds',
      ],
    ] as const
  ) {
    const { code, error } = await peers(words);
    assert(code !== 0 && error.startsWith(sentence) && error.trimEnd().split("\n").length === 1, error);
  }
});

const doubling: Workload = {
  name: "doubling",
  about: "y = 2 x",
  sizes: {},
  flop: 100,
  prepare() {
    const values = random(1).normal(100);
    const wanted = { y: { values: Float64Array.from(values, (value) => 2 * value), allowed: 1e-6 } };
    return Promise.resolve({ inputs: { x: { shape: [100], values } }, wanted });
  },
};

function contender(manner: string): Contender {
  const path = decodeURIComponent(new URL("peers_contender.ts", import.meta.url).pathname);
  const args = ["run", "--quiet", "--no-prompt", "--allow-read", "--allow-write", path, manner];
  return {
    name: manner,
    device: "cpu",
    ours: manner === "right",
    command: { program: Deno.execPath(), args },
  };
}

Deno.test("whoever is wrong, crashes, hangs or lacks something is listed, and only the rest is timed", async () => {
  const reasons: Record<string, RegExp> = {
    wrong: /^its result is wrong: "y" is off by \d\.\de-\d of its norm, and rounding explains 1\.0e-6$/,
    "not a number": /^its result is wrong: "y" is off by NaN/,
    short: /^its output "y" has 99 values, not 100$/,
    nothing: /^it gave no output "y"$/,
    crashes: /^it ended with code 7: Segmentation error in a library$/,
    hangs: /^it took longer than 5 s and was ended$/,
    "lacks it": /^it has no doubling$/,
    "does not open": /^it has no licence$/,
  };
  const everybody = ["right", ...Object.keys(reasons)].map(contender);
  const options = { rounds: 2, secondsOfRound: 0.01, patienceSeconds: 5, say: () => {} };
  const [{ rows }] = await compare([doubling], everybody, options);
  const [right, ...others] = rows;
  assertEquals([right.cannot, right.secondsOfCall.length, right.about], [null, 2, "doubling, right"]);
  assert(right.errorShare! <= 0.1);
  for (const { contender, cannot, secondsOfCall } of others) {
    assertEquals(secondsOfCall, [], contender);
    assertMatch(cannot ?? "", reasons[contender]);
  }
  const table = tableOf({ workload: "doubling", about: "y = 2 x", flop: 100, rows });
  assertMatch(table, /│ right +│ [\d.]+ \[[\d.]+, [\d.]+\] +│ [\d.]+ +│ 1 +│/);
  for (const name of Object.keys(reasons)) assert(table.includes(`\n${name}: it`), table);
});

Deno.test("a contender that crashed takes part again in the next workload", async () => {
  const options = { rounds: 1, secondsOfRound: 0.01, patienceSeconds: 20, say: () => {} };
  const other: Workload = { ...doubling, name: "doubling again" };
  const [first, second] = await compare([doubling, other], [contender("crashes at first")], options);
  assertMatch(first.rows[0].cannot!, /^it ended with code 7/);
  assertEquals([second.rows[0].cannot, second.rows[0].secondsOfCall.length], [null, 1]);
});

Deno.test("a thread that spins while others are timed is reported", async () => {
  const options = { rounds: 2, secondsOfRound: 0.6, patienceSeconds: 60, say: () => {} };
  const [comparison] = await compare([doubling], ["right", "spins"].map(contender), options);
  const [right, spins] = comparison.rows.map(({ idleCores }) => idleCores!);
  assert(right < 0.05 && spins > 0.05, `idle cores: ${right} and ${spins}`);
  assertMatch(tableOf(comparison), /^spins: kept \d\.\d\d cores busy while others were timed$/m);
});

function row(contender: string, ...secondsOfCall: number[]): Row {
  const rest = { about: null, note: null, cannot: null, errorShare: 0, idleCores: 0 };
  return { contender, ours: contender.startsWith("switchyard"), secondsOfCall, ...rest };
}

Deno.test("ratios are taken within rounds, and a bar is met when it holds in every round", () => {
  // A machine that was twice as slow in the second round changes no ratio.
  const [ours, peer] = [row("switchyard", 1, 2, 1), row("onnxruntime-wasm", 1.5, 3, 1.2)];
  assertEquals(ratio(ours, peer), { median: 1.5, least: 1.2, most: 1.5 });
  assertEquals(ratio(ours, row("jax-js-wasm")), null);
  const rows = [ours, peer, row("jax-js-wasm", 4, 8, 4), row("pytorch")];
  const judged = judge([{ workload: "moe-gradient", about: "", flop: null, rows }]);
  assertEquals(
    judged.map(({ peer, least, verdict }) => [peer, least, verdict]),
    [
      ["onnxruntime-wasm", 1.3, "met by the median"],
      ["jax-js-wasm", 5, "not met"],
      ["pytorch", 0.6, "no time"],
    ],
  );
  const always = [ours, row("onnxruntime-wasm", 1.5, 3, 1.3)];
  const [{ verdict }] = judge([{ workload: "moe-gradient", about: "", flop: null, rows: always }]);
  assertEquals(verdict, "met");
});

Deno.test("tables in Markdown hold ratios to each of ours", () => {
  const table = (workload: string, ...rows: Row[]) => ({ workload, about: "", flop: null, rows });
  const comparisons = [
    table("softmax", row("switchyard", 0.001, 0.002), row("pytorch", 0.002, 0.002), row("tfjs-wasm")),
    table("moe-train", row("switchyard", 0.1), row("pytorch", 0.05)),
  ];
  assertEquals(
    markdownOf(comparisons),
    [
      "| workload | switchyard, ms | pytorch | tfjs-wasm |",
      "| --- | --- | --- | --- |",
      "| softmax | 1.50 [1.00, 2.00] | 1.50 [1.00, 2.00] | cannot |",
      "| moe-train | 100 | 0.50 | - |",
    ].join("\n"),
  );
});

Deno.test("the error function meets published digits", () => {
  // Abramowitz and Stegun, table 7.1, and symmetry.
  for (const [x, value] of [[0, 0], [0.5, 0.5204998778], [1, 0.8427007929], [2, 0.9953222650]]) {
    assertAlmostEquals(erf(x), value, 1e-10);
    assertAlmostEquals(erf(-x), -value, 1e-10);
  }
  // Both ways of computing it meet where one takes over from the other.
  assertAlmostEquals(erf(3 - 1e-12), erf(3 + 1e-12), 1e-11);
  assertAlmostEquals(erf(3), 0.9999779095, 1e-10);
});

Deno.test("gradients of the reference are those of its loss", () => {
  const [T, D, F, E] = [6, 4, 5, 3];
  for (const activation of ["relu", "gelu", "swiglu"] as const) {
    const sizes: MoeSizes = { T, D, F, E, activation };
    const draw = (name: string, count: number) => Float64Array.from(random(3).split(name).normal(count));
    const inputs: MoeInputs = {
      x: draw("x", T * D),
      router: draw("router", D * E),
      target: draw("target", T * D),
      first: draw("first", E * D * F),
      second: draw("second", E * D * F),
      ...(activation === "swiglu" ? { third: draw("third", E * D * F) } : {}),
    };
    const { gradients, leastGap } = moe(inputs, sizes, "gradients");
    const step = 1e-6;
    assert(leastGap > 100 * step);
    for (const name of ["x", "router", "first", "second", "third"] as const) {
      const values = inputs[name];
      if (!values) continue;
      for (let at = 0; at < values.length; at++) {
        const lossAt = (shift: number) => {
          const moved = values.slice();
          moved[at] += shift;
          return moe({ ...inputs, [name]: moved }, sizes, "forward").loss;
        };
        // Central differences: an error of step^2, and of the loss's own rounding over step.
        assertAlmostEquals(
          gradients![name][at],
          (lossAt(step) - lossAt(-step)) / (2 * step),
          1e-8,
          `${name} ${at}`,
        );
      }
    }
  }
});

Deno.test("the reference's update is a step of the learning rate against the gradient, and decay", () => {
  const [up, down] = updated(Float64Array.of(2, 2), Float64Array.of(-3, 5));
  assertAlmostEquals(up, 2 - 1e-3 * 0.01 * 2 + 1e-3, 1e-10);
  assertAlmostEquals(down, 2 - 1e-3 * 0.01 * 2 - 1e-3, 1e-10);
});
