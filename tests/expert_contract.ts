// What every kind of experts must do, as a list of checks; `expertContract` makes tests of the list for one plugin, on the
// CPU and on WebGPU. The plugin itself, run in f64, is what gradients and backends are judged by.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertThrows,
} from "@std/assert";
import type { ExpertBank, ExpertDims } from "../experts/expert.ts";
import { type AnyExpertPlugin, parseExpertOptions } from "../experts/registry.ts";
import { type Backend, bytesOf, type NumberArray, sizeOf } from "../kernels/kernel.ts";
import { groupedMatmul } from "../kernels/mod.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit, type Init, type Params } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { optionNames } from "../tensor/plugins.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { assignmentsOf, groupBy, sortRows } from "../tensor/rows.ts";
import { carriesGradient, type Parameter, parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { dryBackend, dryInit } from "../tools/dry_step.ts";
import { exactBackend, exactNumbers, exactValues } from "./exact_backend.ts";
import { gpuTest } from "./gpu.ts";
import { onCpu, onGpu, type Place } from "./place.ts";
import { assertBadOptionsRefused, assertDescribed, assertSurviveJson } from "./plugin_options.ts";
import { apart, counting } from "./roundings.ts";

/** Options to hold a plugin to its contract with. */
export interface Variant {
  /** Besides the defaults. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Whether training draws random numbers. */
  readonly noisy?: boolean;
  /** What the number of experts must be a multiple of; 1 unless said otherwise. */
  readonly round?: number;
}

/** A plugin with options, as a check sees it. */
export interface Subject {
  readonly place: Place;
  readonly plugin: AnyExpertPlugin;
  /** As given, and with defaults filled in. */
  readonly given: Readonly<Record<string, unknown>>;
  readonly options: unknown;
  readonly noisy: boolean;
  readonly round: number;
}

/** One promise of the contract. */
export interface Check {
  readonly name: string;
  /** Absent: every kind of experts makes this promise. */
  readonly applies?: (subject: Subject) => boolean;
  /** Kept or broken whatever computes. Absent: checked on the CPU and on WebGPU. */
  readonly where?: "on paper";
  run(subject: Subject): Promise<void> | void;
}

/** Tokens and who takes them. */
interface Rows {
  /** f32 [T, D]. */
  readonly x: Float32Array;
  readonly T: number;
  /** Token and expert of each assignment; -1 = dropped. */
  readonly token: readonly number[];
  readonly expert: readonly number[];
  /** Assignments of every token where they are laid out [T, each]; null where they are in any order. */
  readonly each: number | null;
}

const exact = exactBackend();
const dims: ExpertDims = { D: 6, F: 8, E: 4 };
/** The expert without rows. */
const IDLE = 1;

/** Two assignments a token, none of them expert 1's, some dropped. */
function rowsOf({ T = 11 } = {}): Rows {
  const { D, E } = dims;
  const choice = Array.from(random(2).split("expert").uniform(2 * T), (u) => Math.floor((E + 1) * u) - 1);
  return {
    x: random(1).split("tokens").normal(T * D),
    T,
    token: choice.map((_, n) => Math.floor(n / 2)),
    expert: choice.map((e) => e === IDLE ? E - 1 : e),
    each: 2,
  };
}

/** Every token to every expert: assignment t E + e. */
export function toAll(T: number, { D, E }: ExpertDims): Rows {
  const all = Array.from({ length: T * E }, (_, n) => n);
  return {
    x: random(1).split("tokens").normal(T * D),
    T,
    token: all.map((n) => Math.floor(n / E)),
    expert: all.map((n) => n % E),
    each: E,
  };
}

/** Every parameter normal, so that no bias and no layer that starts at 0 hides anything. */
export function normalInit(backend: Backend, stream = random(3)): Init {
  return {
    ...createInit(backend, stream),
    parameter: (name, shape) =>
      parameter(backend, stream.split(name).normal(sizeOf(shape)).map((value) => value / 2), shape),
    part: (name) => normalInit(backend, stream.split(name)),
  };
}

interface How {
  readonly backend?: Backend;
  /** Seed of the stream of training; evaluation without. */
  readonly stream?: number | undefined;
}

/** What a bank makes of rows: its output by row, and the row of each assignment. */
export async function applied(
  bank: ExpertBank,
  { token, expert, each }: Rows,
  x_TD: Tensor,
  E: number,
  stream?: number,
) {
  const N = token.length;
  const token_N = tensor(x_TD.backend, Int32Array.from(token), [N]);
  const byExpert = groupBy(tensor(x_TD.backend, Int32Array.from(expert), [N]), E);
  const y_ND = await bank.apply({
    rows: sortRows(x_TD, assignmentsOf(token_N, x_TD.shape[0], each), byExpert),
    offset_O: byExpert.offset_O,
    ...(stream === undefined ? {} : { random: random(stream).split("training") }),
  });
  return { y_ND, position_N: byExpert.position_N };
}

/** An expert's own parameters and those that all share. */
const paramsOf = ({ params, shared }: ExpertBank): Params => ({ ...params, ...shared });

/** Experts whose numbers lie along a parameter's first dimension. */
function ownersOf({ owners }: ExpertBank, name: string, { E }: ExpertDims): readonly number[] {
  const found = owners?.[name] ?? Array.from({ length: E }, (_, e) => e);
  assert(found.every((e) => Number.isInteger(e) && e >= 0 && e < E), `owners of "${name}"`);
  return found;
}

function free(params: Params): void {
  for (const param of Object.values(params)) param.backend.free(param.buffer);
}

/** Values and gradients by name, on the host; the gradient of an array that none reaches is null. */
interface Found {
  readonly y: ArrayLike<number>;
  readonly position: ArrayLike<number>;
  readonly gradient: Readonly<Record<string, ArrayLike<number> | null>>;
  /** Experts whose numbers lie along the first dimension of a parameter that not all share, by name. */
  readonly owners: Readonly<Record<string, readonly number[]>>;
}

const TOKENS = "the tokens";

/** Forward and backward on one backend; in f64 where the backend is exact. */
async function passes(subject: Subject, rows: Rows, how: How = {}): Promise<Found> {
  const backend = how.backend ?? subject.place.backend;
  using _scope = memory(backend);
  const bank = subject.plugin.create(dims, subject.options, normalInit(backend));
  const read = async (found: Tensor) => backend === exact ? exactValues(found) : await found.read();
  const x_TD = parameter(backend, rows.x, [rows.T, dims.D]);
  const { y_ND, position_N } = await applied(bank, rows, x_TD, dims.E, how.stream);
  const targets: Record<string, Parameter> = { ...paramsOf(bank), [TOKENS]: x_TD };
  try {
    assertEquals([y_ND.shape, y_ND.dtype], [[rows.token.length, dims.D], "f32"]);
    assert(carriesGradient(y_ND), "the output carries no gradient");
    const found = subject.plugin.frozen
      ? []
      : await gradients(inRandomDirection(y_ND), Object.values(targets));
    const values = await Promise.all(found.map((gradient) => gradient ? read(gradient) : null));
    const [y, position] = [await read(y_ND), await read(position_N)];
    return {
      y,
      position,
      owners: Object.fromEntries(Object.keys(bank.params).map((name) => [name, ownersOf(bank, name, dims)])),
      gradient: Object.fromEntries(values.map((value, at) => [Object.keys(targets)[at], value])),
    };
  } finally {
    free(targets);
  }
}

/** A sum with random coefficients, so that no gradient cancels by symmetry. */
function inRandomDirection(y: Tensor): Tensor {
  return sumAll(
    multiply(y, tensor(y.backend, random(9).split("direction").normal(sizeOf(y.shape)), y.shape)),
  );
}

/** Outputs by assignment rather than by row. */
function byAssignment({ y, position }: Found): (number[] | null)[] {
  const rows = Array.from(y);
  return Array.from(position, (row) => row < 0 ? null : rows.slice(row * dims.D, (row + 1) * dims.D));
}

/** Streams to check with: evaluation, and training where it draws. */
const streams = ({ noisy }: Subject) => noisy ? [undefined, 0] : [undefined];

/** The output and all gradients. */
function arraysOf({ y, gradient }: Found): Readonly<Record<string, ArrayLike<number> | null>> {
  return { "the output": y, ...gradient };
}

const bits = (found: Found) => Object.values(arraysOf(found)).map((values) => values && Array.from(values));

/** A declaration says what was found. */
function assertCount(what: string, declared: number, found: number): void {
  assertEquals(declared, found, `${what} says ${declared}, and ${found} are made`);
}

function hasPrecision(plugin: AnyExpertPlugin): boolean {
  return (optionNames(plugin) ?? []).includes("precision");
}

/** Bytes that stay of a forward pass of N assignments of 8 tokens; nothing is computed. */
async function keptBytes(
  plugin: AnyExpertPlugin,
  options: unknown,
  sizes: ExpertDims,
  N: number,
): Promise<number> {
  const plain = dryBackend([]);
  let bytes = 0;
  const backend: Backend = {
    ...plain,
    upload(values, shape) {
      bytes += values.byteLength;
      return plain.upload(values, shape);
    },
    run(kernel, inputs, params) {
      const made = plain.run(kernel, inputs, params);
      bytes += bytesOf(...made.map(({ type }) => type));
      return made;
    },
    free: ({ type }) => bytes -= bytesOf(type),
  };
  const bank = plugin.create(sizes, options, dryInit(backend));
  const x_TD = tensor(backend, new Float32Array(8 * sizes.D), [8, sizes.D]);
  let before = 0;
  const watched: ExpertBank = {
    ...bank,
    apply(given) {
      before = bytes;
      return bank.apply(given);
    },
  };
  await applied(watched, toOne(N, 0, 8), x_TD, sizes.E, 0);
  return bytes - before;
}

/** N assignments of T tokens to one expert. */
function toOne(N: number, expert: number, T: number): Rows {
  const token = Array.from({ length: N }, (_, n) => Math.floor(n * T / N));
  return { x: new Float32Array(0), T, token, expert: token.map(() => expert), each: N / T };
}

/** Operations a token of products over the rows there are, and of all else, when all tokens go to one expert. */
async function operationsOf(plugin: AnyExpertPlugin, options: unknown, sizes: ExpertDims, expert: number) {
  let [products, rest] = [0, 0];
  const backend: Backend = {
    ...exact,
    run(kernel, inputs, params) {
      const { flop } = kernel.cost(inputs.map(({ type }) => type), params);
      if (kernel === groupedMatmul) {
        const [, { type: { shape: [, K, M] } }, offset] = inputs;
        products += 2 * K * M * exactNumbers(offset).at(-1)!;
      } else if (kernel.name.includes("matmul")) {
        products += flop;
      } else {
        rest += flop;
      }
      return exact.run(kernel, inputs, params);
    },
  };
  const T = 8;
  const x_TD = tensor(backend, new Float32Array(T * sizes.D), [T, sizes.D]);
  const bank = plugin.create(sizes, options, dryInit(backend));
  await applied(bank, toOne(T, expert, T), x_TD, sizes.E);
  return { products: products / T, rest: rest / T };
}

/** Declared operations of each expert. */
function flopsOf(plugin: AnyExpertPlugin, options: unknown, sizes: ExpertDims): number[] {
  return Array.from(
    { length: sizes.E },
    (_, e) => plugin.flopOfExpert?.(sizes, options, e) ?? plugin.flopPerToken(sizes, options),
  );
}

/** Whether experts can be cut finer at equal cost: then a bank must start as the same network however it is cut. */
function isCut(plugin: AnyExpertPlugin, options: unknown): boolean {
  const { D, F, E } = dims;
  const flops = (sizes: ExpertDims) =>
    Array.from(
      { length: E },
      (_, e) => plugin.flopOfExpert?.(sizes, options, e) ?? plugin.flopPerToken(sizes, options),
    );
  const halves = flops({ D, F: F / 2, E });
  return flops(dims).every((whole, e) => whole > 0 && 2 * halves[e] === whole);
}

/** What each fresh expert of a bank makes of each of a few tokens: row t E + e. */
async function starts({ plugin, options }: Subject, sizes: ExpertDims): Promise<number[][]> {
  const rows = toAll(3, sizes);
  const bank = plugin.create(sizes, options, createInit(exact, random(0)));
  const x_TD = tensor(exact, rows.x, [rows.T, sizes.D]);
  const { y_ND, position_N } = await applied(bank, rows, x_TD, sizes.E);
  const y = Array.from(exactValues(y_ND));
  return Array.from(exactValues(position_N), (row) => y.slice(row * sizes.D, (row + 1) * sizes.D));
}

/** A gradient equals central differences in f64 of a loss that reads the values. */
async function assertDifferences(
  name: string,
  gradient: ArrayLike<number>,
  values: NumberArray,
  loss: () => Promise<number>,
): Promise<void> {
  const step = 1e-5;
  for (const [at, value] of values.entries()) {
    values[at] = value + step;
    const above = await loss();
    values[at] = value - step;
    const below = await loss();
    values[at] = value;
    // A sixth of the squared step times a third derivative, and roundings of the loss over the step: both far below.
    const tolerance = 1e-6 * Math.max(1, Math.abs(gradient[at]));
    assertAlmostEquals(gradient[at], (above - below) / (2 * step), tolerance, `gradient ${at} of ${name}`);
  }
}

/** The contract. */
export const expertChecks: readonly Check[] = [
  {
    name: "says what it is, and describes every option",
    where: "on paper",
    run({ plugin }) {
      assertMatch(plugin.name, /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/);
      assertMatch(plugin.about, /^[^\n]+\.$/);
      assertDescribed(plugin);
    },
  },
  {
    name: "options survive JSON, and defaults need nothing",
    where: "on paper",
    run: ({ plugin, options }) => assertSurviveJson(options, (given) => parseExpertOptions(plugin, given)),
  },
  {
    name: "bad options are refused by the names of the kind and the option",
    where: "on paper",
    run: ({ plugin }) => assertBadOptionsRefused(plugin, (given) => parseExpertOptions(plugin, given)),
  },
  {
    name: "makes as many weights as it declares, an expert's along the first dimension",
    where: "on paper",
    run({ plugin, options, round }) {
      for (const sizes of [dims, { D: 10, F: 3, E: 5 * round }, { D: 1, F: 1, E: round }]) {
        const bank = plugin.create(sizes, options, createInit(exact, random(0)));
        const { params, shared = {} } = bank;
        for (const [name, { shape, dtype }] of Object.entries(params)) {
          assertEquals([shape[0], dtype], [ownersOf(bank, name, sizes).length, "f32"], `parameter "${name}"`);
        }
        assertEquals(Object.keys(bank.owners ?? {}).filter((name) => !(name in params)), []);
        assertEquals(Object.keys(shared).filter((name) => name in params), [], "two parameters of one name");
        const sum = (made: Params) => Object.values(made).reduce((sum, { shape }) => sum + sizeOf(shape), 0);
        assertCount("parameters(...)", plugin.parameters(sizes, options), sum(params) / sizes.E);
        assertCount("sharedParameters(...)", plugin.sharedParameters?.(sizes, options) ?? 0, sum(shared));
      }
    },
  },
  {
    name: "costs the operations it declares, expert by expert",
    where: "on paper",
    async run({ plugin, options, round }) {
      const sizes = { D: 100, F: 120, E: 2 * round };
      const flops = flopsOf(plugin, options, sizes);
      const mean = flops.reduce((sum, flop) => sum + flop) / sizes.E;
      assertCount("flopPerToken(...)", plugin.flopPerToken(sizes, options), mean);
      for (const [expert, declared] of flops.entries()) {
        const { products, rest } = await operationsOf(plugin, options, sizes, expert);
        assertCount(`expert ${expert}`, declared, products);
        // No activation costs 100 operations a value.
        assert(rest <= 100 * (sizes.D + sizes.F), `${rest} operations a token are no products`);
      }
    },
  },
  {
    name: "keeps the activations it declares",
    where: "on paper",
    async run({ plugin, options, given, round }) {
      const sizes = { D: 64, F: 48, E: 2 * round };
      const halved = hasPrecision(plugin)
        ? [parseExpertOptions(plugin, { ...given, precision: "half" })]
        : [];
      for (const each of [options, ...halved]) {
        const [few, many] = [
          await keptBytes(plugin, each, sizes, 64),
          await keptBytes(plugin, each, sizes, 128),
        ];
        const declared = plugin.activationsPerToken(sizes, each);
        assertCount("activationsPerToken(...)", declared, (many - few) / 64 / 4);
      }
    },
  },
  {
    name: "rows past the last kept assignment are 0, and an expert without rows learns nothing",
    async run(subject) {
      for (const stream of streams(subject)) {
        const rows = rowsOf();
        const { y, gradient, owners } = await passes(subject, rows, { stream });
        const kept = rows.expert.filter((e) => e >= 0).length;
        assert(kept < rows.expert.length && !rows.expert.includes(IDLE), "the test shows less than it says");
        const past = Array.from(y).slice(kept * dims.D);
        assertEquals(past, new Array(past.length).fill(0));
        for (const [name, values] of Object.entries(gradient)) {
          assert(values, `no gradient reaches ${name}`);
          assert(Array.from(values).every(Number.isFinite), `the gradient of ${name} is not finite`);
          if (!(name in owners)) continue;
          const share = values.length / owners[name].length;
          for (const e of new Set(owners[name])) {
            const own = Array.from(values).filter((_, at) => owners[name][Math.floor(at / share)] === e);
            assertEquals(own.some((value) => value !== 0), e !== IDLE, `gradient of expert ${e}'s ${name}`);
          }
        }
      }
    },
  },
  {
    name: "nothing to do is done",
    async run(subject) {
      const none = { token: [], expert: [], each: null };
      for (const stream of streams(subject)) {
        for (const rows of [{ ...rowsOf(), ...none }, rowsOf({ T: 0 })]) {
          assertEquals((await passes(subject, rows, { stream })).y.length, 0);
        }
        const dropped = { ...rowsOf({ T: 3 }), token: [2, 0], expert: [-1, -1], each: null };
        const found = await passes(subject, dropped, { stream });
        for (const values of bits(found)) assert(values === null || values.every((value) => value === 0));
      }
    },
  },
  {
    name: "frozen experts refuse a gradient by name, where there is one to pass",
    applies: ({ plugin }) => plugin.frozen === true,
    async run(subject) {
      const { backend } = subject.place;
      using _scope = memory(backend);
      const [bank, rows] = [subject.plugin.create(dims, subject.options, normalInit(backend)), rowsOf()];
      assertEquals(Object.keys(paramsOf(bank)), []);
      const still = await applied(bank, rows, tensor(backend, rows.x, [rows.T, dims.D]), dims.E);
      assert(!carriesGradient(still.y_ND), "rows that carry no gradient get one");
      const x_TD = parameter(backend, rows.x, [rows.T, dims.D]);
      const { y_ND } = await applied(bank, rows, x_TD, dims.E);
      const asked = () => gradients(inRandomDirection(y_ND), [x_TD]);
      const named = `Cannot take a gradient through experts "${subject.plugin.name}"`;
      await assertRejects(asked, TypeError, named);
      free({ x_TD });
      bank.free?.();
    },
  },
  {
    name: "gradients of every parameter and of the tokens equal finite differences",
    where: "on paper",
    applies: ({ plugin }) => !plugin.frozen,
    async run(subject) {
      for (const stream of streams(subject)) {
        const rows = rowsOf({ T: 5 });
        const { gradient } = await passes(subject, rows, { backend: exact, stream });
        const bank = subject.plugin.create(dims, subject.options, normalInit(exact));
        const x_TD = parameter(exact, rows.x, [rows.T, dims.D]);
        const loss = async () => {
          const { y_ND } = await applied(bank, rows, x_TD, dims.E, stream);
          return exactValues(inRandomDirection(y_ND))[0];
        };
        for (const [name, param] of Object.entries({ ...paramsOf(bank), [TOKENS]: x_TD })) {
          await assertDifferences(name, gradient[name]!, exactValues(param), loss);
        }
      }
    },
  },
  {
    name: "results and gradients are those of f64 within what roundings explain",
    async run(subject) {
      for (const stream of streams(subject)) {
        const rows = rowsOf();
        const counted = counting(subject.place.backend);
        const found = await passes(subject, rows, { backend: counted.backend, stream });
        const wanted = await passes(subject, rows, { backend: exact, stream });
        for (const [name, values] of Object.entries(arraysOf(found))) {
          const want = Array.from(arraysOf(wanted)[name]!);
          assertEquals(values?.length, want.length);
          const most = apart(counted.roundings()) * want.reduce((m, v) => Math.max(m, Math.abs(v)), 1);
          want.forEach((value, at) => assertAlmostEquals(values![at], value, most, `${name} ${at}`));
        }
      }
    },
  },
  {
    name: "a token's output depends on it, its expert and nothing else",
    where: "on paper",
    async run(subject) {
      const rows = rowsOf();
      const backend = exact;
      const wanted = byAssignment(await passes(subject, rows, { backend }));
      const inAnyOrder = byAssignment(await passes(subject, { ...rows, each: null }, { backend }));
      assertEquals(inAnyOrder, wanted, "assignments in any order");
      for (const [n, e] of rows.expert.entries()) {
        if (e < 0) continue;
        const alone = { ...rows, token: [rows.token[n]], expert: [e], each: null };
        assertEquals(
          byAssignment(await passes(subject, alone, { backend })),
          [wanted[n]],
          `assignment ${n} alone`,
        );
      }
    },
  },
  {
    name: "evaluation is free of noise, and training is noisy where it is said to be",
    async run(subject) {
      const rows = rowsOf();
      const [still, again] = [await passes(subject, rows), await passes(subject, rows)];
      assertEquals(bits(again), bits(still));
      const [drawn, redrawn] = [
        await passes(subject, rows, { stream: 0 }),
        await passes(subject, rows, { stream: 0 }),
      ];
      assertEquals(bits(redrawn), bits(drawn), "one stream, two results");
      if (!subject.noisy) return assertEquals(bits(drawn), bits(still), "training draws random numbers");
      assertNotEquals(bits(drawn), bits(still), "training draws no random numbers");
      assertNotEquals(
        bits(await passes(subject, rows, { stream: 1 })),
        bits(drawn),
        "two streams, one result",
      );
    },
  },
  {
    name: "dropout leaves evaluation as it is",
    where: "on paper",
    applies: ({ given }) => "dropout" in given,
    async run(subject) {
      const [rows, backend] = [rowsOf(), exact];
      const options = parseExpertOptions(subject.plugin, { ...subject.given, dropout: 0 });
      const without = await passes({ ...subject, options }, rows, { backend });
      assertEquals(bits(await passes(subject, rows, { backend })), bits(without));
    },
  },
  {
    name: "the same bits with every number of threads",
    async run(subject) {
      for (const stream of streams(subject)) {
        const rows = rowsOf({ T: 150 });
        const all = [];
        for (const backend of subject.place.alike) {
          all.push(bits(await passes(subject, rows, { backend, stream })));
        }
        all.push(bits(await passes(subject, rows, { stream })));
        for (const one of all) assertEquals(one, all[0]);
      }
    },
  },
  {
    name: "more experts leave those there are as they start",
    where: "on paper",
    async run(subject) {
      const [few, many] = [
        await starts(subject, dims),
        await starts(subject, { ...dims, E: 2 * dims.E }),
      ];
      assertEquals(many.filter((_, at) => at % (2 * dims.E) < dims.E), few);
    },
  },
  {
    name:
      "cut into twice as many experts of half the width it starts as the same network, but for one factor",
    where: "on paper",
    applies: ({ plugin, options }) => isCut(plugin, options),
    async run(subject) {
      const sums = async (sizes: ExpertDims) => {
        const rows = await starts(subject, sizes);
        return Array.from(
          { length: rows.length / sizes.E },
          (_, t) =>
            rows.slice(t * sizes.E, (t + 1) * sizes.E)
              .reduce(
                (sum, row) => sum.map((value, d) => value + row[d]),
                new Array<number>(sizes.D).fill(0),
              ),
        ).flat();
      };
      const { D, F, E } = dims;
      const [wide, narrow] = [await sums(dims), await sums({ D, F: F / 2, E: 2 * E })];
      const product = (a: number[], b: number[]) => a.reduce((sum, value, at) => sum + value * b[at], 0);
      const factor = product(wide, narrow) / product(wide, wide);
      assert(factor > 0);
      // Values are drawn in f32, and a factor may be applied to them in f32.
      const most = 2 ** -20 * Math.sqrt(product(narrow, narrow));
      narrow.forEach((value, at) => assertAlmostEquals(value, factor * wide[at], most, `sum ${at}`));
    },
  },
  {
    name:
      "half precision is refused where it cannot be stored, and is full precision but for roundings elsewhere",
    applies: ({ plugin }) => hasPrecision(plugin),
    async run(subject) {
      const { plugin, place, given } = subject;
      const half = { ...subject, options: parseExpertOptions(plugin, { ...given, precision: "half" }) };
      if (!place.backend.dtypes.includes("f16")) {
        const create = () => plugin.create(dims, half.options, createInit(place.backend, random(0)));
        const { message } = assertThrows(create, RangeError) as RangeError;
        assertMatch(message, /^Cannot [^\n]*half precision[^\n]+$/);
        return;
      }
      const rows = rowsOf({ T: 60 });
      const [found, wanted] = [
        await passes(half, rows, { stream: 0 }),
        await passes(subject, rows, { stream: 0 }),
      ];
      assertNotEquals(found.y, wanted.y, "half precision changed nothing");
      for (const [name, full] of Object.entries(arraysOf(wanted))) {
        const rounded = arraysOf(found)[name]!;
        let [error, square] = [0, 0];
        Array.from(full!).forEach((value, at) => {
          error += (value - rounded[at]) ** 2;
          square += value ** 2;
        });
        const distance = Math.sqrt(error / square);
        // No term has gone through more than 32 roundings of operands to f16; they are independent, so squares add.
        assert(distance <= Math.sqrt(32) * 2 ** -11, `${name} is ${distance} of its size off`);
      }
    },
  },
  {
    name: "the caller's arrays are never changed, and nothing made is left behind",
    async run(subject) {
      const { backend, usedBytes } = subject.place;
      const before = usedBytes();
      for (const stream of streams(subject)) {
        using _scope = memory(backend);
        const bank = subject.plugin.create(dims, subject.options, normalInit(backend));
        const rows = rowsOf();
        const x_TD = parameter(backend, rows.x, [rows.T, dims.D]);
        const values = () => Promise.all([x_TD, ...Object.values(paramsOf(bank))].map((each) => each.read()));
        const held = await values();
        await applied(bank, rows, x_TD, dims.E, stream);
        assertEquals(await values(), held);
        free({ ...paramsOf(bank), x_TD });
        bank.free?.();
      }
      assertEquals(usedBytes(), before);
    },
  },
];

/** A plugin with the options of a variant. */
export function subjectOf(plugin: AnyExpertPlugin, variant: Variant, place: Place = onCpu): Subject {
  const options = parseExpertOptions(plugin, variant.options);
  const { options: given, noisy = false, round = 1 } = variant;
  return { place, plugin, given, options, noisy, round };
}

/** Makes tests of the whole contract for a plugin, on both backends, once for each variant of its options. */
export function expertContract(
  plugin: AnyExpertPlugin,
  variants: readonly Variant[] = [{ options: {} }],
  places: readonly ("cpu" | "webgpu")[] = ["cpu", "webgpu"],
): void {
  for (const variant of variants) {
    const subject = subjectOf(plugin, variant);
    const about = `experts ${plugin.name} ${JSON.stringify(variant.options)}`;
    for (const check of expertChecks) {
      if (check.applies && !check.applies(subject)) continue;
      if (places.includes("cpu")) {
        Deno.test(`${about}: ${check.name}`, async () => await check.run(subject));
      }
      if (check.where === "on paper" || !places.includes("webgpu")) continue;
      gpuTest(`${about} on WebGPU: ${check.name}`, async () => {
        await check.run({ ...subject, place: await onGpu() });
      });
    }
  }
}
