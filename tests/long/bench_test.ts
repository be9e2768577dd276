// The benches run, and check what they time; how fast is their own affair.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseHistory } from "../../bench/history_entries.ts";
import { renderBench } from "../../bench/page.ts";
import { renderScaling } from "../../bench/scaling/page.ts";
import { scalingSchema } from "../../bench/scaling/schema.ts";
import { scalingTables } from "../../bench/scaling/tables.ts";
import { benchSchema } from "../../bench/schema.ts";
import { tablesOf } from "../../bench/tables.ts";
import { assertClose, run } from "../bench_command.ts";

const root = new URL("../../", import.meta.url);

const short = ["--rounds", "1", "--steps", "2", "--size", "tiny", "--layer", "64,16,32,4,2"];

Deno.test("bench: one short round gives every figure, with a spread and in base units", async () => {
  const { code, out, error } = await run(
    "bench",
    ...short,
    "--routers",
    "switch,hash",
    "--threads",
    "1,2",
    "--json",
  );
  assertEquals([code, error], [0, ""]);
  const result = benchSchema.parse(JSON.parse(out));
  const { rows, checked, size, layer } = result;
  assertEquals([size, layer], ["tiny", { T: 64, D: 16, F: 32, E: 4, K: 2 }]);
  for (const kernel of ["matmul", "grouped_matmul", "attention", "adamw", "top_k"]) {
    assert(checked.includes(kernel), `${kernel} was not checked`);
  }
  const find = (group: string, name: string, on: string) => {
    const found = rows.find((row) => row.group === group && row.name === name && row.on === on);
    assert(found, `no ${group} ${name} on ${on}`);
    return found.figures;
  };
  for (const on of ["1 thread", "2 threads"]) {
    assert(find("roof", "plain multiply-add", on).flopPerSecond.median > 0);
    assert(find("roof", "256 MiB", on).bytesPerSecond.median > 0);
    assert(find("product", "logits", on).ofPeak.median > 0);
    assert(find("grouped", "4 matrices, skew 0.9", on).flopPerSecond.median > 0);
    // 64 tokens, 2 experts each, 4 D F operations, one pass forward and two back.
    const layer = find("layer", "skew 0.5", on);
    assertClose(layer.flopPerSecond.median * layer.seconds.median, 3 * 64 * 2 * 4 * 16 * 32);
    const step = find("step", "switch", on);
    const shares = ["route", "dispatch", "experts", "combine", "rest", "backward", "optimizer", "reading"]
      .map((part) => step[`${part}Share`].median);
    assert(shares.every((share) => share > 0 && share < 1), `shares ${shares}`);
    assertClose(shares.reduce((sum, share) => sum + share), 1);
    assert(step.routingShare.median > 0 && step.routingShare.median < 1);
    assert(step.peakBytes.median > step.allocatedBytes.median / 10 && step.allocatedBytes.median > 0);
    assertEquals(step.grownBytes.median, 0, "memory stays as it is after the first steps");
    // 8 x 32 tokens of the tiny size, three passes.
    const flop = step.flopPerSecond.median * step.seconds.median / (3 * 8 * 32);
    assertClose(flop, Math.round(flop));
    const kernels = rows.filter((row) => row.group === "kernel" && row.on === on);
    assertClose(kernels.reduce((sum, { figures }) => sum + figures.share.median, 0), 1);
    assertEquals(
      find("kernel", "adamw", on).calls.median,
      1,
      "one update for all parameters",
    );
  }
  const html = renderBench(result);
  const tables = tablesOf(result);
  for (const { title } of tables) assertStringIncludes(html, title.replace("'", "&#39;"));
  // One round has no range, and the kernels are those of the first router asked for.
  assertEquals(result.profiled, "switch");
  assertStringIncludes(tables.find(({ title }) => title === "Kernels of a step")!.about, "with switch.");
  assert(!/\[\d|1 rounds|over rounds/.test(JSON.stringify(tables)), "a range of one round");
  for (
    const plot of ["Milliseconds of a step on 1 thread", "Roofline of the kernels of a step on 2 threads"]
  ) {
    assertStringIncludes(html, `role="img" aria-label="${plot}"`);
  }
  assert(!/undefined|NaN/.test(html), "a figure is missing");
});

Deno.test("bench:scaling: a quick run gives every curve, exponent and ratio", async () => {
  const { code, out, error } = await run("bench:scaling", "--quick", "--json", "--threads", "2");
  assertEquals([code, error], [0, ""]);
  const result = scalingSchema.parse(JSON.parse(out));
  assertEquals(result.curves.map(({ name }) => name), ["tokens", "experts", "width", "choices", "threads"]);
  for (const { name, points, time, memory } of result.curves) {
    assertEquals([points.length, time!.interval], [name === "threads" ? 2 : 3, null]);
    assert(points.every(({ peakBytes }) => peakBytes > 2 ** 20) && Number.isFinite(memory!.value), name);
  }
  // Memory is no matter of speed: that of 16 times the tokens is more, that of 16 times the experts not 16 times more.
  const [tokens, experts] = result.curves;
  assert(tokens.points[2].peakBytes > 2 * tokens.points[0].peakBytes);
  assert(experts.points[2].peakBytes < 2 * experts.points[0].peakBytes);
  assertEquals(result.grouped.map(({ E }) => E), [8, 8, 8, 16, 16, 16, 32, 32, 32]);
  assertEquals(result.layers.map(({ E }) => E), [8, 16, 32]);
  assertEquals(result.layers[0].ratio.median, 1);
  assertEquals(result.layerSize.T * result.layerSize.K / 32, 32, "rows an expert at the most experts");
  assertEquals(result.memory.map(({ size }) => size), ["tiny"]);
  // Scratch is memory, and no array.
  const [one, two] = result.curves[4].points;
  assertEquals(one.peakBytes, two.peakBytes, "arrays do not depend on threads");
  for (const { peakBytes, heldBytes } of [one, two, ...result.memory]) assert(peakBytes < heldBytes);
  assert(!/\[\d|1 rounds|over rounds/.test(JSON.stringify(scalingTables(result))), "a range of one round");
  const html = renderScaling(result);
  for (const { title } of scalingTables(result).filter(({ title }) => title !== "Curves")) {
    assertStringIncludes(html, title);
  }
  for (const { name } of result.curves) assertStringIncludes(html, `aria-label="milliseconds by ${name}"`);
  const claims = html.match(/With \w+, time grows to the power -?[\d.]+, memory to -?[\d.]+\./g);
  assertEquals(claims?.length, 4, "what two points say is no claim");
  assert(!/undefined|NaN/.test(html), "a figure is missing");
});

Deno.test("bench:history: comparing prints every ratio and leaves the record alone", async () => {
  const record = new URL("bench/history.jsonl", root);
  const before = await Deno.readTextFile(record);
  parseHistory(before, "bench/history.jsonl");
  const { code, out, error } = await run("bench:history", "--compare", "--rounds", "1");
  assertEquals([code, error], [0, ""]);
  for (
    const name of ["product / multiply-add peak", "routing / MoE blocks", "TypeScript loop / WebAssembly"]
  ) {
    assertStringIncludes(out, `  ${name}`);
  }
  assertEquals(await Deno.readTextFile(record), before);
});

/** What `deno bench` says of those of a file's benches that a filter lets through; all of them ran. */
async function denoBench(file: string, filter: string) {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["bench", "--no-prompt", "--json", "--allow-read=bench", "--allow-env", "--filter", filter],
      `bench/${file}`,
    ],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  const { benches } = JSON.parse(new TextDecoder().decode(stdout)) as {
    benches: { name: string; baseline: boolean; group: string | null; results: { ok?: unknown }[] }[];
  };
  assert(benches.every(({ results }) => results.every(({ ok }) => ok)));
  return benches.map(({ name, baseline, group }) => [name, baseline, group]);
}

Deno.test("deno bench: what is timed is checked, and compared with what does the same", async () => {
  const [routers, kernels, layer, step] = await Promise.all([
    denoBench("routers_bench.ts", "/^(hash|forced-balance)$/"),
    denoBench("kernels_bench.ts", "/^(top_k|adamw) /"),
    denoBench("layer_bench.ts", "forward and backward, skew 0.9"),
    denoBench("step_bench.ts", "/^switch$/"),
  ]);
  const ofRouters = "routers, T=1024 D=64, 8 experts a choice";
  assertEquals(routers, [["forced-balance", true, ofRouters], ["hash", false, ofRouters]]);
  assertEquals(kernels.map(([name, , group]) => [String(name).split(" ")[0], group]), [
    ["adamw", null],
    ["top_k", null],
  ]);
  assertEquals(layer, [
    ["forward and backward, skew 0.9", false, "MoE block, T=2048 D=256 F=1024 E=8 K=2"],
  ]);
  assertEquals(step, [["switch", true, "training step, size small"]]);
});
