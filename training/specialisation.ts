// What experts take on: counts of expert by label and by word over held-out examples, and the mutual information between
// expert and label.
import { rowsOf } from "../models/spec.ts";
import type { EvaluationExamples, TaskData } from "../tasks/task.ts";
import type { Specialisation } from "./record.ts";

/** Counts of one layer. */
export interface SpecialisationCounter {
  /** Adds one batch: for each assignment, its token and the expert that kept it (-1 = none). */
  add(batch: SpecialisationBatch): void;
  finish(): Specialisation;
}

/** One batch of held-out examples as a layer routed it. */
export interface SpecialisationBatch extends Pick<EvaluationExamples, "tokenId" | "labels"> {
  readonly token_N: Int32Array;
  readonly expert_N: Int32Array;
  /** First experts that every token goes to: they tell nothing of a token, and are not counted. */
  readonly shared: number;
}

const WORDS = 8;
const LEAST_OCCURRENCES = 20;

/** Starts counting one layer of E experts. */
export function countSpecialisation(layer: number, E: number, data: TaskData): SpecialisationCounter {
  const table = (columns: number) => Array.from({ length: E }, () => new Array<number>(columns).fill(0));
  const byLabel = data.labels.map(({ names }) => table(names.length));
  const words = Array.from({ length: rowsOf(data.input) }, (_, id) => data.nameOf(id));
  const byWord = table(words.length);
  return {
    add({ token_N, expert_N, shared, tokenId, labels }) {
      for (let n = 0; n < expert_N.length; n++) {
        const expert = expert_N[n];
        if (expert < shared) continue;
        const token = token_N[n];
        byWord[expert][tokenId[token]]++;
        labels.forEach((label_T, at) => {
          if (label_T[token] >= 0) byLabel[at][expert][label_T[token]]++;
        });
      }
    },
    finish: () => ({
      layer,
      labels: data.labels.map(({ name, names }, at) => ({
        name,
        names,
        counts: byLabel[at],
        information: mutualInformation(byLabel[at]),
      })),
      words: favouriteWords(byWord, words),
    }),
  };
}

/**
 * Mutual information of row and column of a table of counts, in nats, with the Miller-Madow correction for finite
 * counts (Miller 1955): H is raised by (occupied cells - 1) / 2n. Never below 0.
 * @example
 * ```ts
 * import { mutualInformation } from "@switchyard/moe/training";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * assertEquals(mutualInformation([[50, 50], [50, 50]]), 0);
 * assertAlmostEquals(mutualInformation([[50, 0], [0, 50]]), Math.log(2) + 1 / 200);
 * ```
 */
export function mutualInformation(table: readonly (readonly number[])[]): number {
  const rows = table.map((row) => row.reduce((sum, value) => sum + value, 0));
  const columns = (table[0] ?? []).map((_, at) => table.reduce((sum, row) => sum + row[at], 0));
  return Math.max(0, entropy(rows) + entropy(columns) - entropy(table.flat()));
}

function entropy(counts: readonly number[]): number {
  const total = counts.reduce((sum, value) => sum + value, 0);
  if (total === 0) return 0;
  let plain = 0;
  let occupied = 0;
  for (const count of counts) {
    if (count === 0) continue;
    occupied++;
    plain -= count / total * Math.log(count / total);
  }
  return plain + (occupied - 1) / (2 * total);
}

/** Words an expert takes most above their share, among words seen often enough, by how surprising that is. */
function favouriteWords(
  byWord: readonly (readonly number[])[],
  words: readonly (string | null)[],
): string[][] {
  const total = words.map((_, word) => byWord.reduce((sum, row) => sum + row[word], 0));
  const all = total.reduce((sum, value) => sum + value, 0);
  return byWord.map((row) => {
    const share = row.reduce((sum, value) => sum + value, 0) / all;
    return row
      .map((count, word) => ({
        word,
        surprise: (count - share * total[word]) / Math.sqrt(share * total[word] + 1),
      }))
      .filter(({ word, surprise }) =>
        words[word] !== null && total[word] >= LEAST_OCCURRENCES && surprise > 0
      )
      .sort((a, b) => b.surprise - a.surprise || a.word - b.word)
      .slice(0, WORDS)
      .map(({ word }) => words[word]!);
  });
}
