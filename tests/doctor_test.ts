// The doctor: it works on any machine, what it tries comes out as it must, and its advice follows from its findings.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import type { Measurement, Survey } from "../cpu/blas/measurement.ts";
import { advise } from "../tools/doctor/advice.ts";
import type { Findings } from "../tools/doctor/findings.ts";
import type { Quirks } from "../tools/doctor/adapters.ts";
import { adapter, gpuTest } from "./gpu.ts";
import { runTask } from "./task_command.ts";

const doctor = (words: readonly string[], env: Record<string, string> = {}) => runTask("doctor", words, env);

type Found = Findings & { readonly advice: readonly string[] };

async function found(words: readonly string[], env: Record<string, string> = {}): Promise<Found> {
  const { code, out, error } = await doctor(["--json", ...words], env);
  assertEquals(code, 0, error);
  return JSON.parse(out);
}

/** Vulkan's loader finds no driver, and nothing else is tried. */
const noDriver = { DENO_WEBGPU_BACKEND: "vulkan", VK_DRIVER_FILES: "/nowhere", VK_ICD_FILENAMES: "/nowhere" };

Deno.test("a machine without an adapter is examined too, and told how to get one", async () => {
  const { adapters, quirks, speed, cpu, system, advice } = await found(["--seconds", "0"], noDriver);
  assertEquals([adapters, quirks, speed], [[], null, []]);
  assertEquals([cpu.cores, system.deno], [navigator.hardwareConcurrency, Deno.version.deno]);
  assert(cpu.memoryBytes > 2 ** 27 && cpu.name.length > 0);
  assertStringIncludes(advice.join("\n"), "There is no WebGPU adapter; nothing needs one.");
});

Deno.test("a reading gives every figure in base units, and the page shows them", async () => {
  const { speed, blas } = await found(["--seconds", "1"], noDriver);
  const threads = navigator.hardwareConcurrency;
  const on = [...new Set(["1 thread", threads === 1 ? "1 thread" : `${threads} threads`])];
  const expected = on.flatMap((each) => [`product, CPU, ${each}`, `memory, CPU, ${each}`]);
  if (!("why" in blas)) expected.push("product, BLAS");
  assertEquals(speed.map(({ about }) => about), expected);
  for (const { about, unit, perSecond } of speed) {
    assertEquals(unit, about.startsWith("product") ? "flop" : "bytes");
    // Between a slow interpreter and a machine of the next decade: anything else is a mistake of units.
    assert(perSecond > 1e7 && perSecond < 1e14, `${about}: ${perSecond}`);
  }
  const { code, out } = await doctor(["--seconds", "0"], noDriver);
  if (blas && !("why" in blas)) {
    assertMatch(
      out,
      /^Libraries that multiply, one thread each\n( {2}OPENBLAS_CORETYPE.*\n)? {2}\S.* \d+ GFLOP\/s a core; WebAssembly: \d+.* \(.*\)$/m,
    );
  }
  assertEquals(code, 0);
  assertMatch(out, /^Deno [\d.]+ on \w+ \w+$/m);
  assertMatch(out, /^ {2}relaxed SIMD +(yes|no)$/m);
  assertMatch(out, /^WebGPU adapter: none$/m);
  assertMatch(out, /^Advice\n( {2}- [^\n]+\.\n)+$/m);
  assert(!/undefined|NaN|\[object/.test(out), out);
});

gpuTest("an adapter's limits and quirks come from the adapter", async () => {
  const { adapters: [best], quirks: tried, advice } = await found(["--seconds", "0"]);
  assertEquals([best.name, best.software], [adapter!.name, adapter!.software]);
  assert(best.limits.maxStorageBuffersPerShaderStage >= 8 && best.limits.maxBufferSize >= 2 ** 27);
  const quirks = tried as Quirks;
  // Mesa's llvmpipe stops there; SwiftShader and hardware do not.
  assertEquals(quirks.loopStopsAfter, /llvmpipe/.test(best.name) ? 65535 : null);
  assertEquals(quirks.halfRight, best.features.includes("shader-f16") ? true : null);
  assertEquals(typeof quirks.timestamps, "boolean");
  assert(quirks.timestamps ? best.features.includes("timestamp-query") : true);
  assert(quirks.readBackSeconds > 0 && quirks.readBackSeconds < 1, `${quirks.readBackSeconds}`);
  assert(quirks.dispatchSeconds >= 0 && quirks.dispatchSeconds < 0.01, `${quirks.dispatchSeconds}`);
  if (best.software) assertStringIncludes(advice.join("\n"), `${best.name} computes on the CPU`);
});

Deno.test("what cannot be meant is refused in one sentence", async () => {
  for (
    const [words, sentence] of [
      [["--seconds", "soon"], "Cannot use --seconds soon: choose a whole number from 0 to 600\n"],
      [["--seconds=-1"], "Cannot use --seconds -1: choose a whole number from 0 to 600\n"],
      [["--secs", "1"], 'Cannot use "--secs": deno task doctor has --seconds, --json, --help, --version\n'],
    ] as const
  ) {
    const { code, error } = await doctor(words);
    assertEquals([code, error], [1, sentence]);
  }
  assertStringIncludes((await doctor(["--help"])).out, "--seconds N");
});

const gpu = {
  name: "Some GPU",
  software: false,
  limits: {},
  features: [],
};
const quirks: Quirks = {
  fusedMultiplyAdd: true,
  loopStopsAfter: null,
  halfRight: true,
  timestamps: true,
  readBackSeconds: 0.0001,
  dispatchSeconds: 1e-6,
};
/** A library as measured. */
const openblas: Measurement = {
  name: "OpenBLAS 0.3.21 SkylakeX",
  library: "libopenblas.so.0",
  core: "SkylakeX",
  told: null,
  wrong: null,
  singleThreaded: false,
  sgemm: "cblas_sgemm",
  style: "cblas",
  integers: "i32",
  leastProduct: 40_000,
  setThreads: { name: "openblas_set_num_threads", integer: "i32" },
  flopPerSecond: 1.17e11,
  wasmFlopPerSecond: 5e10,
};
function survey(measured: readonly Measurement[], own: string | null = null): Survey {
  const flags = ["avx", "avx2", "fma", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"];
  return { processor: { name: "some CPU", flags }, own, measured, refused: [], notKept: null };
}

/** A machine that needs no advice but what to take. */
const fine: Findings = {
  system: { os: "linux", arch: "x86_64", deno: "2.9.6" },
  cpu: { name: "some CPU", cores: 4, memoryBytes: 2 ** 34, relaxedSimd: true, sharedMemory: true },
  blas: { ...openblas, name: "OpenBLAS 0.3.21", rates: openblas },
  libraries: survey([openblas]),
  adapters: [gpu],
  quirks,
  speed: [
    { about: "product, CPU, 1 thread", unit: "flop", perSecond: 5e10 },
    { about: "product, CPU, 4 threads", unit: "flop", perSecond: 1.9e11 },
    { about: "product, BLAS", unit: "flop", perSecond: 3.8e11 },
    { about: "product, WebGPU", unit: "flop", perSecond: 9e12 },
  ],
};

Deno.test("advice says what follows from the findings, and nothing else", () => {
  const take = "Some GPU is what --device auto and --device webgpu take.";
  const faster =
    "--blas auto takes products to OpenBLAS 0.3.21, 2.0 times the WebAssembly kernels' speed here; " +
    "the last bits of results then depend on it.";
  assertEquals(advise(fine), [faster, take]);
  const slow = fine.speed.map((reading, at) => at === 1 ? { ...reading, perSecond: 6e10 } : reading);
  const narrow = { ...openblas, name: "OpenBLAS 0.3.21 Prescott", core: "Prescott", flopPerSecond: 3.3e10 };
  const cases: readonly (readonly [Partial<Findings>, string])[] = [
    [
      { cpu: { ...fine.cpu, sharedMemory: false } },
      "SharedArrayBuffer is missing, so the CPU backend computes on one thread.",
    ],
    [
      { cpu: { ...fine.cpu, relaxedSimd: false } },
      "Relaxed SIMD is missing, so multiply and add are two roundings",
    ],
    [{ speed: slow }, "4 threads multiply only 1.2 times as fast as one"],
    [
      { blas: { why: "FFI is not permitted (--allow-ffi)", opened: false } },
      "No BLAS is taken by --blas auto: FFI is not permitted",
    ],
    [
      { blas: { why: "none is installed", opened: false }, libraries: survey([]) },
      "No BLAS is taken by --blas auto: none is installed. The WebAssembly kernels need none. One that is native: deno " +
      "cache --no-lock npm:onnxruntime-node, or Debian's libopenblas0-pthread.",
    ],
    [
      { libraries: { why: "running Deno is not permitted (--allow-run)" } },
      "BLAS libraries could not be measured: running Deno is not permitted (--allow-run).",
    ],
    [
      { libraries: survey([narrow], "Prescott") },
      "OPENBLAS_CORETYPE=Prescott is set, so libopenblas.so.0 computes as Prescott (33 GFLOP/s a core) on a processor " +
      "that can do SkylakeX: unset it",
    ],
    [
      { libraries: survey([narrow, { ...openblas, told: "SkylakeX" }]) },
      "libopenblas.so.0 by itself takes Prescott here (33 GFLOP/s a core); told to be SkylakeX, it is OpenBLAS 0.3.21 " +
      "SkylakeX (117). For programs other than this one: OPENBLAS_CORETYPE=SkylakeX.",
    ],
    [{ adapters: [], quirks: null }, "There is no WebGPU adapter; nothing needs one."],
    [
      { quirks: { problem: "Cannot open WebGPU on Some GPU: too small" } },
      "WebGPU cannot be used here: Cannot open",
    ],
    [
      { adapters: [{ ...gpu, software: true }] },
      "Some GPU computes on the CPU (its products run at 47.37 of",
    ],
    [
      { quirks: { ...quirks, loopStopsAfter: 65535 } },
      "The driver ends a loop after 65535 trips without a word",
    ],
    [{ quirks: { ...quirks, halfRight: false } }, "The driver's own f16 is wrong."],
    [{ quirks: { ...quirks, readBackSeconds: 0.0114 } }, "Reading anything back takes at least 11.4 ms"],
  ];
  for (const [change, sentence] of cases) {
    const said = advise({ ...fine, ...change }).filter((each) =>
      each !== take && !each.startsWith("--blas auto")
    );
    assertEquals(said.length, 1, said.join("\n"));
    assert(said[0].startsWith(sentence), said[0]);
  }
  assertEquals(advise({ ...fine, speed: [] }), [faster.replace(/, 2.0 times[^;]*/, ""), take]);
});
