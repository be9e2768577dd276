// Made-up runs whose numbers are known, for tests of the report: routers, controls, and the same as older records.
import {
  type Control,
  type EndRow,
  type LayerChoices,
  type LayerLoad,
  marginBins,
  type PointChoices,
  type RunRecord,
  type Specialisation,
  type StepTiming,
  type TimingRecord,
} from "../training/record.ts";

/** A made-up router: what sets its runs apart. */
export interface MadeUp {
  readonly router: string;
  /** Added to the final loss of every seed. */
  readonly offset: number;
  readonly choices: number;
  readonly gate: boolean;
  readonly skew: number;
  readonly capacity: number;
  readonly control?: Control;
}

export const routers: Readonly<Record<"switch" | "gshard" | "hash", MadeUp>> = {
  switch: { router: "switch", offset: 0, choices: 1, gate: true, skew: 1.1, capacity: 1.25 },
  gshard: { router: "gshard", offset: -0.04, choices: 2, gate: true, skew: 0.6, capacity: 1.1 },
  hash: { router: "hash", offset: 0.05, choices: 1, gate: false, skew: 0.25, capacity: 4 },
};

const plain = { choices: 1, gate: false, skew: 0.25, capacity: 4 };

/** Controls: dense models and a layer without experts are worse or better by far more than routers differ. */
export const controls: readonly MadeUp[] = ([
  ["no experts", 1.5],
  ["random routing", 1],
  ["dense, equal FLOPs", 0.4],
  ["dense, equal parameters", -0.3],
  ["best known routing", -0.2],
] as const).map(([control, offset]) => ({ ...plain, router: control, control, offset }));

/** What a seed adds to the loss of all routers, and to that of one. */
export const seedLoss = [0.11, -0.07, 0.02];
const own: Readonly<Record<string, readonly number[]>> = {
  gshard: [0.004, -0.006, 0.002],
  hash: [-0.06, 0.09, 0.03],
};
const partsOfSpeech = [
  "noun",
  "verb",
  "adjective",
  "adverb",
  "pronoun",
  "determiner",
  "adposition",
  "number",
  "other",
];
const genres = ["news", "fiction", "government", "learned"];
const exampleWords = [
  "said",
  "the",
  "Mr.",
  "would",
  "1960",
  "between",
  "she",
  "government",
  "very",
  "and",
  "house",
  "running",
  "of",
  "million",
];

/** Final loss of a made-up run. */
export function finalLossOf({ router, offset }: MadeUp, seed: number): number {
  return 5 + offset + (seedLoss[seed] ?? 0) + (own[router]?.[seed] ?? 0);
}

// A hash of integers to 0..1: the same numbers on every machine.
function noise(...parts: readonly number[]): number {
  let hash = 2166136261;
  for (const part of parts) hash = Math.imul(hash ^ (part + 0x9e3779b9), 16777619) >>> 0;
  hash = Math.imul(hash ^ (hash >>> 15), 2246822519) >>> 0;
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}

function loadOf(made: MadeUp, seed: number, step: number, layer: number, experts: number): LayerLoad {
  const tokens = 2048 * made.choices;
  const settled = made.skew * (0.35 + 1.6 * Math.exp(-step / 60));
  const likes = Array.from(
    { length: experts },
    (_, e) =>
      Math.exp(
        settled * 1.6 * (noise(seed, layer, e, made.choices) - 0.5) +
          0.12 * (noise(step, seed, layer, e) - 0.5),
      ),
  );
  const total = likes.reduce((sum, like) => sum + like, 0);
  const wanted = likes.map((like) => Math.round(tokens * like / total));
  const asked = wanted.reduce((sum, count) => sum + count, 0);
  const kept = wanted.map((count) => Math.min(count, Math.ceil(made.capacity * tokens / experts)));
  const shares = wanted.map((count) => count / asked);
  const mean = asked / experts;
  const droppedShare = 1 - kept.reduce((sum, count) => sum + count, 0) / asked;
  return {
    layer,
    wanted,
    kept,
    droppedShare,
    droppedShareByChoice: made.choices === 1 ? [droppedShare] : [droppedShare * 0.4, droppedShare * 1.6],
    gateEntropy: made.gate
      ? Math.log(experts) * (0.25 + 0.75 * Math.exp(-step / 80)) + 0.05 * noise(step, seed)
      : null,
    loadEntropy: -shares.reduce((sum, share) => sum + (share > 0 ? share * Math.log(share) : 0), 0) /
      Math.log(experts),
    coefficientOfVariation: Math.sqrt(wanted.reduce((sum, count) => sum + (count - mean) ** 2, 0) / experts) /
      mean,
    maxOverMean: Math.max(...wanted) / mean,
    deadExperts: wanted.filter((count) => count === 0).length,
  };
}

function specialisationOf(made: MadeUp, seed: number, layer: number, experts: number): Specialisation {
  const counts = (kinds: readonly string[], strength: number): number[][] =>
    Array.from(
      { length: experts },
      (_, e) =>
        kinds.map((_, kind) =>
          Math.round(900 * Math.exp(strength * (noise(seed, layer, e, kind) - 0.5)) / (kind + 2))
        ),
    );
  return {
    layer,
    labels: [
      {
        name: "part of speech",
        names: partsOfSpeech,
        counts: counts(partsOfSpeech, made.gate ? 3 : 0.4),
        information: (made.gate ? 0.42 : 0.08) + 0.05 * noise(seed, layer, made.choices),
      },
      {
        name: "genre",
        names: genres,
        counts: counts(genres, 0.3),
        information: 0.01 + 0.004 * noise(seed, layer, made.choices, 9),
      },
    ],
    words: Array.from(
      { length: experts },
      (_, e) => exampleWords.filter((_, at) => noise(seed, layer, e, at, made.choices) > 0.5).slice(0, 8),
    ),
  };
}

/** Margins that grow with training; routers of two choices whose experts have favourite partners and followers. */
function choicesOf(made: MadeUp, seed: number, experts: number): LayerChoices[] {
  const table = (scale: number) =>
    Array.from(
      { length: experts },
      (_, a) =>
        Array.from(
          { length: experts },
          (_, b) =>
            Math.round(
              40 * Math.exp(scale * (noise(seed, made.choices, Math.min(a, b), Math.max(a, b)) - 0.5)),
            ),
        ),
    );
  return [1, 3].map((layer): LayerChoices => ({
    layer,
    shared: 0,
    margins: made.gate ? Array.from({ length: marginBins }, (_, bin) => 100 + 20 * bin + layer) : null,
    together: made.choices > 1 ? table(2).map((row, a) => row.map((count, b) => a === b ? 0 : count)) : null,
    flow: layer === 1
      ? { to: 3, counts: table(made.gate ? 3 : 0), information: made.gate ? 0.3 + 0.05 * noise(seed, 5) : 0 }
      : null,
    promoted: Array.from(
      { length: experts },
      (_, e) => exampleWords.filter((_, at) => noise(seed, layer, e, at, made.choices) > 0.5).slice(0, 8),
    ),
  }));
}

function pointChoicesOf(made: MadeUp, seed: number, step: number): PointChoices[] {
  return [1, 3].map((layer) => ({
    layer,
    nearTies: made.gate ? 0.1 + 0.8 * Math.exp(-step / 20) : null,
    ...(step > 0 ? { changed: 0.5 * Math.exp(-step / 25) + 0.02 * noise(seed, step, layer) } : {}),
  }));
}

function runOf({ router }: MadeUp, seed: number, task: string): string {
  return `${task ? `${task}-` : ""}${router}-seed${seed}`;
}

function withoutChoices({ choices: _, ...end }: EndRow): EndRow {
  return end;
}

/** The same run as recorded before there were tasks, controls and costs, with a curve that is not over all tokens. */
export function oldRecord({ header, steps, evaluations, end }: RunRecord): RunRecord {
  const { schema: _, control: _c, task: _t, tokensPerStep: _p, expertsPerToken: _e, flop: _f, ...rest } =
    header;
  return {
    header: rest,
    steps,
    evaluations: evaluations.filter(({ step }) => step > 0 && step < header.steps).map((
      { choices: _, ...row },
    ) => ({
      ...row,
      loss: row.loss + 0.3,
      tokens: 2048,
    })),
    end: end && withoutChoices(end),
  };
}

/** A finished run of a made-up router, as recorded today. */
export function recordOf(
  made: MadeUp,
  seed: number,
  { steps = 300, experts = 8, task = "" } = {},
): RunRecord {
  const final = finalLossOf(made, seed);
  const at = (step: number): number => final + 4.1 * Math.exp(-step / (steps / 6)) - 4.1 * Math.exp(-6);
  const routed = !made.control?.startsWith("dense");
  const rows = Array.from({ length: steps }, (_, before) => ({
    kind: "step" as const,
    step: before,
    loss: at(before + 1) + 0.25 * (noise(seed, before, 77) - 0.5),
    losses: made.gate ? { balance: 0.0102 + 0.02 * Math.exp(-before / 15) } : {},
    learningRate: 3e-3 * Math.min(1, (before + 1) / 10) * (1 - before / steps),
    gradientNorm: 0.8 + 2 * Math.exp(-before / 20) + 0.1 * noise(seed, before, 78, made.choices),
    layers: routed ? [1, 3].map((layer) => loadOf(made, seed, before + 1, layer, experts)) : [],
  }));
  const evaluated = Array.from({ length: 13 }, (_, each) => Math.round(steps * each / 12));
  const dropped = rows.flatMap(({ layers }) => layers.map(({ droppedShare }) => droppedShare));
  return {
    header: {
      kind: "run",
      schema: 3,
      run: runOf(made, seed, task),
      router: made.router,
      ...(made.control ? { control: made.control } : {}),
      ...(task ? { task: { name: task, about: `The task ${task}.`, digest: `d16e57${task}` } } : {}),
      plugin: made.router,
      routerOptions: made.capacity < 4 ? { capacityFactor: made.capacity } : {},
      seed,
      steps,
      size: "small",
      model: { width: 128, layers: 4, heads: 4, batch: 16, length: 128 },
      experts: { E: experts, K: made.choices, F: 512 / made.choices, precision: "full" },
      data: {
        corpus: "Brown",
        vocabulary: 8192,
        facts: { "training tokens": 1_050_000, "validation tokens": 54_000 },
        references: [{ name: "unigram", loss: Math.log(812.4) }],
      },
      activeFlopPerToken: 3_670_016,
      tokensPerStep: 2048,
      expertsPerToken: made.choices,
      flop: {
        dense: made.control === "dense, equal parameters" ? 9_000_000 : routed ? 2_621_440 : 3_670_016,
        expert: 524_288 / made.choices,
        router: made.gate ? 4096 : 0,
      },
      parameters: { total: 4_812_544, router: made.gate ? 2048 : 0, active: 2_453_248 },
      initialWeights: `a41f${seed}c0de`,
      arithmetic: { device: "cpu", fusedMultiplyAdd: true },
      version: "0.1.0",
    },
    steps: rows,
    evaluations: evaluated.map((step) => {
      const loss = step === steps ? final : at(step);
      const choices = routed ? pointChoicesOf(made, seed, step) : [];
      return { kind: "evaluation", step, loss, perplexity: Math.exp(loss), tokens: 54_000, choices };
    }),
    end: {
      kind: "end",
      step: steps,
      loss: final,
      perplexity: Math.exp(final),
      routerGradient: made.gate ? 0.013 : null,
      droppedShareByPosition: Array.from({ length: 128 }, (_, place) => (dropped[0] ?? 0) * place / 256),
      keptShare: routed ? 1 - dropped.reduce((sum, share) => sum + share, 0) / dropped.length : 1,
      specialisation: !routed ? [] : [1, 3].map((layer) => specialisationOf(made, seed, layer, experts)),
      choices: routed ? choicesOf(made, seed, experts) : [],
    },
  };
}

/** Timings of the same: 40 ms a step, one step in ten far slower. */
export function timingOf(made: MadeUp, seed: number, { steps = 300, task = "" } = {}): TimingRecord {
  const rows = Array.from({ length: steps }, (_, step): StepTiming => ({
    step: step + 1,
    seconds: step % 10 === 0 ? 0.2 : 0.04,
    stages: {
      route: made.gate ? 0.003 : 0.001,
      dispatch: 0.003,
      experts: 0.012,
      combine: 0.001,
      attention: 0.009,
      output: 0.007,
      optimizer: 0.003,
      rest: made.gate ? 0.002 : 0.004,
    },
  }));
  return { run: runOf(made, seed, task), threads: 2, machine: "a laptop", steps: rows };
}

/** Runs and timings of several made-up routers. */
export function runsOf(
  seeds: number,
  made: readonly MadeUp[],
  { steps = 60, task = "" } = {},
): { runs: RunRecord[]; timings: TimingRecord[] } {
  const each = made.flatMap((one) => Array.from({ length: seeds }, (_, seed) => ({ one, seed })));
  return {
    runs: each.map(({ one, seed }) => recordOf(one, seed, { steps, task })),
    timings: each.map(({ one, seed }) => timingOf(one, seed, { steps, task })),
  };
}

/** A short run that ended with a given loss, for tests that need many. */
export function runWith(
  router: string,
  seed: number,
  loss: number,
  { control, task = "", choices = 1 }: { control?: Control; task?: string; choices?: number } = {},
): RunRecord {
  const made = { ...plain, router, offset: 0, choices, ...(control ? { control } : {}) };
  const run = recordOf(made, seed, { steps: 2, experts: 2, task });
  return {
    ...run,
    evaluations: run.evaluations.slice(0, 1),
    end: { ...run.end!, loss, perplexity: Math.exp(loss), specialisation: [] },
  };
}
