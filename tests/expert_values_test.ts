// Each kind of experts against its published formula, written row by row in plain loops of f64: what a bank computes on
// the exact backend, to the last digits. The contract suite holds the other backends to that one.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import type { ExpertDims } from "../experts/expert.ts";
import { constantVector } from "../experts/constant.ts";
import { copy } from "../experts/copy.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { lowRank } from "../experts/low_rank.ts";
import { type AnyExpertPlugin, findExperts, parseExpertOptions } from "../experts/registry.ts";
import { zero } from "../experts/zero.ts";
import { swiglu } from "../experts/swiglu.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { tensor } from "../tensor/tensor.ts";
import { exactBackend, exactValues } from "./exact_backend.ts";
import { applied, normalInit, toAll } from "./expert_contract.ts";

const exact = exactBackend();
const dims: ExpertDims = { D: 6, F: 4, E: 3 };

/** One expert's weights (of one of its inner experts), or those that all share: a matrix by rows, or a vector as a matrix of one row. */
type Weights = (name: string, inner?: number) => number[][];

/** Experts applied to rows in plain loops. */
type Formula = (x: number[], weights: Weights, expert: number) => number[];

/** x W. */
function times(x: readonly number[], matrix: readonly (readonly number[])[]): number[] {
  return matrix[0].map((_, column) => x.reduce((sum, value, row) => sum + value * matrix[row][column], 0));
}

const plus = (a: readonly number[], b: readonly number[]) => a.map((value, at) => value + b[at]);

/** Every row of every expert is what the formula says. */
async function assertFormula(
  plugin: AnyExpertPlugin,
  given: Record<string, unknown>,
  formula: Formula,
): Promise<void> {
  const { D, E } = dims;
  const bank = plugin.create(dims, parseExpertOptions(plugin, given), normalInit(exact));
  const rows = toAll(5, dims);
  const { y_ND, position_N } = await applied(bank, rows, tensor(exact, rows.x, [rows.T, D]), E);
  const [y, position] = [exactValues(y_ND), exactValues(position_N)];
  const weightsOf = (expert: number): Weights => (name, inner = 0) => {
    const param = bank.params[name] ?? bank.shared![name];
    const { shape } = param;
    const columns = shape[shape.length - 1];
    const size = shape.slice(1).reduce((product, length) => product * length, 1);
    const place = (bank.owners?.[name]?.indexOf(expert) ?? expert) + inner;
    const at = name in bank.params ? place * size : 0;
    const own = Array.from(exactValues(param).subarray(at, at + size));
    return Array.from({ length: size / columns }, (_, row) => own.slice(row * columns, (row + 1) * columns));
  };
  for (const [n, expert] of rows.expert.entries()) {
    const x = Array.from(rows.x.subarray(rows.token[n] * D, (rows.token[n] + 1) * D));
    const want = formula(x, weightsOf(expert), expert);
    assertEquals(want.length, D);
    want.forEach((value, d) =>
      assertAlmostEquals(
        y[position[n] * D + d],
        value,
        1e-12 * Math.max(1, Math.abs(value)),
        `row ${n}, ${d}`,
      )
    );
  }
}

Deno.test("squared ReLU is Primer's: the square of what is above 0 (So et al. 2021)", async () => {
  await assertFormula(feedForward, { activation: "relu-squared", bias: true }, (x, weights) => {
    const sums = plus(times(x, weights("in")), weights("inBias")[0]);
    return plus(times(sums.map((sum) => Math.max(sum, 0) ** 2), weights("out")), weights("outBias")[0]);
  });
});

const clamp = (value: number, low: number, high: number) => Math.min(Math.max(value, low), high);

for (const interleaved of [false, true]) {
  Deno.test(`GPT-OSS's experts: clamped, steeper, shifted, ${interleaved ? "interleaved" : "apart"}`, async () => {
    const [limit, alpha] = [0.6, 1.702];
    let held = 0;
    const given = { bias: true, limit, steepness: alpha, shift: 1, interleaved };
    await assertFormula(swiglu, given, (x, weights) => {
      const both = interleaved
        ? plus(times(x, weights("gateIn")), weights("gateInBias")[0])
        : plus(times(x, weights("gate")), weights("gateBias")[0]).flatMap((gate, f) => [
          gate,
          plus(times(x, weights("in")), weights("inBias")[0])[f],
        ]);
      const hidden = Array.from({ length: both.length / 2 }, (_, f) => {
        const [gate, unit] = [Math.min(both[2 * f], limit), clamp(both[2 * f + 1], -limit, limit)];
        held += Number(gate !== both[2 * f]) + Number(unit !== both[2 * f + 1]);
        return (unit + 1) * gate / (1 + Math.exp(-alpha * gate));
      });
      return plus(times(hidden, weights("out")), weights("outBias")[0]);
    });
    assert(held > 20, "little was clamped: the test shows less than it says");
  });
}

Deno.test("an interleaved bank starts as the same network as one whose matrices lie apart", async () => {
  const made = async (interleaved: boolean) => {
    const bank = swiglu.create(
      dims,
      parseExpertOptions(swiglu, { interleaved }),
      createInit(exact, random(0)),
    );
    const rows = toAll(3, dims);
    const { y_ND } = await applied(bank, rows, tensor(exact, rows.x, [rows.T, dims.D]), dims.E);
    return Array.from(exactValues(y_ND));
  };
  assertEquals(await made(true), await made(false));
});

Deno.test("low-rank experts add A B to both matrices of the network they share", async () => {
  await assertFormula(lowRank, { rank: 2, activation: "silu" }, (x, weights) => {
    const sum = (shared: string) => {
      const [a, b] = [weights(`${shared}A`), weights(`${shared}B`)];
      return weights(shared).map((row, at) => plus(row, times(a[at], b)));
    };
    const hidden = times(x, sum("in")).map((value) => value / (1 + Math.exp(-value)));
    return times(hidden, sum("out"));
  });
});

Deno.test("zero, copy and constant experts discard, skip and replace, as in MoE++'s released code", async () => {
  await assertFormula(zero, {}, (x) => x.map(() => 0));
  await assertFormula(copy, {}, (x) => x);
  await assertFormula(constantVector, {}, (x, weights) => {
    const [a, b] = times(x, weights("mix")).map(Math.exp);
    return x.map((value, d) => (a * value + b * weights("vector")[0][d]) / (a + b));
  });
});

Deno.test("mixed experts are of the kinds listed, in turn, each with weights and options of its own", async () => {
  const parts = [{ name: "copy" }, { name: "feed-forward", activation: "relu-squared" }, {
    name: "constant",
  }];
  const kinds: Formula[] = [
    (x) => x,
    (x, weights) =>
      times(times(x, weights("parts.1.in")).map((sum) => Math.max(sum, 0) ** 2), weights("parts.1.out")),
    (x, weights) => {
      const [a, b] = times(x, weights("parts.2.mix")).map(Math.exp);
      return x.map((value, d) => (a * value + b * weights("parts.2.vector")[0][d]) / (a + b));
    },
  ];
  await assertFormula(
    findExperts("mixed"),
    { parts },
    (x, weights, expert) => kinds[expert % 3](x, weights, expert),
  );
  const two = [{ name: "linear", count: 2 }, { name: "zero" }];
  await assertFormula(
    findExperts("mixed"),
    { parts: two },
    (x, weights, expert) => expert % 3 === 2 ? x.map(() => 0) : times(x, weights("parts.0.out")),
  );
});

Deno.test("a nested expert is a softmax gate and the best k of its own inner experts, by loops", async () => {
  const chosen = new Set<string>();
  const options = { innerCount: 3, k: 2, inner: { name: "feed-forward", activation: "silu" } };
  await assertFormula(findExperts("nested"), options, (x, weights, expert) => {
    const odds = times(x, weights("gate")).map(Math.exp);
    const total = odds.reduce((sum, each) => sum + each);
    const best = [0, 1, 2].toSorted((a, b) => odds[b] - odds[a]).slice(0, 2);
    return best.reduce((sum, inner) => {
      chosen.add(`${expert} ${inner}`);
      const hidden = times(x, weights("inner.in", inner)).map((value) => value / (1 + Math.exp(-value)));
      const weight = odds[inner] / total;
      return plus(sum, times(hidden, weights("inner.out", inner)).map((value) => weight * value));
    }, x.map(() => 0));
  });
  assert(chosen.size > 6, "few inner experts took a token: the test shows less than it says");
});
