// The same tuning budget for every variant and control: random search over the named settings, on seeds and held-out batches
// that do not judge. All trials are kept. The default and the tuned variant then stand side by side; a control runs at its best
// settings alone, since it is the end of a scale, and a badly set one would flatter routers.
import type { RunRecord } from "../training/record.ts";
import { parseConfig, type RunConfig, withSetting } from "../training/config.ts";
import { random } from "../tensor/random.ts";
import type { RunPlan } from "./run_plan.ts";

/** One setting to search. */
export interface TunedSetting {
  readonly path: string;
  /** Bounds of a log-uniform draw; null = a factor of ten to either side of the variant's own value. */
  readonly range: readonly [number, number] | null;
}

/** What to search, and how often. */
export interface Tuning {
  readonly settings: readonly TunedSetting[];
  /** Trials of each variant and control, its own settings the first of them. */
  readonly budget: number;
}

/** Seed of the draws, and of the trials' runs; judged runs count from 0. */
export const TUNING_SEED = 1_000_000;

/** Reads `train.learningRate,router.balance=0.001..0.1`. @throws {RangeError} when it cannot be read. */
export function readTuning(text: string, budget: number): Tuning {
  const settings = text.split(",").map((word): TunedSetting => {
    const [, path, low, high] =
      word.match(/^((?:train|router|experts|model)\.[\w.]+)(?:=([\d.e+-]+?)\.\.([\d.e+-]+))?$/) ??
        [];
    if (path === undefined) {
      throw new RangeError(
        `Cannot tune "${word}": write a path of train, router, experts or model, with a range where its value is no ` +
          "positive number, like train.learningRate or router.balance=0.001..0.1",
      );
    }
    if (low === undefined) return { path, range: null };
    const range = [Number(low), Number(high)] as const;
    if (!(range[0] > 0) || !(range[1] > range[0])) {
      throw new RangeError(`Cannot tune ${word}: choose a range from above 0 to something larger`);
    }
    return { path, range };
  });
  return { settings, budget };
}

/** A trial of one variant or control, on one task. */
export interface Trial {
  /** The plan of its first seed. */
  readonly of: RunPlan;
  readonly plan: RunPlan;
  /** Values by path; empty for the variant's own settings. */
  readonly values: Readonly<Record<string, number>>;
}

/**
 * Trials of every variant, and of every control that has one of the settings: all but a router's. The k-th trial of each
 * draws the same places in its ranges, so that luck is shared too.
 * @throws {RangeError} when a variant has none of the settings, or a value that no default range can be made from.
 */
export function planTrials(plans: readonly RunPlan[], { settings, budget }: Tuning): Trial[] {
  const first = Math.min(...plans.map(({ config }) => config.seed));
  return plans.filter(({ config }) => config.seed === first).flatMap((of) => {
    const { control } = of.config;
    const own = settings.filter(({ path }) =>
      valueAt(of.config, path) !== undefined && !(control !== null && path.startsWith("router."))
    );
    if (own.length === 0 && control !== null) return [];
    if (own.length === 0) {
      throw new RangeError(
        `Cannot tune ${of.names.label}: it has none of ${settings.map(({ path }) => path).join(", ")}`,
      );
    }
    return Array.from({ length: budget }, (_, trial): Trial => {
      const values = trial === 0
        ? {}
        : Object.fromEntries(own.map((each) => [each.path, drawn(of, each, trial)]));
      return { of, values, plan: trialPlan(of, values, trial) };
    });
  });
}

function valueAt(config: RunConfig, path: string): unknown {
  return path.split(".").reduce<unknown>(
    (inner, key) => (inner as Record<string, unknown> | undefined)?.[key],
    config,
  );
}

function drawn({ config, names }: RunPlan, { path, range }: TunedSetting, trial: number): number {
  const value = valueAt(config, path);
  if (!range && !(typeof value === "number" && value > 0)) {
    throw new RangeError(
      `Cannot tune ${path} of ${names.label}: its value is ${
        JSON.stringify(value)
      }; give a range, like ${path}=0.001..0.1`,
    );
  }
  const [low, high] = range ?? [value as number / 10, value as number * 10];
  const [draw] = random(TUNING_SEED).split(path).split(trial).uniform(1);
  return Number((low * (high / low) ** draw).toPrecision(3));
}

function changed(config: RunConfig, values: Readonly<Record<string, number>>): RunConfig {
  let json: Record<string, unknown> = { ...config };
  for (const [path, value] of Object.entries(values)) json = withSetting(json, path, value);
  return parseConfig(json);
}

/** Trials look at every other held-out batch, judged runs at the rest. */
function onPart(config: RunConfig, evaluationPart: RunConfig["train"]["evaluationPart"]): RunConfig {
  return { ...config, train: { ...config.train, evaluationPart } };
}

function trialPlan({ config, names, dataKey }: RunPlan, values: Trial["values"], trial: number): RunPlan {
  const label = `${names.label}, trial ${trial}`;
  return {
    config: onPart({ ...changed(config, values), seed: TUNING_SEED }, "odd"),
    names: { ...names, label, run: `${names.run.replace(/-seed\d+$/, "")}-trial${trial}` },
    dataKey,
  };
}

/** What tuning found of one variant or control. */
export interface Tuned {
  readonly of: RunPlan;
  readonly best: Trial;
  readonly loss: number;
  readonly trials: readonly { readonly values: Trial["values"]; readonly loss: number | null }[];
}

/**
 * The best trial of each variant and control; one that failed has no loss.
 * @param failed Why runs failed, by their names.
 * @throws {RangeError} when all of one's trials failed.
 */
export function chooseBest(
  trials: readonly Trial[],
  records: readonly RunRecord[],
  failed: ReadonlyMap<string, string>,
): Tuned[] {
  const lossOf = new Map(records.map(({ header, end }) => [header.run, end?.loss ?? null]));
  return [...Map.groupBy(trials, ({ of }) => of)].map(([of, own]): Tuned => {
    const losses = own.map((trial) => ({ trial, loss: lossOf.get(trial.plan.names.run) ?? null }));
    const done = losses.filter((each): each is { trial: Trial; loss: number } => each.loss !== null);
    if (done.length === 0) {
      throw new RangeError(
        `Cannot tune ${of.names.label} on ${of.names.task}: all of its trials failed, the first with "${
          failed.get(own[0].plan.names.run)
        }"`,
      );
    }
    const best = done.reduce((a, b) => b.loss < a.loss ? b : a);
    return {
      of,
      best: best.trial,
      loss: best.loss,
      trials: losses.map(({ trial, loss }) => ({ values: trial.values, loss })),
    };
  });
}

/**
 * Runs to judge: every variant as it was and beside it the tuned one, and every control at its best settings. Trials have
 * seen none of what judges.
 */
export function withTuned(plans: readonly RunPlan[], tuned: readonly Tuned[]): RunPlan[] {
  return plans.flatMap((plan): RunPlan[] => {
    const judged = { ...plan, config: onPart(plan.config, "even") };
    const found = tuned.find(({ of }) =>
      of.names.label === plan.names.label && of.names.task === plan.names.task
    );
    if (!found) return [judged];
    const { names, dataKey } = plan;
    const config = changed(judged.config, found.best.values);
    if (config.control !== null) return [{ ...judged, config }];
    return [judged, {
      config,
      names: {
        ...names,
        label: `${names.label}, tuned`,
        run: names.run.replace(/-seed(\d+)$/, "-tuned-seed$1"),
      },
      dataKey,
    }];
  });
}

/** What the report and the terminal say of tuning: a sentence each, and which controls had nothing to tune. */
export function tuningSentences(tuned: readonly Tuned[], plans: readonly RunPlan[]): string[] {
  if (tuned.length === 0) return [];
  const told = tuned.map(({ of: { names, config }, best, trials }) => {
    const values = Object.entries(best.values).map(([path, value]) => `${path} ${value}`);
    return `${names.label} on ${names.task}: ${
      values.length > 0 ? `tuned to ${values.join(", ")}` : "its own settings were the best"
    } of ${trials.length} trials (seed ${TUNING_SEED}, held-out batches that do not judge)${
      config.control !== null && values.length > 0 ? "; as a control it runs at these alone" : ""
    }.`;
  });
  const isControl = ({ config }: RunPlan) => config.control !== null;
  const left = plans.some(isControl) && !tuned.some(({ of }) => isControl(of));
  return left ? [...told, "Controls keep their own settings: what was tuned are routers' options."] : told;
}
