// Words that experts promote: those whose scores an expert's mean output raises most, in one seed, and over seeds how many
// of them an expert of another seed promotes too.
import type { LayerChoices } from "../training/record.ts";
import { folds } from "./folds.ts";
import { type Content, type Markup, markup, table } from "./markup.ts";
import { fixed } from "./numbers.ts";
import type { Series } from "./series.ts";
import { mean } from "./statistics.ts";
import { wordList } from "./word_list.ts";

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
 * Share of an expert's words that the most similar expert of the same layer in another seed promotes too, mean over the
 * experts of both: one number for each layer and pair of seeds.
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

function overSeeds(series: readonly Series[], random: Series | undefined): Content {
  const rowOf = ({ name, runs }: Series) => {
    const shares = sharedWords(runs.map(({ end }) => end.choices ?? []));
    if (shares.length === 0) return null;
    const [low, high] = [Math.min(...shares), Math.max(...shares)];
    return [name, fixed(mean(shares), 2), `${fixed(low, 2)} to ${fixed(high, 2)}`];
  };
  const chance = random ? rowOf(random) : null;
  const rows = [...series.map(rowOf), chance].filter((row) => row !== null);
  if (rows.length === 0) return null;
  return [
    markup`<p class="meta">${
      chance
        ? "Under random routing experts share words by chance alone; a router's share means something only above that row."
        : "Random routing, which would say how many words are shared by chance, was not recorded here, so these shares say little alone."
    }</p>`,
    table(
      "Share of an expert's words that the most similar expert of another seed promotes too",
      ["Router", "Mean", "Lowest to highest, by layer and pair of seeds"],
      rows,
    ),
  ];
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

/**
 * Words that experts promote; null where no run recorded any, as where the output is no vocabulary.
 * @param random The control of random routing, if it was run.
 */
export function promotedWords(series: readonly Series[], random: Series | undefined): Content {
  const found = series.filter(({ runs: [run] }) => withWords(run.end.choices).length > 0);
  if (found.length === 0) return null;
  const seeds = [...new Set(found.map(({ runs }) => runs[0].header.seed))];
  return markup`<h3>Words that experts promote</h3><p class="meta">Words of the vocabulary whose scores the mean output of an
expert (over the held-out tokens on which it weighs most) raises most above the mean output of its layer, as if no layer came
after it. ${
    seeds.length === 1
      ? `Tables of words: seed ${seeds[0]}`
      : "Tables of words: the first finished seed of each"
  }. A dash is an expert that weighs most on no token.</p>${overSeeds(found, random)}${folds(found, ofSeed)}`;
}
