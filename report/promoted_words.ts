// Which words experts speak for: those that an expert's mean output raises most, of one seed, and over seeds how many of
// them an expert of another seed speaks for too.
import type { LayerChoices } from "../training/record.ts";
import { folds, wordList } from "./folds.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { fixed } from "./numbers.ts";
import type { Series } from "./series.ts";
import { mean } from "./statistics.ts";

type WithWords = LayerChoices & { readonly promoted: readonly (readonly string[])[] };

function withWords(choices: readonly LayerChoices[] = []): WithWords[] {
  return choices.filter((layer): layer is WithWords =>
    layer.promoted?.some((words) => words.length > 0) ?? false
  );
}

/** Words of experts that have some, those that every token goes to left out. */
function ofExperts({ promoted, shared }: WithWords): (readonly string[])[] {
  return promoted.slice(shared).filter((words) => words.length > 0);
}

/**
 * Share of an expert's words that the most alike expert of another seed's mixture in the same place speaks for too, mean
 * over experts: one number a pair of seeds, each seen from both sides, and a mixture.
 */
export function sharedWords(runs: readonly (readonly LayerChoices[])[]): number[] {
  const layers = runs.map((choices) => withWords(choices));
  return layers.flatMap((ones, at) =>
    layers.slice(at + 1).flatMap((others) =>
      ones.flatMap((one) => {
        const other = others.find(({ layer }) => layer === one.layer);
        if (!other) return [];
        const [here, there] = [ofExperts(one), ofExperts(other)];
        const most = (from: typeof here, to: typeof here) =>
          from.map((words) =>
            Math.max(
              0,
              ...to.map((against) => words.filter((word) => against.includes(word)).length / words.length),
            )
          );
        return here.length + there.length === 0 ? [] : [mean([...most(here, there), ...most(there, here)])];
      })
    )
  );
}

function overSeeds(series: readonly Series[]): Markup | null {
  const rows = series.flatMap(({ name, runs }) => {
    const shares = sharedWords(runs.map(({ end }) => end.choices ?? []));
    return shares.length === 0 ? [] : [[
      name,
      fixed(mean(shares), 2),
      `${fixed(Math.min(...shares), 2)} to ${fixed(Math.max(...shares), 2)}`,
    ]];
  });
  return rows.length === 0 ? null : table(
    "Of an expert's words, the share that the most alike expert of another seed speaks for too",
    ["Router", "Mean", "Pairs of seeds and mixtures, lowest to highest"],
    rows,
  );
}

function ofSeed({ name, runs: [run] }: Series): Markup {
  const tables = withWords(run.end.choices).map(({ layer, shared, promoted }) =>
    markup`<div>${
      table(
        `${name}, layer ${layer}: words`,
        ["Expert", "Words that its output raises most"],
        promoted.map((words, expert) => [expert, wordList(words)]).slice(shared),
        "text",
      )
    }</div>`
  );
  return markup`<div class="grid">${tables}</div>`;
}

/** What experts speak for; null where no run recorded it, as where the output is no vocabulary. */
export function promotedWords(series: readonly Series[]): Content {
  const found = series.filter(({ runs: [run] }) => withWords(run.end.choices).length > 0);
  if (found.length === 0) return null;
  const seeds = [...new Set(found.map(({ runs }) => runs[0].header.seed))];
  return markup`<h3>What experts speak for</h3><p class="meta">Words of the vocabulary whose scores the mean output of an expert
(over the held-out tokens on which it weighs most) raises most above the mean output of its mixture, as if no layer came after
it. ${
    seeds.length === 1
      ? `Tables of words: seed ${seeds[0]}`
      : "Tables of words: the first finished seed of each"
  }. A dash is an expert that weighs most on no token.</p>${overSeeds(found)}${folds(found, ofSeed)}`;
}
