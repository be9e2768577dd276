// What a page is set to: all that decides the runs that Train starts, and nothing that comes of them.
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import type { RunNames } from "../training/run_rows.ts";
import { findPageTask } from "./tasks.ts";

/** A router with those of its options that are not at their default. */
export interface RouterChoice {
  readonly name: string;
  readonly options: Settings;
}

/** Where runs compute. */
export type DeviceName = "cpu" | "webgpu";

/** What a page is set to. */
export interface PageState {
  readonly task: string;
  readonly size: string;
  /** Settings by path that differ from those of the task and size. */
  readonly settings: Settings;
  readonly router: RouterChoice;
  /** A second router on the same data and seed. */
  readonly beside: RouterChoice | null;
  readonly device: DeviceName;
  /** The sentence to watch where the task is one of text; null for a held-out one. */
  readonly sentence: string | null;
}

/** A page as it opens. */
export const initialState: PageState = {
  task: "regimes",
  size: "small",
  settings: {},
  router: { name: "switch", options: {} },
  beside: null,
  device: "cpu",
  sentence: null,
};

/** Routers of a state, one or two. */
export function routersOf({ router, beside }: PageState): RouterChoice[] {
  return beside ? [router, beside] : [router];
}

/** Settings of a task and size, before what the user has set. */
export function defaultsOf({ task, size }: Pick<PageState, "task" | "size">): Settings {
  const { plugin, settings } = findPageTask(task);
  if (!Object.hasOwn(plugin.sizes, size)) {
    const sizes = Object.keys(plugin.sizes).map((each) => `"${each}"`).join(", ");
    throw new RangeError(`Cannot find size "${size}": task "${task}" has ${sizes}`);
  }
  return { "task.name": plugin.name, ...plugin.defaults, ...settings, ...plugin.sizes[size] };
}

/**
 * The config of a router's run.
 * @throws {RangeError} as the command line does, for what cannot be used.
 */
export function runConfigOf(state: PageState, { name, options }: RouterChoice): RunConfig {
  const own = Object.entries(options).map(([option, value]) => [`router.${option}`, value]);
  return configOf(defaultsOf(state), state.settings, { "router.name": name, ...Object.fromEntries(own) });
}

/** What the two runs of a state are called: by router, and by what differs where both have the same. */
export function namesOf({ router, beside, size }: PageState): Pick<RunNames, "label" | "size">[] {
  if (beside?.name !== router.name) {
    return [router, beside].flatMap((each) => each ? [{ label: each.name, size }] : []);
  }
  const differing = Object.keys({ ...router.options, ...beside.options }).filter((option) =>
    JSON.stringify(router.options[option]) !== JSON.stringify(beside.options[option])
  );
  return [router, beside].map(({ name, options }, at) => {
    const said = differing.map((option) => `${option}=${options[option] ?? "default"}`);
    return { label: [name, ...(said.length > 0 ? said : [at === 0 ? "one" : "two"])].join(" "), size };
  });
}
