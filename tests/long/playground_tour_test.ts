// What the playground's tour promises is what its states train to.
import { assert, assertEquals } from "@std/assert";
import { tourSteps } from "../../playground/tour/steps.ts";
import type { EndRow, RecordRow, StepRow } from "../../training/record.ts";
import { recordsOf } from "../trained_here.ts";

/** A step's router over the last twenty steps of its run. */
interface Trained {
  readonly loss: number;
  /** Share of the assignments asked for, by expert. */
  readonly share_E: readonly number[];
  readonly droppedShare: number;
}

const LAST = 20;

async function trainedAt(title: string): Promise<Trained[]> {
  const step = tourSteps("").find((each) => each.title === title);
  assert(step, title);
  const rows = (await recordsOf(step.address)).trim().split("\n").map((line): RecordRow => JSON.parse(line));
  const ends = rows.flatMap((row, at) => row.kind === "end" ? [at] : []);
  return ends.map((end, at) => trainedIn(rows.slice(at === 0 ? 0 : ends[at - 1] + 1, end + 1)));
}

function trainedIn(rows: readonly RecordRow[]): Trained {
  const layers = rows.filter((row): row is StepRow => row.kind === "step").slice(-LAST)
    .map(({ layers }) => layers.at(-1)!);
  assertEquals(layers.length, LAST);
  const load_E = layers[0].wanted.map((_, expert) =>
    layers.reduce((sum, { wanted }) => sum + wanted[expert], 0)
  );
  const all = load_E.reduce((sum, load) => sum + load);
  return {
    loss: (rows.at(-1) as EndRow).loss,
    share_E: load_E.map((load) => load / all),
    droppedShare: layers.reduce((sum, each) => sum + each.droppedShare, 0) / LAST,
  };
}

const inUse = ({ share_E }: Trained) => share_E.filter((share) => share > 0.05).length;

Deno.test("most topics have an expert of their own, and the loss is far below chance", async () => {
  const [trained] = await trainedAt("What routing is");
  assert(trained.loss < Math.log(8) / 2, `${trained.loss}`);
  // Each topic is an eighth of the tokens.
  const alone = trained.share_E.filter((share) => Math.abs(share - 1 / 8) < 0.02).length;
  assert(alone > 8 / 2 - 1, `${trained.share_E}`);
});

Deno.test("without a balance loss one or two experts take nearly everything, with it more", async () => {
  const [collapsed] = await trainedAt("Collapse");
  const [without, withLoss] = await trainedAt("The balance loss");
  assertEquals(without, collapsed);
  const [most, second] = [...collapsed.share_E].sort((a, b) => b - a);
  assert(most + second > 0.95, `${collapsed.share_E}`);
  assert(inUse(withLoss) > inUse(without), `${withLoss.share_E}, ${without.share_E}`);
});

Deno.test("half a share of capacity drops half of the tokens, two drop few", async () => {
  const [little, much] = await trainedAt("Capacity and drops");
  assert(little.droppedShare >= 0.5, `${little.droppedShare}`);
  assert(much.droppedShare < little.droppedShare / 2, `${much.droppedShare}`);
});

Deno.test("two experts of half the width learn more than one at equal cost", async () => {
  const [one, two] = await trainedAt("Top-1 against top-2");
  assertEquals([one, two].map(({ share_E }) => share_E.length), [8, 16]);
  assert(two.loss < one.loss, `${two.loss}, ${one.loss}`);
});
