// A kind of experts as an option of another: its name, with its own options beside it, checked and filled in as they would be
// alone.
import * as z from "zod";
import { optionNames } from "../../tensor/plugins.ts";
import type { AnyExpertPlugin, ExpertPlugin } from "../expert.ts";

/** Where kinds are looked up: the registry, which a kind it holds cannot import. */
export interface KnownKinds {
  /**
   * A kind by name.
   * @throws {RangeError} when there is none.
   */
  find(name: string): AnyExpertPlugin;
  /**
   * A kind's options with defaults filled in.
   * @throws {RangeError} when they cannot be used.
   */
  parse<Options>(plugin: ExpertPlugin<Options>, given?: unknown): Options;
}

/** A kind's name, with its options beside it. */
export type NamedKind = { readonly name: string } & Readonly<Record<string, unknown>>;

/** What a part of an option reports where its kind is not there or refuses its options. */
interface Issues {
  addIssue(issue: { readonly code: "custom"; readonly message: string }): void;
}

/**
 * The same with every option; an issue in the words of the registry where that cannot be.
 * @param taken Names that stand beside the kind's own options and belong to what it is part of. A kind with an option of such
 * a name is refused, because one value cannot be both.
 */
export function completedKind(
  known: KnownKinds,
  { name, ...given }: NamedKind,
  context: Issues,
  taken: readonly string[] = [],
): NamedKind {
  try {
    const plugin = known.find(name);
    const shared = optionNames(plugin)?.find((option) => taken.includes(option));
    if (shared !== undefined) {
      throw new RangeError(
        `Cannot use experts "${name}" as a part: ${shared} is an option of theirs and of the part; rename theirs`,
      );
    }
    return { name, ...known.parse(plugin, given) as Record<string, unknown> };
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
    return z.NEVER;
  }
}

/** The plugin of a completed kind, and its options; `outDeviation` for a kind that has one and leaves it null. */
export function kindOf(
  known: KnownKinds,
  { name, ...given }: NamedKind,
  outDeviation: number | null,
): { readonly plugin: AnyExpertPlugin; readonly options: unknown } {
  const options = given.outDeviation === null ? { ...given, outDeviation } : given;
  return { plugin: known.find(name), options };
}

/** The network that stands for experts of a kind in dense controls. */
export function standIn(
  plugin: AnyExpertPlugin,
  options: unknown,
): readonly [AnyExpertPlugin, unknown] | null {
  return plugin.dense ? plugin.dense(options) : [plugin, options];
}
