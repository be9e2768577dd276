// What a bench found as tables of text: the same tables go to a terminal and onto the page.
import Table from "cli-table3";
import { mixtureStages } from "../training/record.ts";
import { captionOf, type Spread } from "./rounds.ts";
import type { Row } from "./rows.ts";
import { layerText } from "./layer.ts";
import type { BenchResult } from "./schema.ts";

/** A table with what its columns mean. */
export interface TextTable {
  readonly title: string;
  /** What its figures are: how many rounds, which range. */
  readonly caption: string;
  readonly about: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

const NONE = "-";

/** A median with its range, if there is one, in units of `unit`. */
export function shown(
  spread: Spread | undefined,
  unit: number,
  digits = !spread || spread.median / unit < 1 ? 3 : spread.median / unit < 100 ? 1 : 0,
): string {
  if (!spread) return NONE;
  const [middle, low, high] = [spread.median, spread.least, spread.most].map((value) =>
    (value / unit).toFixed(digits)
  );
  return spread.least === spread.most ? middle : `${middle} [${low}, ${high}]`;
}

function share(spread: Spread | undefined): string {
  return spread ? spread.median.toFixed(2) : NONE;
}

function percent(spread: Spread | undefined): string {
  return spread ? `${(100 * spread.median).toFixed(spread.median < 0.0995 ? 1 : 0)}%` : NONE;
}

function mebibytes(spread: Spread | undefined): string {
  return spread ? (spread.most / 2 ** 20).toFixed(1) : NONE;
}

const forwardStages = [...mixtureStages, "rest"].map((stage) => [stage, `${stage}Share`] as const);
const otherPasses = [["backward", "backwardShare"], ["optimizer", "optimizerShare"], [
  "waiting",
  "readingShare",
]] as const;

/** All tables of a result. */
export function tablesOf({ rows, rounds, size, layer, profiled }: BenchResult): TextTable[] {
  const table = (
    title: string,
    about: string,
    group: Row["group"],
    columns: Readonly<Record<string, (figures: Row["figures"]) => string>>,
    caption = captionOf(rounds),
  ): TextTable => ({
    title,
    caption,
    about,
    columns: ["", "on", ...Object.keys(columns)],
    rows: rows.filter((row) => row.group === group).map(({ name, on, figures }) => [
      name,
      on,
      ...Object.values(columns).map((column) => column(figures)),
    ]),
  });
  const speed = {
    ms: ({ seconds }: Row["figures"]) => shown(seconds, 1e-3),
    "GFLOP/s": ({ flopPerSecond }: Row["figures"]) => shown(flopPerSecond, 1e9),
  };
  // Only devices that queue leave the program time of its own.
  const queues = rows.some(({ figures }) => "hostSeconds" in figures);
  const host = queues
    ? { "host ms": ({ hostSeconds }: Row["figures"]) => shown(hostSeconds, 1e-3) }
    : undefined;
  const aboutHost = queues ? " Host: the program's own time, all but waiting." : "";
  const moved = { "GB/s": ({ bytesPerSecond }: Row["figures"]) => shown(bytesPerSecond, 1e9) };
  const ofPeak = { "of peak": ({ ofPeak }: Row["figures"]) => share(ofPeak) };
  const ofBandwidth = { "of memory": ({ ofBandwidth }: Row["figures"]) => share(ofBandwidth) };
  const widths = layerText(layer);
  return [
    table(
      "Limits of this machine",
      "Multiply-adds in registers alone, and bytes read and written by a[i] = b[i] + x c[i] on arrays of that size " +
        "together. The peak is the best multiply-add; memory is the largest arrays.",
      "roof",
      { "GFLOP/s": speed["GFLOP/s"], ...moved },
    ),
    table(
      "Products of a step",
      `Plain products with the shapes of size ${size}, and two square ones. Bytes are every array once.`,
      "product",
      { ...speed, ...ofPeak, ...moved, ...ofBandwidth },
    ),
    table(
      "Grouped products",
      `Rows times their own expert's matrix, ${widths}, beside one plain product of as many rows. Skew: the load falls ` +
        "as 1 / rank^skew.",
      "grouped",
      { ...speed, ...ofPeak, ...moved, ...ofBandwidth },
    ),
    table(
      "MoE block, forward and backward",
      `${widths}, load given, no router. GFLOP/s counts the experts' products, one pass forward and two back.${aboutHost}`,
      "layer",
      { ...speed, ...host, ...ofPeak },
    ),
    table(
      "Steps of small models",
      "One layer on 512 tokens, and the language model at its small sizes, with switch. Kernels: what of a step their calls " +
        "take. Arithmetic: what of a step the operations of all kernels take at the peak of 128-bit multiply-adds.",
      "small",
      {
        ...speed,
        kernels: ({ kernelShare }) => percent(kernelShare),
        arithmetic: ({ ofPeak }) => percent(ofPeak),
      },
    ),
    table(
      "Training step by router",
      `Size ${size}. GFLOP/s counts three passes of the active FLOPs. Of one run: allocated are all arrays made in a ` +
        "step; grown is by how much memory grew in all steps counted; peak are arrays at once; in all adds gaps between " +
        `them and, on the CPU, scratch of each thread.${aboutHost}`,
      "step",
      {
        ...speed,
        ...host,
        ...ofPeak,
        "MiB allocated": ({ allocatedBytes }) => mebibytes(allocatedBytes),
        "MiB grown": ({ grownBytes }) => mebibytes(grownBytes),
        "MiB at the peak": ({ peakBytes }) => mebibytes(peakBytes),
        "MiB in all": ({ heldBytes }) => mebibytes(heldBytes),
      },
    ),
    table(
      "Where a step's time goes",
      "Shares of a step: the forward pass by stage, then the other passes whole. Last: what routing takes of the MoE " +
        "blocks' own time, forward and backward. A GPU works while the program waits: there the other parts are queueing.",
      "step",
      {
        ...Object.fromEntries([...forwardStages, ...otherPasses].map(([title, name]) => [
          title,
          (figures: Row["figures"]) => percent(figures[name]),
        ])),
        "routing / MoE blocks": ({ routingShare }) => percent(routingShare),
      },
      captionOf(rounds, false),
    ),
    table(
      "Kernels of a step",
      `A step of size ${size} with ${profiled}. Share of all kernels' time; of roof: what the calls take at the machine's limits (the ` +
        "longer of arithmetic at the peak and bytes at the bandwidth of arrays that size) over what they took.",
      "kernel",
      {
        calls: ({ calls }) => calls.median.toFixed(0),
        ms: ({ seconds }) => seconds ? (seconds.median * 1e3).toFixed(3) : NONE,
        share: (figures) => percent(figures.share),
        "GFLOP/s": speed["GFLOP/s"],
        ...moved,
        "of roof": ({ ofRoof }) => share(ofRoof),
      },
      "Means over the steps of one profile",
    ),
  ].filter(({ rows }) => rows.length > 0);
}

/** A table for a terminal, without colours, so that it reads the same in a log. */
export function printed({ title, caption, about, columns, rows }: TextTable): string {
  const table = new Table({
    head: [...columns],
    colAligns: columns.map((_, at) => at < 2 ? "left" : "right"),
    chars: { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" },
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows.map((row) => [...row]));
  return `\n${title}\n${table}\n${caption}. ${about}`;
}
