// Drawn at random from a seed: a router, its options, shapes, ragged lengths, ranks and padding. A layer with it has to give
// what plain loops over its assignments give, and padding that holds NaN must change nothing. Bounded by time.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { jsonSchemaOf } from "../tensor/plugins.ts";
import type { Backend } from "../kernels/kernel.ts";
import { feedForward } from "../experts/feed_forward.ts";
import { createMoeLayer, type MoeLayer } from "../moe/layer.ts";
import { layOut } from "../routers/parts/topology.ts";
import { type AnyRouterPlugin, parseOptions, routers } from "../routers/registry.ts";
import type { RouteStep, Routing } from "../routers/router.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { scalar } from "../tensor/reduce.ts";
import { sequencesOf } from "../tensor/sequences.ts";
import { type Parameter, tensor } from "../tensor/tensor.ts";

/** Draws of one case, one after another. */
function drawsOf(seed: number) {
  const values = random(seed).split("case").uniform(400);
  let at = 0;
  const next = () => values[at++ % values.length];
  const whole = (low: number, high: number) => low + Math.floor(next() * (high - low + 1));
  const pick = <T>(all: readonly T[]): T => all[whole(0, all.length - 1)];
  return { next, whole, pick };
}
type Draws = ReturnType<typeof drawsOf>;

interface OptionSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly OptionSchema[];
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
}

/** A value that an option may have. */
function valueOf(schema: OptionSchema, draws: Draws): unknown {
  if (schema.anyOf) return valueOf(draws.pick(schema.anyOf), draws);
  if (schema.enum) return draws.pick(schema.enum);
  if (schema.type === "boolean") return draws.next() < 0.5;
  if (schema.type === "null") return null;
  const low = schema.minimum ?? schema.exclusiveMinimum ?? -1;
  const most = schema.maximum ?? schema.exclusiveMaximum ?? Infinity;
  const high = Math.min(most, low + 4);
  if (schema.type === "integer") return draws.whole(Math.max(low, -1), Math.floor(high));
  const value = low + (high - low) * draws.next();
  return value === schema.exclusiveMinimum || value === schema.exclusiveMaximum ? undefined : value;
}

/** A few options of a router, drawn; the rest are its defaults. */
function optionsOf(plugin: AnyRouterPlugin, draws: Draws): Record<string, unknown> {
  const schema = jsonSchemaOf(plugin.options);
  const all = Object.entries((schema.properties ?? {}) as Record<string, OptionSchema>);
  const given: Record<string, unknown> = {};
  for (const [name, option] of all) {
    if (draws.next() < 0.3) {
      const value = valueOf(option, draws);
      if (value !== undefined) given[name] = value;
    }
  }
  return given;
}

/** One case, as errors name it. */
interface Case {
  readonly about: string;
  readonly plugin: AnyRouterPlugin;
  readonly options: Record<string, unknown>;
  readonly D: number;
  readonly E: number;
  readonly F: number;
  readonly lengths: readonly number[];
  readonly ranks: number;
  readonly training: boolean;
  readonly real: Float32Array | null;
  readonly seed: number;
}

function caseOf(seed: number): Case {
  const draws = drawsOf(seed);
  const plugin = draws.pick(routers());
  const E = draws.pick([1, 2, 4, 8]);
  const D = E * draws.pick([1, 2, 4]);
  const equal = draws.next() < 0.5;
  const length = draws.whole(1, 9);
  const lengths = Array.from({ length: draws.whole(1, 5) }, () => equal ? length : draws.whole(0, 9));
  const T = lengths.reduce((a, b) => a + b, 0);
  const ranks = draws.pick([1, 1, E]);
  const real = draws.next() < 0.6 ? Float32Array.from({ length: T }, () => draws.next() < 0.7 ? 1 : 0) : null;
  const options = { ...(plugin.name === "hash" ? { table: "random" } : {}), ...optionsOf(plugin, draws) };
  const training = draws.next() < 0.5;
  const about =
    `seed ${seed}: ${plugin.name} ${JSON.stringify(options)}, D ${D}, E ${E}, lengths ${lengths}, ` +
    `${ranks} ranks, ${training ? "training" : "evaluation"}${real ? ", padding" : ""}`;
  return { about, plugin, options, D, E, F: 3, lengths, ranks, training, real, seed };
}

/** What a layer gave, on the host. */
interface Given {
  readonly y: Float32Array;
  readonly routing: Routing;
  readonly token: Int32Array;
  readonly expert: Int32Array;
  readonly weight: Float32Array;
  readonly losses: readonly number[];
}

/** Applies a layer to the case's tokens, with `content` times noise where padding is. */
async function applied(layer: MoeLayer, one: Case, backend: Backend, content: number): Promise<Given> {
  const { D, lengths, ranks, training, real, seed, E } = one;
  const sequences = sequencesOf(lengths);
  const { T } = sequences;
  const stream = random(seed).split("tokens");
  const x = stream.normal(T * D).map((value, at) =>
    real?.[Math.floor(at / D)] === 0 ? content * value : value
  );
  const id = Int32Array.from(stream.split("id").uniform(T), (u) => Math.floor(20 * u));
  const step: RouteStep = {
    training,
    step: 2,
    random: random(seed).split("step"),
    tokenId_T: tensor(backend, id, [T]),
    sequences,
    ...(real ? { real_T: tensor(backend, real, [T]) } : {}),
    ...(ranks > 1 ? { topology: layOut({ sequences, E, ranks, ranksPerNode: 1 }) } : {}),
  };
  const { y_TD, routing } = await layer.apply(tensor(backend, x, [T, D]), step);
  const [y, token, expert, weight] = await Promise.all([
    y_TD.read(),
    routing.token_N.read(),
    routing.expert_N.read(),
    routing.weight_N.read(),
  ]) as [Float32Array, Int32Array, Int32Array, Float32Array];
  const losses = await Promise.all(Object.values(routing.losses).map(scalar));
  return { y, routing, token, expert, weight, losses };
}

/** The sum over kept assignments of weight times expert, in f64. */
async function inPlainLoops(
  one: Case,
  { token, expert, weight }: Given,
  experts: Readonly<Record<string, Parameter>>,
) {
  const { D, F, lengths, seed, real } = one;
  const T = lengths.reduce((a, b) => a + b, 0);
  const x = random(seed).split("tokens").normal(T * D);
  const [wIn, wOut] = await Promise.all([experts.in.read(), experts.out.read()]);
  const y = new Float64Array(T * D);
  for (let n = 0; n < token.length; n++) {
    const [t, e] = [token[n], expert[n]];
    if (e < 0) continue;
    assert(real?.[t] !== 0, `padding ${t} goes to expert ${e}`);
    for (let f = 0; f < F; f++) {
      let sum = 0;
      for (let d = 0; d < D; d++) sum += x[t * D + d] * wIn[(e * D + d) * F + f];
      if (sum <= 0) continue;
      for (let d = 0; d < D; d++) y[t * D + d] += weight[n] * sum * wOut[(e * F + f) * D + d];
    }
  }
  return y;
}

async function tryCase(one: Case, backend: Backend): Promise<"kept" | "refused"> {
  using _scope = memory(backend);
  const { plugin, D, E, F, real } = one;
  const freed: Parameter[] = [];
  try {
    const options = parseOptions(plugin, one.options);
    // Anew each time: routers may remember what they saw.
    const make = () => {
      const init = createInit(backend, random(one.seed).split("init"));
      const dims = { D, E, V: 20, tokenCount_V: new Int32Array(20).fill(3), length: 8 };
      const router = plugin.create(dims, options, init.part("router"));
      const experts = feedForward.create({ D, F, E }, feedForward.options.parse({}), init.part("experts"));
      freed.push(...Object.values(router.params), ...Object.values(experts.params));
      return { layer: createMoeLayer({ D, E, router, experts }), experts };
    };
    const { layer, experts } = make();
    const given = await applied(layer, one, backend, 1);
    if (!given.routing.mixture) {
      const wanted = await inPlainLoops(one, given, experts.params);
      given.y.forEach((value, at) => {
        if (real?.[Math.floor(at / D)] === 0) return;
        assertAlmostEquals(value, wanted[at], 1e-4 * Math.max(1, Math.abs(wanted[at])), one.about);
      });
    }
    for (const [at, loss] of given.losses.entries()) {
      assert(Number.isFinite(loss), `${one.about}: loss ${at} is ${loss}`);
    }
    if (real) {
      const withNaN = await applied(make().layer, one, backend, NaN);
      const ofReal = ({ y }: Given) => [...y].filter((_, at) => real[Math.floor(at / D)] === 1);
      assertEquals(ofReal(withNaN), ofReal(given), `${one.about}: NaN in padding changes real tokens`);
      assertEquals(withNaN.losses, given.losses, `${one.about}: NaN in padding changes losses`);
      assertEquals(withNaN.expert, given.expert, `${one.about}: NaN in padding changes experts`);
    }
    return "kept";
  } catch (error) {
    // A combination that a router cannot be made for, in its own words.
    const refusal = error instanceof RangeError && /^Cannot (?!run |go on )[^\n]+$/.test(error.message);
    if (refusal) return "refused";
    throw new Error(`${one.about}: ${(error as Error).message}`, { cause: error });
  } finally {
    for (const { backend, buffer } of freed) backend.free(buffer);
  }
}

/** Tries cases from a seed on until time is up. Returns how many were kept and refused. */
export async function fuzzRouting(
  backend: Backend,
  { from, seconds }: { readonly from: number; readonly seconds: number },
): Promise<{ kept: number; refused: number }> {
  const counts = { kept: 0, refused: 0 };
  const end = performance.now() + 1000 * seconds;
  for (let seed = from; performance.now() < end; seed++) counts[await tryCase(caseOf(seed), backend)]++;
  return counts;
}
