// Which device an experiment takes: what was asked for, or with `auto` a GPU where there is one; the choice is one line
// and stands in every record.
import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { openDevice } from "../cli/device.ts";
import { plannedHeader } from "../training/run_rows.ts";
import { experiments, filesIn, inFolder } from "./experiments_command.ts";
import { adapter, gpuTest } from "./gpu.ts";
import { madeUpData, tinyConfig } from "./run_configs.ts";

/** Runs `body` on a machine without any adapter. */
async function withoutAdapter(body: () => Promise<void>): Promise<void> {
  const { requestAdapter } = GPU.prototype;
  GPU.prototype.requestAdapter = () => Promise.resolve(null);
  try {
    await body();
  } finally {
    GPU.prototype.requestAdapter = requestAdapter;
  }
}

/** Runs `body` on a machine whose adapter goes by another name and does not say of itself that it is software. */
async function withAdapterNamed(description: string, body: () => Promise<void>): Promise<void> {
  const prototype = GPUAdapterInfo.prototype;
  const facts = { description, isFallbackAdapter: false };
  const own = Object.getOwnPropertyDescriptors(prototype);
  for (const [name, value] of Object.entries(facts)) {
    Object.defineProperty(prototype, name, { ...own[name as keyof typeof facts], get: () => value });
  }
  try {
    await body();
  } finally {
    for (const name of Object.keys(facts) as (keyof typeof facts)[]) {
      Object.defineProperty(prototype, name, own[name]);
    }
  }
}

/** What `auto` says and computes on, and what a record would say. */
async function auto(blas = "off"): Promise<{ about: string; name: string; recorded: string }> {
  const { about, backend } = await openDevice("auto", { threads: 1, blas });
  const header = await plannedHeader(tinyConfig("switch"), { data: await madeUpData(), backend });
  backend.close();
  return { about, name: backend.name, recorded: header.arithmetic.device };
}

Deno.test("without an adapter auto is the CPU, and webgpu is refused with what to do", () =>
  withoutAdapter(async () => {
    const { about, name, recorded } = await auto();
    assertEquals([name, recorded], ["cpu", "cpu"]);
    assertMatch(about, /^the CPU with 1 thread[^\n]* \(no GPU found\)$/);
    await assertRejects(
      () => openDevice("webgpu", { threads: null, blas: "off" }),
      Error,
      "Cannot open WebGPU: there is no adapter. On Linux a Vulkan driver must be installed",
    );
  }));

gpuTest(
  "an adapter that computes on the CPU is not what auto takes, and it says so",
  () =>
    withAdapterNamed("llvmpipe (LLVM 15)", async () => {
      const { about, name, recorded } = await auto();
      assertEquals([name, recorded], ["cpu", "cpu"]);
      assertStringIncludes(about, " (no GPU found: llvmpipe (LLVM 15) computes on the CPU)");
    }),
);

gpuTest(
  "a hardware adapter is what auto takes, and records name it",
  () =>
    withAdapterNamed("Some GPU 4000", async () => {
      const { about, name, recorded } = await auto();
      assertEquals([name, recorded], ["webgpu", "Some GPU 4000"]);
      assertMatch(about, /^WebGPU on Some GPU 4000(, fused multiply-add)?$/);
      const asked = await auto("auto");
      assertStringIncludes(asked.about, " (not on BLAS auto, which computes on the CPU)");
    }),
);

Deno.test("a command with --device auto says what it runs on in a line, and every record names it", () =>
  inFolder(async (folder) => {
    const { code, out } = await experiments(
      ...["--device", "auto", "--routers", "switch,hash", "--seeds", "1", "--size", "tiny", "--steps", "2"],
      ...["--text", `${folder}/text.txt`, "--out", `${folder}/out`, "--no-controls"],
    );
    assertEquals(code, 0, out);
    const [on, device] = adapter && !adapter.software
      ? [`WebGPU on ${adapter.name}`, adapter.name]
      : ["the CPU", "cpu"];
    const [line] = out.split("\n").filter((each) => each.includes(" runs of 4 steps in all on "));
    assertStringIncludes(line, `2 runs of 4 steps in all on ${on}`);
    const headers = [...filesIn(`${folder}/out/runs`)].filter(([path]) => path.endsWith(".jsonl"))
      .map(([, text]) => JSON.parse(text.split("\n")[0]));
    assertEquals(headers.map(({ arithmetic }) => arithmetic.device), [device, device]);
  }));
