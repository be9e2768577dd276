// What a page is set to: all that decides the runs that Train starts, and nothing that comes of them.
import { configOf, type RunConfig, type Settings } from "../training/config.ts";
import type { RunNames } from "../training/run_rows.ts";
import { usual } from "../training/run_schema.ts";
import type { OwnRouter } from "./own/own_router.ts";
import type { DeviceName } from "./run/messages.ts";
import { findPageTask } from "./tasks.ts";

/** A router with those of its options that are not at their default. */
export interface RouterChoice {
  readonly name: string;
  readonly options: Settings;
}

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
  /** A router of the user's, to be chosen by its name; null where there is none. */
  readonly own: OwnRouter | null;
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
  own: null,
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

/** Settings of a router's run, from the least particular to the most. */
export function settingsOf(state: PageState, { name, options }: RouterChoice): Settings[] {
  const own = Object.entries(options).map(([option, value]) => [`router.${option}`, value]);
  return [defaultsOf(state), state.settings, { "router.name": name, ...Object.fromEntries(own) }];
}

/** Whether a router is the user's. */
export function isOwn({ own }: PageState, { name }: RouterChoice): boolean {
  return own?.name === name;
}

/** The program of a router of the user's. */
export function programOf(state: PageState, choice: RouterChoice): string | null {
  return isOwn(state, choice) ? state.own!.program : null;
}

/**
 * The config of a router's run; of a router of the user's with another in its place, since only workers know that one.
 * @throws {RangeError} as the command line does, for what cannot be used.
 */
export function runConfigOf(state: PageState, choice: RouterChoice): RunConfig {
  const known = isOwn(state, choice) ? { name: usual.router, options: {} } : choice;
  return configOf(...settingsOf(state, known));
}

/** A state with another router of the user's, chosen, and Switch beside it where nothing else is. */
export function withOwn(state: PageState, own: OwnRouter): PageState {
  const { beside } = state;
  const before = routersOf(state).find((choice) => isOwn(state, choice));
  const kept = Object.entries(before?.options ?? {}).filter(([option]) =>
    Object.hasOwn(own.defaults, option)
  );
  const choice = { name: own.name, options: Object.fromEntries(kept) };
  if (before && before === beside) return { ...state, own, beside: choice };
  return {
    ...state,
    own,
    router: choice,
    beside: before ? beside : beside ?? { name: usual.router, options: {} },
  };
}

/** Whether runs of one state start anew for another: where its routers differ, and not its task. */
export function restarts(before: PageState, after: PageState): boolean {
  const routers = ({ router, beside, own }: PageState) => JSON.stringify([router, beside, own?.source]);
  return before.task === after.task && routers(before) !== routers(after);
}

/** All options of a router. */
export function optionsOf(state: PageState, choice: RouterChoice): Readonly<Record<string, unknown>> {
  if (isOwn(state, choice)) return { ...state.own!.defaults, ...choice.options };
  const { name: _, ...options } = runConfigOf(state, choice).router;
  return options;
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
