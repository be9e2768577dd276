// `deno task gpu:check`: what it refuses, what it says of made-up findings, and a small run on whatever adapter there is.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { parseHTML } from "linkedom";
import { createCollector } from "../bench/gpu_check/calls.ts";
import { renderGpuCheck } from "../bench/gpu_check/page.ts";
import { type GpuCheck, gpuCheckSchema } from "../bench/gpu_check/schema.ts";
import { claims, slowLines, tablesOf, wrongLines } from "../bench/gpu_check/words.ts";
import { wrongCases } from "../bench/kernel_cases.ts";
import { binary } from "../kernels/binary/kernel.ts";
import { shapeText } from "../kernels/kernel.ts";
import { gpuTest, openGpu } from "./gpu.ts";
import { madeUpCheck as found } from "./made_up_gpu_check.ts";
import { runTask } from "./task_command.ts";

Deno.test("kernels below half their roofline have a line each, the worst first", () => {
  assertEquals(gpuCheckSchema.parse(found), found);
  assertEquals(slowLines(found), [
    "count reaches 10.0% of its roofline: 0.0100 ms for 0.0010 ms, [2, 3], [3, 4]; a dispatch alone takes 0.0100 ms.",
    "matmul reaches 25.0% of its roofline: 4.00 ms for 1.00 ms, [2, 3], [3, 4].",
  ]);
  assertEquals(slowLines({ ...found, adapter: { ...found.adapter, software: true } }), []);
  assertEquals(wrongLines(found), []);
  const said = claims(found).join("\n");
  assertStringIncludes(said, "Made <up> is a hardware adapter.");
  assertStringIncludes(said, "4 kernels were compared with their f64 references, on 16 cases and 2 calls");
  assertStringIncludes(said, "Not done: the same block in PyTorch: it has no PyTorch.");
});

Deno.test("what is wrong, apart or failed is said, and a software adapter's times are called nothing", () => {
  const [first, ...rest] = found.kernels;
  const worse: GpuCheck = {
    ...found,
    adapter: { ...found.adapter, software: true },
    kernels: [{ ...first, wrong: ["matmul, output 0 of shape [2]: 1 of 2 values are off"] }, ...rest],
    compared: found.compared.map((each) => ({ ...each, apart: NaN })),
    failed: ["the kernel where: the device was lost"],
  };
  assertEquals(wrongLines(worse), [
    "Failed: the kernel where: the device was lost.",
    "Wrong: matmul, output 0 of shape [2]: 1 of 2 values are off.",
    "Apart: a block, half precision: losses differ by NaN, more than 0.01.",
  ]);
  assertStringIncludes(claims(worse).join("\n"), "its times say nothing about a GPU");
});

Deno.test("the page shows every table and the roofline, and escapes names", () => {
  const html = renderGpuCheck(found);
  const { document } = parseHTML(html) as unknown as {
    document: { querySelectorAll(text: string): Iterable<{ textContent: string }> };
  };
  const texts = (selector: string) =>
    [...document.querySelectorAll(selector)].map((each) => each.textContent);
  assertEquals(texts("h1"), ["GPU check: Made <up>"]);
  assertEquals(texts("h2").slice(1), tablesOf(found).map(({ title }) => title));
  assertEquals(texts("svg.plot").length, 1);
  assert(!/NaN|undefined|Made <up>/.test(html.replaceAll(/<script[\s\S]*?<\/script>/g, "")));
});

gpuTest("a collector keeps the largest matching call of each kernel, with its inputs", async () => {
  const backend = await openGpu()();
  const collector = createCollector((_, bytes) => bytes <= 64);
  for (const size of [2, 8, 4, 64]) {
    const inputs = [1, 2].map((value) => backend.upload(new Float32Array(size).fill(value), [size]));
    const params = { op: "add" } as const;
    const outputs = backend.run(binary, inputs, params);
    collector.see(backend, { kernel: binary, inputs, outputs, params, over: false, seconds: 0 });
    for (const buffer of [...inputs, ...outputs]) backend.free(buffer);
  }
  const kept = collector.calls.get("binary")!;
  assertEquals(kept.types.map(({ shape }) => shapeText(shape)), ["[8]", "[8]"]);
  assertEquals(await kept.inputs, [new Float32Array(8).fill(1), new Float32Array(8).fill(2)]);
});

gpuTest("a kernel whose program is not what its reference says is found out", async () => {
  const backend = await openGpu()();
  const [first] = binary.cases;
  assertEquals(await wrongCases(backend, binary, [first]), []);
  const other: typeof binary = {
    ...binary,
    reference(inputs, outputs, types, params) {
      binary.reference(inputs, outputs, types, params);
      outputs[0][0] += 1;
    },
  };
  const wrong = await wrongCases(backend, other, [first]);
  assert(wrong.length >= 1 && wrong[0].startsWith(`binary, ${first.about}, WebGPU, output 0 of `), wrong[0]);
});

Deno.test("what cannot be checked is refused before anything is opened", async () => {
  for (
    const [words, reason] of [
      [["--only", "speed"], 'Cannot check only "speed": there are kernels, products, block, steps, pytorch'],
      [["--seconds", "0"], "Cannot use --seconds 0: choose a whole number of at least 1"],
      [["--gpu"], 'Cannot use "--gpu": deno task gpu:check has'],
    ] as const
  ) {
    const { code, out, error } = await runTask("gpu:check", words);
    assertEquals([code, out], [1, ""]);
    assertStringIncludes(error, reason);
  }
});

gpuTest("a small run writes what it finds, and a Python without CUDA is named", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const words = ["--only", "block,pytorch", "--out", folder, "--json", "--python", "no-such-python"];
    const { code, out, error } = await runTask("gpu:check", words);
    assertEquals(code, 0, error);
    const result = gpuCheckSchema.parse(JSON.parse(out));
    assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/gpu_check.json`)), result);
    assertEquals(result.parts, ["block", "pytorch"]);
    assertEquals(result.compared.map(({ precision }) => precision), ["full", "half"]);
    for (const { apart, allowed } of result.compared) assert(apart <= allowed);
    const [full, half] = result.compared.map(({ apart }) => apart);
    // 16-bit operands round far more coarsely.
    assert(half > full && full < 1e-5, `${full} in full and ${half} in half precision`);
    assertEquals([result.kernels, result.products, result.pytorch], [[], [], null]);
    assert(result.roof.flopPerSecond > 0 && result.roof.launchSeconds > 0);
    assert(result.leftOut.some((what) => what.includes("no-such-python cannot be started")));
    const page = await Deno.readTextFile(`${folder}/gpu_check.html`);
    if (result.adapter.software) assertStringIncludes(page, "is a software adapter: everything was small");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
