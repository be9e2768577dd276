// Banks of several kinds: experts are of the kinds in a list, in turn. Each kind is a bank of its own over the rows of its own
// experts, found by sorting those once more; what they make goes back into the order of the whole.
import * as z from "zod";
import { add } from "../tensor/arithmetic.ts";
import { spending } from "../tensor/memory.ts";
import { groupBy, regroupRows, sortRows, take } from "../tensor/rows.ts";
import { type Tensor, tensor } from "../tensor/tensor.ts";
import type { AnyExpertPlugin, ExpertBank, ExpertDims, ExpertPlugin, ExpertRows } from "./expert.ts";
import { bankBytes } from "./parts/bank_bytes.ts";
import { completedKind, kindOf, type KnownKinds, type NamedKind, standIn } from "./parts/kind.ts";

/** One kind of a mixed bank, its options beside its name. */
export type MixedPart = NamedKind & { readonly count: number };

/** Options of {@linkcode mixedExperts}. */
export interface MixedOptions {
  /** Kinds in turn, each with how many experts in a row (count, 1) and its own options; the bank repeats the list. */
  readonly parts: readonly MixedPart[];
  /** OutDeviation of parts that have one and leave it null. */
  readonly outDeviation: number | null;
}

/** A part with its plugin and its options, and the places it takes in each round of experts. */
interface Part {
  readonly plugin: AnyExpertPlugin;
  readonly options: unknown;
  readonly places: readonly number[];
}

/** Values of 4 bytes a token that sorting the rows of a part keeps: its own numbers, their order and its inverse. */
const SORTED = 3;

/**
 * Mixed experts, of kinds that `known` finds: `parts` in turn, each `count` experts long, over and over.
 * @example
 * ```ts
 * import { findExperts, parseExpertOptions } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const mixed = findExperts("mixed");
 * const parts = [{ name: "feed-forward", count: 2 }, { name: "zero" }];
 * const options = parseExpertOptions(mixed, { parts });
 * const dims = { D: 4, F: 8, E: 6 };
 * const flops = [0, 1, 2, 3, 4, 5].map((expert) => mixed.flopOfExpert!(dims, options, expert));
 * assertEquals(flops, [128, 128, 0, 128, 128, 0]);
 * assertEquals(mixed.flopPerToken(dims, options), 512 / 6);
 * ```
 */
export function mixedExperts(known: KnownKinds): ExpertPlugin<MixedOptions> {
  const partsOf = (options: MixedOptions) => placed(options, known);
  const mean = (options: MixedOptions, of: (part: Part) => number) => {
    const parts = partsOf(options);
    const sum = parts.reduce((total, part) => total + part.places.length * of(part), 0);
    return sum / roundOf(parts);
  };
  const sum = (options: MixedOptions, of: (part: Part) => number) =>
    partsOf(options).reduce((total, part) => total + of(part), 0);
  return {
    name: "mixed",
    about: "Experts of several kinds in one bank, in turn.",
    readings: [
      "MoE++'s released code puts two constant experts, one copy and one zero expert after its feed-forward ones, which " +
      'is parts = [{"name":"swiglu","count":8},{"name":"constant","count":2},{"name":"copy"},{"name":"zero"}] for 12 ' +
      "experts. Its gating residuals are a router's matter, and our routers have none; its training code is not " +
      "published, so its balance loss was not read.",
    ],
    options: optionsOf(known),
    parameters: (dims, options) => mean(options, (part) => part.plugin.parameters(dims, part.options)),
    sharedParameters: (dims, options) =>
      sum(options, (part) => part.plugin.sharedParameters?.(dims, part.options) ?? 0),
    keptBytes: (dims, options) =>
      sum(options, (part) => {
        const E = dims.E * part.places.length / roundOf(partsOf(options));
        return bankBytes(part.plugin, { ...dims, E }, part.options);
      }),
    flopPerToken: (dims, options) => mean(options, (part) => part.plugin.flopPerToken(dims, part.options)),
    flopOfExpert(dims, options, expert) {
      const parts = partsOf(options);
      const round = roundOf(parts);
      const { plugin, options: own, places } = parts.find(({ places }) => places.includes(expert % round))!;
      const at = Math.floor(expert / round) * places.length + places.indexOf(expert % round);
      return plugin.flopOfExpert?.(dims, own, at) ?? plugin.flopPerToken(dims, own);
    },
    activationsPerToken: (dims, options) =>
      dims.D + sum(options, (part) => SORTED + part.plugin.activationsPerToken(dims, part.options)),
    dense(options) {
      const sizes = { D: 2, F: 2, E: 1 };
      const cost = (part: Part) => part.plugin.flopPerToken(sizes, part.options);
      const [largest] = partsOf(options).toSorted((a, b) => cost(b) - cost(a));
      return cost(largest) === 0 ? null : standIn(largest.plugin, largest.options);
    },
    create: (dims, options, init) => {
      const parts = partsOf(options);
      const round = roundOf(parts);
      if (dims.E % round !== 0) {
        throw new RangeError(
          `Cannot make experts "mixed": ${dims.E} experts are no multiple of the ${round} that its parts list`,
        );
      }
      const banks = parts.map((part, at) => {
        const experts = Array.from({ length: dims.E }, (_, e) => e)
          .filter((e) => part.places.includes(e % round));
        const own = { ...dims, E: experts.length };
        return { experts, bank: part.plugin.create(own, part.options, init.part(`parts.${at}`)) };
      });
      return together(banks, dims);
    },
  };
}

/** Parts with names, options and counts checked, and options filled in. */
function optionsOf(known: KnownKinds): ExpertPlugin<MixedOptions>["options"] {
  const part = z.looseObject({
    name: z.string(),
    count: z.number().int().min(1).default(1),
  }).transform(({ count, ...kind }, context): MixedPart => ({
    count,
    ...completedKind(known, kind, context, ["count"]),
  }));
  return z.strictObject({
    parts: z.array(part).min(1).prefault([{ name: "feed-forward", count: 3 }, { name: "copy" }]).describe(
      "kinds in turn, each with how many experts in a row (count, 1) and its own options; the bank repeats the list",
    ),
    outDeviation: z.number().positive().nullable().default(null)
      .describe("outDeviation of parts that have one and leave it null"),
  });
}

/** Parts at their places in a round. */
function placed({ parts, outDeviation }: MixedOptions, known: KnownKinds): Part[] {
  let from = 0;
  return parts.map(({ count, ...kind }) => {
    const places = Array.from({ length: count }, (_, at) => from + at);
    from += count;
    return { ...kindOf(known, kind, outDeviation), places };
  });
}

function roundOf(parts: readonly Part[]): number {
  return parts.reduce((total, { places }) => total + places.length, 0);
}

interface PlacedBank {
  /** Experts of the whole that its own are, in order. */
  readonly experts: readonly number[];
  readonly bank: ExpertBank;
}

function together(banks: readonly PlacedBank[], { E }: ExpertDims): ExpertBank {
  const named = (of: ({ bank }: PlacedBank) => ExpertBank["params"] | undefined) =>
    Object.fromEntries(
      banks.flatMap((each, at) =>
        Object.entries(of(each) ?? {}).map(([name, param]) => [`parts.${at}.${name}`, param] as const)
      ),
    );
  const owners = banks.flatMap(({ experts, bank }, at) =>
    Object.keys(bank.params).map((name) =>
      [
        `parts.${at}.${name}`,
        bank.owners?.[name]?.map((own) => experts[own]) ?? experts,
      ] as const
    )
  );
  return {
    params: named(({ bank }) => bank.params),
    shared: named(({ bank }) => bank.shared),
    owners: Object.fromEntries(owners),
    async apply(rows) {
      let sum: Tensor | null = null;
      for (const [at, each] of banks.entries()) {
        const next = await rowsOfPart(each, at, rows, E);
        sum = sum ? spending(sum, (a) => spending(next, (b) => add(a, b))) : next;
      }
      return sum!;
    },
    free: () => banks.forEach(({ bank }) => bank.free?.()),
  };
}

/** What one part makes of the rows of its experts, at their places among all rows; 0 elsewhere. */
async function rowsOfPart(
  { experts, bank }: PlacedBank,
  at: number,
  given: ExpertRows,
  E: number,
): Promise<Tensor> {
  const { rows: { x_TD, assignments, byExpert }, random } = given;
  const own_E = new Int32Array(E).fill(-1);
  experts.forEach((expert, own) => own_E[expert] = own);
  const own_N = take(tensor(x_TD.backend, own_E, [E]), byExpert.key_N);
  const byOwn = groupBy(own_N, experts.length);
  const rows = sortRows(x_TD, assignments, byOwn);
  const made = await bank.apply({
    rows,
    offset_O: byOwn.offset_O,
    ...(random ? { random: random.split(`parts.${at}`) } : {}),
  });
  return regroupRows(made, byOwn, byExpert);
}
