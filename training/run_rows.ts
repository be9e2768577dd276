// The first and the last row of a run's record: what it is, and what came out.
import type { Backend } from "../kernels/kernel.ts";
import { activeFlop, expertFlop, flopByExpert, flopOf } from "../models/cost.ts";
import type { Model } from "../models/model.ts";
import { choicesOf, type ModelSpec, moeLayers, type MoeSpec, rowsOf } from "../models/spec.ts";
import { traitsOf } from "../routers/registry.ts";
import type { EvaluationExamples, TaskData } from "../tasks/task.ts";
import { findTask } from "../tasks/registry.ts";
import { refuseLeak, seesLaterTokens } from "./causality.ts";
import { watchChoices } from "./choices.ts";
import { configDigest, flatten, type RunConfig } from "./config.ts";
import { evaluateAsInTraining, evaluateInDetail } from "./evaluate.ts";
import { fingerprint } from "./fingerprint.ts";
import { promotesWords } from "./promoted.ts";
import type { EndRow, EvaluationRow, RunFlop, RunHeader } from "./record.ts";
import { specOf } from "./spec_of.ts";
import type { ProgressState } from "./train_state.ts";

/** What a run is called. */
export interface RunNames {
  /** File name without ending: `switch-seed0`. */
  readonly run: string;
  /** What tables and charts call it. */
  readonly label: string;
  /** What sets it apart from other arms but for its router. */
  readonly setting: string;
  /** Name of the size, where there is one. */
  readonly size: string;
  /** What the task is called: its name, with what sets it apart from other forms of it. */
  readonly task: string;
}

/** What a header is made from besides the config. */
export interface HeaderSources {
  readonly backend: Backend;
  readonly data: TaskData;
  readonly names?: Partial<RunNames>;
  readonly version?: string;
  /** The model that the run learns from, where there is one. */
  readonly teacher?: Pick<Model, "params"> | null;
}

/** A run's first row, but for what only its weights can tell. */
export type PlannedHeader = Omit<RunHeader, "parameters" | "initialWeights" | "teacherWeights" | "flop">;

/** Names of a run, derived from its config where they are left out. */
export function namesOf(config: RunConfig, names: Partial<RunNames> = {}): RunNames {
  const label = names.label ?? config.control ?? config.router.name;
  const run = names.run ?? `${label.replaceAll(/[^a-z0-9.]+/gi, "-")}-seed${config.seed}`;
  return {
    run,
    label,
    setting: names.setting ?? "",
    size: names.size ?? "",
    task: names.task ?? config.task.name,
  };
}

/** What a config says about its run before there are weights. */
export async function plannedHeader(
  config: RunConfig,
  { data, backend, version, names }: HeaderSources,
): Promise<PlannedHeader> {
  const { run, label, setting, size, task: taskName } = namesOf(config, names);
  const spec = specOf(config, data);
  const { name: plugin, ...routerOptions } = config.router;
  const { task, model, train, placement, experts, control } = config;
  return {
    kind: "run",
    schema: 3,
    run,
    router: label,
    plugin: control ?? plugin,
    ...(control
      ? { control }
      : { causal: !isOrdered(config, data) || moeLayers(spec).every(declaredCausal) }),
    routerOptions: control ? {} : routerOptions,
    seed: config.seed,
    steps: train.steps,
    size,
    ...(setting === "" ? {} : { setting }),
    model: flatten({ model, train, placement }) as RunHeader["model"],
    experts: expertsOf(spec, experts.precision === "half" ? "half" : "full"),
    task: { name: taskName, about: findTask(task.name).about, digest: data.digest },
    data: {
      corpus: data.name,
      vocabulary: rowsOf(data.input),
      facts: data.facts,
      references: data.references,
    },
    tokensPerStep: train.batch * train.length,
    expertsPerToken: meanChoices(spec),
    activeFlopPerToken: activeFlop(flopOf(spec)),
    arithmetic: backend.arithmetic,
    version: version ?? "",
    config,
    digest: await configDigest(config, data.digest),
  };
}

/** Where later tokens are what is to be predicted, a router may see the future. */
export function isOrdered({ train }: RunConfig, { output }: Pick<TaskData, "output">): boolean {
  return output.kind === "tokens" && train.length > 1;
}

function declaredCausal({ moe: { router, routerOptions } }: { readonly moe: MoeSpec }): boolean {
  return traitsOf(router, routerOptions).causal;
}

/** The first mixture's experts; all zero without one. */
function expertsOf(spec: ModelSpec, precision: "full" | "half"): RunHeader["experts"] {
  const [first] = moeLayers(spec);
  if (!first) return { E: 0, K: 0, F: 0, precision };
  return { E: first.moe.E, K: choicesOf(first.moe), F: first.moe.F, precision };
}

function meanChoices(spec: ModelSpec): number {
  const layers = moeLayers(spec);
  return layers.reduce((sum, { moe }) => sum + choicesOf(moe), 0) / Math.max(1, layers.length);
}

/** First row of a run. */
export async function headerOf(config: RunConfig, options: HeaderSources, model: Model): Promise<RunHeader> {
  const routers = new Set(model.routerParams);
  const shared = Object.fromEntries(Object.entries(model.params).filter(([name]) => !routers.has(name)));
  const { total, router, active } = model.weights;
  return {
    ...await plannedHeader(config, options),
    flop: runFlop(model),
    parameters: { total, router, active },
    initialWeights: await fingerprint(shared),
    ...(options.teacher ? { teacherWeights: await fingerprint(options.teacher.params) } : {}),
  };
}

function runFlop({ spec, flop }: Model): RunFlop {
  const mixtures = moeLayers(spec);
  const expert = mixtures.reduce((sum, { moe }) => sum + expertFlop(spec.D, moe), 0) /
    Math.max(1, mixtures.length);
  const byExpert = mixtures.map(({ moe }) => flopByExpert(spec.D, moe));
  const differ = byExpert.some((flops) => flops.some((each) => each !== expert));
  return {
    dense: activeFlop(flop) - flop.experts,
    expert,
    ...(differ ? { byExpert } : {}),
    router: flop.router,
  };
}

/**
 * Checks that a stopped run was started as it would be now.
 * @throws {RangeError} naming what differs, with both values.
 */
export function checkSameRun(found: RunHeader, wanted: PlannedHeader | RunHeader): void {
  const differs = firstDifference(found, wanted);
  if (differs) throw new RangeError(`Cannot resume ${found.run}: its ${differs}`);
}

function firstDifference(found: object, wanted: object, path = ""): string | null {
  // Only the top of a planned header has less to say than what was found.
  const keys = new Set(path === "" ? Object.keys(wanted) : [...Object.keys(wanted), ...Object.keys(found)]);
  for (const key of keys) {
    const [before, now] = [found, wanted].map((side) => (side as Record<string, unknown>)[key]);
    if (JSON.stringify(before) === JSON.stringify(now)) continue;
    const inside = isObject(before) && isObject(now) ? firstDifference(before, now, `${path}${key}.`) : null;
    return inside ?? `${path}${key} was ${JSON.stringify(before)} and is now ${JSON.stringify(now)}`;
  }
  return null;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What the last rows are made from. */
export interface EndParts {
  readonly config: RunConfig;
  readonly run: string;
  readonly data: TaskData;
  readonly backend: Backend;
  readonly model: Model;
  readonly state: ProgressState;
  readonly plan: readonly EvaluationExamples[];
}

/** Share of the largest gradient of a router's parameters, below which another's is what rounding leaves. */
const ROUNDING = 1e-7;

/**
 * Last rows of a run: the last evaluation, and what came out.
 * @throws {RangeError} when a parameter of a router that learns received no gradient, or routers that declare to be causal
 * are not.
 */
export async function endOf(parts: EndParts): Promise<[EvaluationRow, EndRow]> {
  const { config, run, data, backend, model, state, plan } = parts;
  const { steps } = config.train;
  const choices = watchChoices(
    promotesWords(model) ? { model, backend, nameOf: (row) => data.nameOf(row) } : undefined,
  );
  const found = await evaluateInDetail(model, { backend, data, plan, step: steps, watch: choices.add });
  const { loss, perplexity, tokens, layers, specialisation, residualShare, answers } = found;
  const gradient = state.leastRouterGradient();
  const norms = Object.entries(state.routerGradients);
  // What is left of terms that cancel is rounding, not a gradient.
  const least = Math.max(0, ...norms.map(([, norm]) => norm)) * ROUNDING;
  const idle = norms.find(([, norm]) => !(norm > least));
  const learns = moeLayers(model.spec).some(({ moe }) =>
    traitsOf(moe.router, moe.routerOptions).gradient !== "none"
  );
  if (learns && idle) {
    throw new RangeError(
      `Cannot accept ${run}: "${
        idle[0]
      }", a parameter of its router, received no gradient in ${steps} steps; declare ` +
        'gradient "none" where that is meant',
    );
  }
  const test = { backend, examples: plan[0], step: steps };
  const tested = isOrdered(config, data);
  const leaks = tested && await seesLaterTokens(model, test);
  if (leaks) refuseLeak(model, steps);
  const { wanted, dropped } = state.drops;
  const sum = (counts: Float64Array) => counts.reduce((total, count) => total + count, 0);
  return [
    {
      kind: "evaluation",
      step: steps,
      loss,
      perplexity,
      tokens,
      layers,
      choices: choices.point(state.firstExperts),
    },
    {
      kind: "end",
      step: steps,
      loss,
      perplexity,
      routerGradient: gradient,
      droppedShareByPosition: Array.from(wanted, (count, at) => count === 0 ? 0 : dropped[at] / count),
      keptShare: 1 - sum(dropped) / Math.max(1, sum(wanted)),
      layers,
      residualShare,
      ...(answers ? { answers } : {}),
      ...(config.control ? {} : {
        trainingAssignmentLoss: await evaluateAsInTraining(model, { backend, data, plan, step: steps }),
      }),
      causal: { tested, holds: !leaks },
      specialisation,
      choices: await choices.end(),
    },
  ];
}
