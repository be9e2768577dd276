// What a scaling run found as tables of text.
import { layerText } from "../layer.ts";
import type { Exponent } from "./fit.ts";
import type { ScalingResult } from "./schema.ts";
import { captionOf, type Spread } from "../rounds.ts";
import { shown, type TextTable } from "../tables.ts";

/** `0.98 [0.95, 1.02]`. */
export function exponentText(exponent: Exponent | null): string {
  if (!exponent) return "-";
  const text = (value: number) => value.toFixed(2);
  const { value, interval } = exponent;
  return interval ? `${text(value)} [${text(interval[0])}, ${text(interval[1])}]` : text(value);
}

const ratioText = (ratio: Spread) => shown(ratio, 1, 2);

const mebibytes = (bytes: number) => (bytes / 2 ** 20).toFixed(1);

/** All tables of a result. */
export function scalingTables(result: ScalingResult): TextTable[] {
  const { rounds, threads, curves, grouped, groupedSize, layers, layerSize, memory } = result;
  const caption = captionOf(rounds);
  const { E: _, ...rest } = layerSize;
  const widths = Object.entries(rest).map(([name, value]) => `${name}=${value}`).join(" ");
  return [
    {
      title: "Exponents",
      caption: "Fitted to the medians below, with 95% intervals where there are points enough",
      about:
        "The power b of y = a x^b, by least squares on logarithms; an interval takes four points. Expected: of time, " +
        "when arithmetic alone decides.",
      columns: ["", "what stays", "range", "time", "expected", "memory"],
      rows: curves.map(({ name, about, points, time, expected, memory }) => [
        ...[name, about, `${points[0].value} to ${points[points.length - 1].value}`],
        ...[exponentText(time), String(expected), exponentText(memory)],
      ]),
    },
    {
      title: "Curves",
      caption,
      about:
        "An MoE block, forward and backward, load even. Peak: arrays at once, of a backend that did nothing else, in its " +
        "first pass; in all: with gaps between them and scratch of each thread.",
      columns: ["", "value", "ms", "GFLOP/s", "MiB at the peak", "MiB in all"],
      rows: curves.flatMap(({ name, points }) =>
        points.map(({ value, seconds, flopPerSecond, peakBytes, heldBytes }) => [
          ...[
            name,
            String(value),
            shown(seconds, 1e-3),
            (flopPerSecond / 1e9).toFixed(1),
            mebibytes(peakBytes),
            mebibytes(heldBytes),
          ],
        ])
      ),
    },
    {
      title: "Grouped products beside plain ones",
      caption,
      about: `Time over that of one plain product of as many rows, ${
        layerText({ ...groupedSize, E: 0 })
          .replace("E=0 ", "")
      }; the last expert has no row. 1.00 is free. ` +
        "Reading: what going through all matrices once takes of the plain product's time. Where an expert has few rows " +
        "neither that nor packing hides behind arithmetic.",
      columns: ["", "skew", "time over plain", "reading the matrices"],
      rows: grouped.map(({ E, skew, ratio, reading }) => [
        ...[`${E} experts`, String(skew), ratioText(ratio), ratioText(reading)],
      ]),
    },
    {
      title: "Blocks of more experts",
      caption,
      about:
        `Time of a block, forward and backward, over that of the fewest experts at equal active FLOPs, ${widths}. ` +
        "1.00 is flat.",
      columns: ["", "time over fewest"],
      rows: layers.map(({ E, ratio }) => [`${E} experts`, ratioText(ratio)]),
    },
    {
      title: "Memory of a training step",
      caption: "One run of four steps",
      about:
        "Counted by hand in bench/scaling/memory_by_hand.ts. The peak is of arrays at once and the same for any number of " +
        "threads; the ratio is that over parameters, optimizer and activations; gradients of parameters, which exist " +
        "together too, are in the ratio with them. In all: what memory was taken, with gaps between arrays and scratch of " +
        `each thread, here ${threads}.`,
      columns: [
        "",
        "router",
        "MiB at the peak",
        "parameters",
        "optimizer",
        "activations",
        "ratio",
        "gradients",
        "ratio with them",
        "MiB in all",
      ],
      rows: memory.map(({ size, router, peakBytes, heldBytes, byHand }) => {
        const { parameters, optimizer, activations, gradients } = byHand;
        const counted = parameters + optimizer + activations;
        return [
          ...[`size ${size}`, router, mebibytes(peakBytes)],
          ...[parameters, optimizer, activations].map(mebibytes),
          (peakBytes / counted).toFixed(2),
          mebibytes(gradients),
          (peakBytes / (counted + gradients)).toFixed(2),
          mebibytes(heldBytes),
        ];
      }),
    },
  ];
}
