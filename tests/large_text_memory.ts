// Run by large_text_test.ts in a process of its own: loads a file of the given size as bytes, reads training batches and
// says by how much resident memory grew at its most, after a small file has warmed everything up.
import { loadText } from "../tasks/text.ts";
import { random } from "../tensor/random.ts";

const [folder, size] = Deno.args;
const MiB = 2 ** 20;
const LENGTH = 4096;
const BATCH = 4;
const STEPS = 500;

/** A file in which each window of LENGTH bytes begins with its number. */
function numbered(mebibytes: number): string {
  const path = `${folder}/${mebibytes}`;
  using file = Deno.openSync(path, { write: true, createNew: true });
  const chunk = new Uint8Array(MiB).fill(32);
  for (let window = 0; window < mebibytes * MiB / LENGTH;) {
    for (let at = 0; at < MiB; at += LENGTH) {
      new TextEncoder().encodeInto(String(window++).padStart(8, "0"), chunk.subarray(at));
    }
    file.writeSync(chunk);
  }
  return path;
}

/** Loads a file and reads batches; gives the bytes held out and how many windows were those of the epoch's order. */
async function readIt(path: string): Promise<{ readonly held: number; readonly right: number }> {
  const options = { corpus: path, unit: "bytes", vocabulary: null, validationShare: 0.1 } as const;
  const { facts, trainingExamples, evaluationExamples } = await loadText(options, 0);
  const windows = Math.floor((facts["training tokens"] - 1) / LENGTH);
  const order = random(1).split("order").split(0).permutation(windows);
  const batchOf = trainingExamples({ batch: BATCH, length: LENGTH, random: random(1) });
  let right = 0;
  for (let step = 0; step < STEPS; step++) {
    const { tokenId } = batchOf(step);
    for (let row = 0; row < BATCH; row++) {
      const number = Number(String.fromCharCode(...tokenId.subarray(row * LENGTH, row * LENGTH + 8)));
      if (number === order[step * BATCH + row]) right++;
    }
  }
  evaluationExamples({ batch: 16, length: 64 });
  return { held: facts["validation tokens"], right };
}

const warm = numbered(32);
await readIt(warm);
await readIt(warm);
const large = numbered(Number(size));
const before = Deno.memoryUsage().rss;
let most = before;
const watch = setInterval(() => most = Math.max(most, Deno.memoryUsage().rss), 5);
const found = await readIt(large);
clearInterval(watch);
most = Math.max(most, Deno.memoryUsage().rss);
console.log(JSON.stringify({ ...found, grown: (most - before) / MiB }));
