// What an experiment is: a question, and the variants whose runs answer it. Everything else (seeds, data, model size,
// records, report) is shared.
import type { ModelSize } from "../models/presets.ts";
import type { Judgement } from "../report/judgement.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";

/** One thing compared: a router with options. The first variant of an experiment is the baseline of its report. */
export interface Variant {
  /** What tables and charts call it; unique within an experiment. */
  readonly label: string;
  readonly router: AnyRouterPlugin;
  readonly options: Readonly<Record<string, unknown>>;
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
  /** In kebab-case; what the task takes. */
  readonly name: string;
  /** The question, in one sentence. */
  readonly about: string;
  /** How it is judged, fixed before it runs; by loss and without a margin when left out. */
  readonly judgement?: Judgement;
  /** What the question asks of every size. */
  readonly size?: Partial<Pick<ModelSize, "ranks" | "ranksPerNode" | "sharded">>;
  variants(choice: VariantChoice): readonly Variant[];
}
