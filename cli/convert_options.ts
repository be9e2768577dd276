// The command line of `deno task convert`, and what it asks for.
import { mergeFeatures } from "../models/resize/merge.ts";
import { pruneScores } from "../models/resize/prune.ts";
import { upcyclings } from "../models/resize/upcycle.ts";
import { keptModelOptions, runNote } from "./kept_model.ts";
import {
  type CommandLine,
  numberOf,
  valueOf,
  wholeNumber,
  wholeNumberOf,
  wholeNumbersOf,
  type Words,
} from "./options.ts";

/** What each way of converting goes by: the first unless `--by` says another. */
const ways = { upcycle: upcyclings, prune: pruneScores, merge: mergeFeatures } as const;

/** Name of a way of converting. */
export type Way = keyof typeof ways;

/** What `deno task convert` takes. */
export const convertLine: CommandLine = {
  task: "convert",
  about:
    "Makes experts of a kept dense model's networks, leaves experts out, or merges them, and keeps the result.",
  operands: "RUN",
  options: {
    upcycle: { about: "make this many experts of each dense network", value: "N" },
    prune: { about: "keep this many experts: one number for all mixtures, or one for each", value: "COUNTS" },
    merge: { about: "merge experts into this many, as with --prune", value: "COUNTS" },
    by: {
      about: `with --upcycle ${upcyclings.join(", ")}; with --prune ${pruneScores.join(", ")}; ` +
        `with --merge ${mergeFeatures.join(", ")} (default: the first of them)`,
      value: "NAME",
    },
    parts: { about: "with --upcycle, experts that a copy is cut into", value: "N", default: "1" },
    share: {
      about: "with --upcycle, share of hidden units that noise and drop change",
      value: "S",
      default: "0.5",
    },
    layers: {
      about: "with --upcycle, places of layers, from 0 (default: all that are dense)",
      value: "PLACES",
    },
    router: {
      about: "with --upcycle, the router (default top-any with k 2 and no drops, whose weights sum to 1)",
      value: "NAME",
    },
    set: {
      about: "with --upcycle, an option of that router, like top-any.k=4 (repeatable)",
      value: "PATH=VALUE",
      repeatable: true,
    },
    seed: { about: "with --upcycle, seed of the router and of what is drawn anew", value: "N", default: "0" },
    unaligned: { about: "with --merge, leave hidden units in the order they have" },
    batches: {
      about: "with --prune and --merge, training batches to look at experts on",
      value: "N",
      default: "8",
    },
    out: {
      about: "the file to write (default: the run's name and the way, in this folder)",
      value: "FILE",
      isPath: true,
    },
    ...keptModelOptions,
  },
  notes: [
    runNote,
    "",
    "Examples",
    "  deno task convert results/dense --upcycle 8 --by drop",
    "  deno task convert results/compare/runs/languages-switch-seed0 --prune 6,3 --by saliency",
    "  deno task experiments --from languages-switch-seed0-pruned --steps 100",
  ],
};

/** Which way, and what by. */
export interface Conversion {
  readonly way: Way;
  /** One count for all mixtures, or one for each. */
  readonly counts: readonly number[];
  readonly by: string;
}

/** @throws {RangeError} when none or several ways are asked for, or an option is of another way. */
export function readConversion(words: Words): Conversion {
  const asked = (Object.keys(ways) as Way[]).filter((way) => valueOf(words, way) !== null);
  if (asked.length !== 1) {
    throw new RangeError(
      `Cannot convert in ${asked.length === 0 ? "no way" : `${asked.length} ways at once`}: give one of --${
        Object.keys(ways).join(", --")
      }`,
    );
  }
  const [way] = asked;
  const others: Readonly<Record<Way, readonly string[]>> = {
    upcycle: ["batches"],
    prune: ["parts", "share", "layers", "router", "set", "seed"],
    merge: ["parts", "share", "layers", "router", "set", "seed"],
  };
  const strange = others[way].find((option) => words.values[option].length > 0) ??
    (words.flags.unaligned && way !== "merge" ? "unaligned" : undefined);
  if (strange !== undefined) {
    throw new RangeError(`Cannot use --${strange} with --${way}: it is of another way`);
  }
  const by = valueOf(words, "by") ?? ways[way][0];
  if (!ways[way].some((name) => name === by)) {
    throw new RangeError(`Cannot use --by ${by} with --${way}: there are ${ways[way].join(", ")}`);
  }
  const counts = valueOf(words, way)!.split(",").map((each) => wholeNumber(way, each, 1));
  if (way === "upcycle" && counts.length > 1) {
    throw new RangeError(`Cannot use --upcycle ${counts.join(",")}: choose one number for all layers`);
  }
  return { way, counts, by };
}

/** Numbers that upcycling takes. @throws {RangeError} when one is out of range. */
export function readUpcycling(words: Words) {
  const share = numberOf(words, "share") ?? 0.5;
  if (!(share >= 0 && share <= 1)) {
    throw new RangeError(`Cannot use --share ${share}: choose a number from 0 to 1`);
  }
  return {
    parts: wholeNumberOf(words, "parts", 1) ?? 1,
    share,
    layers: wholeNumbersOf(words, "layers", 0),
    seed: wholeNumberOf(words, "seed", 0) ?? 0,
  };
}
