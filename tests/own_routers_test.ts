// Routers of one's own, examples/relu_routing.ts and examples/dselect_k.ts: they keep the contract, compute what their
// formulas say, and take part in a tuned comparison as a user would start it.
import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { dselectK } from "../examples/dselect_k.ts";
import { reluRouting } from "../examples/relu_routing.ts";
import { random } from "../tensor/random.ts";
import { filesIn, inFolder, succeed } from "./experiments_command.ts";
import { makeRouter, routeOnce } from "./route_once.ts";
import { runTask } from "./task_command.ts";

const files = ["examples/relu_routing.ts", "examples/dselect_k.ts"];
const backend = await cpu({ threads: 1 });
addEventListener("unload", () => backend.close());

for (const file of files) {
  Deno.test(`${file} keeps the contract of every router`, async () => {
    const { code, out, error } = await runTask("check:router", [file, "--device", "cpu"]);
    assertEquals(code, 0, out + error);
    const [, kept, rules] = out.match(/on the CPU: (\d+) of (\d+) rules kept/)!;
    assert(kept === rules && Number(rules) > 25, out);
  });
}

Deno.test("ReLU routing: weights, the loss and the coefficient are those of the formulas", async () => {
  const [T, D, E] = [6, 3, 4];
  const x = Array.from(random(1).normal(T * D));
  const gate = Array.from(random(2).normal(D * E));
  const options = { k: 1, coefficient: 0.5, growth: 2 };
  const batch = { x, D, E, given: { gate }, options };
  const router = await makeRouter(backend, reluRouting, batch);
  const weights = Array.from({ length: T * E }, (_, at) => {
    const [t, e] = [Math.floor(at / E), at % E];
    return Math.max(0, [0, 1, 2].reduce((sum, d) => sum + x[t * D + d] * gate[d * E + e], 0));
  });
  const byExpert = (value: (weight: number) => number) =>
    [0, 1, 2, 3].map((e) =>
      weights.filter((_, at) => at % E === e).reduce((sum, weight) => sum + value(weight), 0)
    );
  const chosen = byExpert((weight) => Number(weight > 0));
  // L = lambda sum_e f_e mean_t weight, f_e = E / (k T) tokens of e.
  const loss = byExpert((weight) => weight).reduce(
    (sum, weight, e) => sum + (E / T) * chosen[e] * weight / T,
    0,
  );
  for (const lambda of [0.5, 1, 2]) {
    const routed = await routeOnce(backend, reluRouting, batch, router);
    routed.weight.forEach((weight, at) => assertAlmostEquals(weight, weights[at], 1e-5));
    assertEquals(routed.expert, weights.map((weight, at) => weight > 0 ? at % E : -1));
    assertAlmostEquals(routed.losses.sparsity, lambda * loss, 1e-4);
    router.observe!({ tokens: T, wanted: chosen, kept: chosen }); // more than one expert a token: lambda doubles
  }
  assert(chosen.reduce((a, b) => a + b) > T);
  router.observe!({ tokens: T, wanted: [1, 0, 0, 0], kept: [1, 0, 0, 0] }); // fewer: it halves
  assertEquals(router.state!(), { exponent: Float32Array.of(2) });
  router.observe!({ tokens: T, wanted: [T, 0, 0, 0], kept: [T, 0, 0, 0] }); // as many: it stays
  assertEquals(router.state!(), { exponent: Float32Array.of(2) });
  const five = () => reluRouting.create({ D, E }, { ...options, k: 5, initDeviation: 1 }, {} as never);
  assertThrows(five, RangeError, 'Cannot make router "relu-routing": k is 5; choose 1 to E = 4');
});

Deno.test("DSelect-k: weights and losses are those of plain loops, with codes that are no experts too", async () => {
  const [T, D, k] = [7, 3, 2];
  for (const E of [4, 6]) {
    const m = Math.ceil(Math.log2(E));
    const x = Array.from(random(1).normal(T * D));
    const code = Array.from(random(2).normal(D * k * m), (value) => 1.5 * value);
    const codeBias = Array.from({ length: k * m }, (_, at) => 0.1 * at - 0.2);
    const mix = Array.from(random(3).normal(D * k));
    const given = { code, codeBias, mix, mixBias: [0.1, -0.1] };
    const options = { k, gamma: 2, entropy: 0.5, reachable: 3 };
    const routed = await routeOnce(backend, dselectK, { x, D, E, given, options });
    const product = (w: readonly number[], t: number, column: number, columns: number) =>
      [0, 1, 2].reduce((sum, d) => sum + x[t * D + d] * w[d * columns + column], 0);
    const step = (z: number) =>
      // the smooth-step as printed, gamma = 2
      z <= -1 ? 0 : z >= 1 ? 1 : -2 / 8 * z ** 3 + 3 / 4 * z + 1 / 2;
    let [entropy, lost] = [0, 0];
    for (let t = 0; t < T; t++) {
      const mixed = [0, 1].map((i) => Math.exp(product(mix, t, i, k) + given.mixBias[i]));
      const weight = new Array<number>(E).fill(0);
      for (let i = 0; i < k; i++) {
        const digit = Array.from(
          { length: m },
          (_, j) => step(product(code, t, i * m + j, k * m) + codeBias[i * m + j]),
        );
        const r = weight.map((_, e) =>
          digit.reduce((all, one, j) => all * ((e >> (m - 1 - j)) & 1 ? one : 1 - one), 1)
        );
        r.forEach((share, e) => weight[e] += share * mixed[i] / (mixed[0] + mixed[1]));
        entropy -= r.reduce((sum, share) => sum + share * Math.log(share + 1e-6), 0) / T;
        lost += 1 / (r.reduce((a, b) => a + b) + 1e-6) / T;
      }
      weight.forEach((value, e) => assertAlmostEquals(routed.weight[t * E + e], value, 1e-5));
      assertEquals(
        routed.expert.slice(t * E, (t + 1) * E),
        routed.weight.slice(t * E, (t + 1) * E).map((value, e) => value > 0 ? e : -1),
      );
    }
    assert(routed.expert.some((e) => e < 0) && routed.expert.some((e) => e >= 0));
    assertAlmostEquals(routed.losses.entropy, 0.5 * entropy, 1e-5);
    assertEquals(Object.keys(routed.losses), E === 4 ? ["entropy"] : ["entropy", "reachable"]);
    if (E === 6) assertAlmostEquals(routed.losses.reachable, 3 * lost, 1e-4 * lost);
    assertEquals(routed.probability.length, E === 4 ? T * E : 0);
  }
});

interface Row {
  readonly kind: string;
  readonly scalars?: Readonly<Record<string, number>>;
  readonly layers?: readonly { readonly kept: readonly number[] }[];
}

Deno.test("both are compared and tuned beside switch and gshard, and the coefficient follows what was kept", async () => {
  await inFolder(async (folder) => {
    const out = await succeed(
      ...files.flatMap((file) => ["--plugin", file]),
      ...["--routers", "relu-routing,dselect-k,switch,gshard", "--task", "recall,regimes", "--size", "tiny"],
      ...["--set", "train.length=128", "--steps", "40", "--seeds", "2", "--no-controls"],
      ...[
        "--tune",
        "train.learningRate,router.coefficient=1e-5..1e-1,router.entropy=1e-3..1",
        "--budget",
        "2",
      ],
      ...["--out", `${folder}/tuned`],
    );
    const left = filesIn(`${folder}/tuned`);
    const tuning = JSON.parse(left.get("tuning.json")!) as { label: string; trials: { loss: number }[] }[];
    assertEquals(tuning.map(({ label }) => label).slice(0, 4), [
      "relu-routing",
      "dselect-k",
      "switch",
      "gshard",
    ]);
    assertEquals(tuning.length, 8);
    for (const { label, trials } of tuning) {
      assert(trials.length === 2 && trials.every(({ loss }) => loss > 0), label);
      assert(out.includes(`${label}, tuned`), out);
      assert(left.get("report.html")!.includes(`${label}, tuned`), label);
    }
    const rows = left.get("runs/recall-relu-routing-seed0.jsonl")!.trim().split("\n")
      .map((line) => JSON.parse(line) as Row).filter(({ kind }) => kind === "step");
    assertEquals(rows.length, 40);
    rows.slice(1).forEach(({ scalars }, at) => {
      const { scalars: before, layers } = rows[at];
      const active = layers![0].kept.reduce((a, b) => a + b) / 128;
      const lambda = before!["lambda, layer 0"] * 1.2 ** Math.sign(active - 1);
      assertAlmostEquals(scalars!["lambda, layer 0"] / lambda, 1, 1e-5);
    });
  });
});
