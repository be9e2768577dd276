// What an experiment is: a question, tasks, variants whose runs answer it, and how it is judged, written down before it
// runs. Everything else (seeds, controls, records, report) is shared.
import type { Judgement } from "../report/judgement.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import type { Settings } from "../training/config.ts";

/** One thing compared: settings of a run, by path, over the experiment's own. Any part of a config may vary. */
export interface Variant {
  /** What tables and charts call it; unique within an experiment. */
  readonly label: string;
  readonly settings: Settings;
}

/** A task an experiment runs on, with settings of its own. */
export interface ExperimentTask {
  /** What tables and charts call it: the task's name, with what sets it apart. */
  readonly label: string;
  /** Settings by path; `task.name` is one of them. */
  readonly settings: Settings;
  /** Settings over the task's own that give way to those of a size. */
  readonly unsized?: Settings;
}

/** What a user chose about variants. */
export interface VariantChoice {
  /** Routers named on the command line, or null for the experiment's own. */
  readonly routers: readonly AnyRouterPlugin[] | null;
  /** Routers that came with `--plugin`. */
  readonly plugins: readonly AnyRouterPlugin[];
  /** Options set on the command line, by router name. */
  readonly settings: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** An experiment. */
export interface Experiment {
  /** In kebab-case; what the command takes. */
  readonly name: string;
  /** The question, in one sentence. */
  readonly about: string;
  /** Tasks it runs on unless `--task` names one. */
  readonly tasks: readonly ExperimentTask[];
  /** Settings that the question asks of every run. */
  readonly settings: Settings;
  /** How it is judged. */
  readonly judgement: Judgement;
  variants(choice: VariantChoice): readonly Variant[];
}

/** A variant that is a router with options. */
export function routerVariant(
  router: AnyRouterPlugin,
  options: Readonly<Record<string, unknown>> = {},
): Variant {
  return { label: router.name, settings: { router: { name: router.name, ...options } } };
}
