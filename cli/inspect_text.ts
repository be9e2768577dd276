// An inspection in the terminal: the text coloured by expert, then tables.
import { textTable } from "../report/table.ts";
import { lift } from "../report/specialisation_plots.ts";
import { fixed, missing, percent } from "../report/numbers.ts";
import { quantile } from "../report/statistics.ts";
import type { Ratios } from "../report/heat_chart.ts";
import { partners } from "../report/expert_heat.ts";
import { firstExpert, type Inspection, type LayerInspection } from "../training/inspection.ts";
import { nearTie } from "../training/record.ts";

/** What names an inspection's tokens: one text each, and rows of the vocabulary. */
export interface Names {
  /** Text of each token, spaces included. */
  readonly texts: readonly string[];
  /** Places at which a sequence begins. */
  readonly starts: readonly number[];
  nameOf(row: number): string;
}

// Of the 256 colours of terminals, ones that black type can be read on, far from their neighbours.
const colors = [153, 216, 120, 218, 229, 183, 117, 210, 114, 250, 222, 159];

function painted(text: string, expert: number | null, colored: boolean): string {
  if (!colored) return `${text.trim() || "␣"}/${expert ?? "-"}`;
  if (expert === null) return `\x1b[9m${text}\x1b[0m`;
  return `\x1b[30;48;5;${colors[expert % colors.length]}m${text}\x1b[0m`;
}

/** Control characters of a text would be obeyed. */
function plain(text: string): string {
  return text.replace(/[^\P{Cc}\n]/gu, "�");
}

/** The first tokens of a layer, coloured or numbered by the expert that weighs most; struck out where none took them. */
export function coloredText(
  { tokens }: Inspection,
  { layer, E, shared }: LayerInspection,
  { texts, starts }: Names,
  most: number,
  colored: boolean,
): string {
  const shown = tokens.slice(0, most).map(({ layers }, t) => {
    const found = layers.find((each) => each.layer === layer)!;
    const text = painted(plain(texts[t]), firstExpert(found, shared), colored);
    return starts.includes(t) && t > 0 ? `\n${text}` : text;
  });
  const key = Array.from(
    { length: E - shared },
    (_, at) => painted(` ${at + shared} `, at + shared, colored),
  );
  return [
    `Layer ${layer}, by expert${colored ? `: ${key.join(" ")}` : " (number behind the token)"}`,
    shown.join(colored ? "" : " ").replaceAll(" \n", "\n") + (tokens.length > most ? " ..." : ""),
  ].join("\n");
}

function layerTable(layers: readonly LayerInspection[]): string {
  const rows = layers.map(({ layer, E, shared, tokens, margins, droppedShare }) => {
    const all = tokens.reduce((sum, count) => sum + count, 0);
    const most = tokens.indexOf(Math.max(...tokens));
    const at = (level: number) => margins ? fixed(quantile(margins, level), 2) : missing;
    return [
      String(layer),
      String(E - shared),
      String(shared),
      all === 0 ? missing : `${most}: ${percent(tokens[most] / all)}`,
      percent(droppedShare),
      at(0.25),
      at(0.5),
      at(0.75),
      margins ? percent(margins.filter((margin) => margin < nearTie).length / margins.length) : missing,
    ];
  });
  const titles = [
    "Layer",
    "Experts",
    "Shared",
    "Most tokens",
    "Dropped",
    "Margin 25%",
    "50%",
    "75%",
    `Below ${nearTie}`,
  ];
  return textTable(titles, rows);
}

/** Pairs that are most above chance, `2 → 5 (3.1×)`; those seen fewer than five times say nothing. */
function pairs(counts: readonly (readonly number[])[], ratios: Ratios, arrow: "→" | "with"): string {
  const found = ratios.flatMap((row, a) =>
    row.flatMap((ratio, b) => {
      const isTwin = arrow === "with" && a > b;
      return ratio !== null && ratio > 1 && counts[a][b] >= 5 && !isTwin ? [{ a, b, ratio }] : [];
    })
  ).sort((x, y) => y.ratio - x.ratio).slice(0, 5);
  return found.map(({ a, b, ratio }) => `${a} ${arrow} ${b} (${fixed(ratio, 1)}×)`).join(", ") ||
    "none above chance";
}

function sentences({ layers, flows }: Inspection): string[] {
  return [
    ...flows.map(({ from, to, counts, information }) =>
      `Layer ${from} to ${to}: the expert in the one tells ${
        fixed(information, 2)
      } nats about that in the other; most above ` +
      `chance: ${pairs(counts, lift(counts), "→")}.`
    ),
    ...layers.map(({ layer, together }) =>
      together.some((row) => row.some((count) => count > 0))
        ? `Layer ${layer}, experts of one token: most above chance: ${
          pairs(together, partners(together), "with")
        }.`
        : `Layer ${layer}: no token goes to two experts, so none work together.`
    ),
  ];
}

function promotedTable({ layer, shared, promoted }: LayerInspection, { nameOf }: Names): string | null {
  if (!promoted) return null;
  return `Layer ${layer}: what the output of an expert raises most above the layer's mean\n${
    textTable(
      ["Expert", "Words that it promotes"],
      promoted.map((rows, expert) => [
        String(expert),
        rows.map((row) => plain(nameOf(row))).join(" ") || missing,
      ])
        .slice(shared),
      "left",
    )
  }`;
}

/** All of it. */
export function inspectionText(
  inspection: Inspection,
  names: Names,
  { most, colored }: { readonly most: number; readonly colored: boolean },
): string {
  const { layers } = inspection;
  return [
    ...layers.map((layer) => coloredText(inspection, layer, names, most, colored)),
    layerTable(layers),
    `Margin: the largest probability minus the second, by token; below ${nearTie} the choice was nearly another.`,
    sentences(inspection).join("\n"),
    ...layers.flatMap((layer) => promotedTable(layer, names) ?? []),
  ].join("\n\n");
}
