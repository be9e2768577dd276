// The WebGPU runtime: programs without warnings and all in use, memory that is used again, reads that share a wait,
// uploads that never overtake what is queued, and errors that say what happened.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertThrows,
} from "@std/assert";
import { webgpu } from "../gpu/backend.ts";
import { openDevice } from "../gpu/adapter.ts";
import { f32, i32 } from "../kernels/kernel.ts";
import * as all from "../kernels/mod.ts";
import { adapter, gpuTest, openGpu } from "./gpu.ts";
import { gpuKernels as kernels, passes } from "./gpu_passes.ts";

const shared = openGpu();
const openedForSoftware = openGpu({ software: true });

Deno.test("every program and entry point is reached by a case", () => {
  const used = new Set(
    passes().filter(({ pass: { workgroups: [x, y, z] } }) => x * y * z > 0)
      .map(({ pass: { program, entry = "main" } }) => `${entry} ${program}`),
  );
  const unused = kernels.flatMap(({ name, wgsl }) =>
    wgsl.flatMap((program) => {
      const entries = [...program.matchAll(/@compute[^{]*?fn (\w+)/g)].map(([, entry]) => entry);
      assert(entries.length > 0, `a program of ${name} has no entry point`);
      return entries.filter((entry) => !used.has(`${entry} ${program}`)).map((entry) => `${name} ${entry}`);
    })
  );
  assertEquals(unused, []);
  for (const { name, pass } of passes()) {
    const kernel = kernels.find((each) => each.name === name)!;
    assert(kernel.wgsl.includes(pass.program), `${name} runs a program that it does not list`);
  }
});

Deno.test("programs open with what they compute, and keep to what every adapter gives", () => {
  for (const { name, wgsl } of kernels) {
    for (const program of wgsl) {
      assert(program.startsWith("// "), `a program of ${name} does not say what it computes`);
      for (const [, size] of program.matchAll(/@workgroup_size\((.*?)\)/g)) {
        const invocations = size.split(",").map((text) => Number(text) || 64).reduce((a, b) => a * b);
        assert(invocations <= 256, `${name}: workgroups of ${size}`);
      }
    }
  }
  for (const { name, pass } of passes()) {
    const bound = (pass.reads?.length ?? 0) + (pass.writes?.length ?? 0);
    assert(bound <= 8, `${name} binds ${bound} arrays`);
  }
});

/** What a device has to say about a program, warnings included. */
async function said(device: GPUDevice, code: string): Promise<string[]> {
  device.pushErrorScope("validation");
  const { messages } = await device.createShaderModule({ code }).getCompilationInfo();
  const error = await device.popErrorScope();
  const list = messages.map(({ type, message, lineNum }) => `line ${lineNum}, ${type}: ${message}`);
  return error && list.length === 0 ? [error.message] : list;
}

gpuTest("programs compile without a word", async () => {
  const { device } = await openDevice({});
  const broken = "@compute @workgroup_size(1) fn main() { nonsense }";
  assert((await said(device, broken)).length > 0, "a program that does not compile is told on");
  const found: string[] = [];
  for (const { name, wgsl } of kernels) {
    for (const code of wgsl) {
      found.push(...(await said(device, code)).map((message) => `${name}: ${message}`));
    }
  }
  device.destroy();
  assertEquals(found, []);
});

/** Paths from the root of files under a folder that end in `.wgsl`. */
function shaderFiles(folder: string): string[] {
  return Array.from(Deno.readDirSync(new URL(`../${folder}`, import.meta.url))).flatMap(
    ({ name, isDirectory }) => {
      if (isDirectory) return shaderFiles(`${folder}/${name}`);
      return name.endsWith(".wgsl") ? [`${folder}/${name}`] : [];
    },
  );
}

const textOf = (path: string) => Deno.readTextFileSync(new URL(`../${path}`, import.meta.url));

Deno.test("every shader file of a kernel is part of a program that a case runs", () => {
  const used = passes().filter(({ pass: { workgroups: [x, y, z] } }) => x * y * z > 0);
  const programs = new Set(used.map(({ pass: { program } }) => program));
  const files = shaderFiles("kernels");
  const unused = files.filter((path) => ![...programs].some((program) => program.includes(textOf(path))));
  assertEquals(unused, []);
  const entries = new Set(used.map(({ pass: { program, entry = "main" } }) => `${entry} ${program}`));
  console.log(
    `${files.length} shader files make ${programs.size} programs with ${entries.size} entry points, which ` +
      `${used.length} dispatches of the cases run`,
  );
});

gpuTest("shader files outside kernels compile too, and each has a test that runs it", async () => {
  // The benches' test; fusesMultiplyAdd when a backend opens; the doctor's test.
  const runBy = [
    "bench/roofs/gpu_peak.wgsl",
    "gpu/probe.wgsl",
    "tools/doctor/half.wgsl",
    "tools/doctor/loop_trips.wgsl",
  ];
  const files = ["gpu", "tools", "bench", "playground"].filter(isThere).flatMap(shaderFiles);
  assertEquals(files.sort(), runBy);
  const gpuAdapter = (await navigator.gpu.requestAdapter())!;
  const half: GPUFeatureName[] = gpuAdapter.features.has("shader-f16") ? ["shader-f16"] : [];
  const device = await gpuAdapter.requestDevice({ requiredFeatures: half });
  for (const path of files) {
    const code = textOf(path);
    if (code.includes("enable f16;") && half.length === 0) continue;
    assertEquals(await said(device, code), [], path);
  }
  device.destroy();
});

function isThere(folder: string): boolean {
  return Array.from(Deno.readDirSync(new URL("../", import.meta.url)), ({ name }) => name).includes(folder);
}

gpuTest("reads called together share one submit and one wait", async () => {
  const backend = await shared();
  const before = backend.statistics();
  const buffers = [1, 2, 3].map((value) => backend.upload(Float32Array.of(value, -value), [2]));
  const sums = buffers.map((buffer) => backend.run(all.affine, [buffer], { scale: 2, shift: 1 })[0]);
  const found = await Promise.all([...buffers, ...sums].map((buffer) => backend.read(buffer)));
  assertEquals(found.map((values) => [...values]), [[1, -1], [2, -2], [3, -3], [3, -1], [5, -3], [7, -5]]);
  const after = backend.statistics();
  assertEquals([after.submits - before.submits, after.reads - before.reads], [1, 1]);
  for (const buffer of [...buffers, ...sums]) backend.free(buffer);
});

gpuTest("what an output may replace is left alone where another input is the same array", async () => {
  const backend = await shared();
  const params = { learningRate: 0.5, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: [0], step: 1 };
  // The parameter is its own gradient: written in place, it would be read and written in one dispatch.
  const upload = (...values: number[]) => backend.upload(Float32Array.from(values), [values.length]);
  const [weight, first, second, scale] = [upload(1, 2, -3), upload(0, 0, 0), upload(0, 0, 0), upload(1)];
  const outputs = backend.run(all.adamw, [scale, weight, weight, first, second], params, true);
  const [next, mean] = await Promise.all([backend.read(outputs[0]), backend.read(outputs[1])]);
  // A first step is the learning rate long, against the gradient's sign.
  next.forEach((value, at) => assertAlmostEquals(value, [0.5, 1.5, -2.5][at], 1e-5));
  mean.forEach((value, at) => assertAlmostEquals(value, [0.1, 0.2, -0.3][at], 1e-6));
  for (const buffer of [weight, first, second, scale, ...outputs]) backend.free(buffer);
});

gpuTest("a small read after a large one maps no more than it asked for", async () => {
  const backend = await shared();
  const [large, small] = [2 ** 20, 3].map((count) =>
    backend.upload(new Float32Array(count).fill(2), [count])
  );
  const mapped: number[] = [];
  const { mapAsync } = GPUBuffer.prototype;
  GPUBuffer.prototype.mapAsync = function (mode, offset, size) {
    mapped.push(size ?? this.size);
    return mapAsync.call(this, mode, offset, size);
  };
  try {
    for (const buffer of [large, small]) assert((await backend.read(buffer)).every((value) => value === 2));
  } finally {
    GPUBuffer.prototype.mapAsync = mapAsync;
  }
  assertEquals(mapped, [4 * 2 ** 20, 4 * 3]);
  for (const buffer of [large, small]) backend.free(buffer);
});

gpuTest("waits that overlap count their seconds once", async () => {
  const backend = await shared();
  const buffer = backend.upload(Float32Array.of(1), [1]);
  const { waitSeconds, reads } = backend.statistics();
  const start = performance.now();
  const waiting: Promise<unknown>[] = [];
  for (let at = 0; at < 5; at++) {
    waiting.push(backend.read(buffer));
    // A wait of its own for each.
    await new Promise<void>((resolve) => queueMicrotask(resolve));
  }
  await Promise.all(waiting);
  const seconds = (performance.now() - start) / 1000;
  const after = backend.statistics();
  assertEquals(after.reads - reads, 5);
  const waited = after.waitSeconds - waitSeconds;
  assert(waited > 0 && waited <= seconds, `waited ${waited} s of ${seconds}`);
  backend.free(buffer);
});

gpuTest("what is freed while a read waits keeps its values for it", async () => {
  const backend = await shared();
  const kept = backend.upload(Float32Array.of(1, 2, 3), [3]);
  const reading = backend.read(kept);
  backend.free(kept);
  const others = [7, 8, 9].map((value) => {
    const given = backend.upload(new Float32Array(3).fill(value), [3]);
    const [made] = backend.run(all.affine, [given], { scale: 1, shift: 0 });
    return [given, made];
  }).flat();
  assertEquals([...await reading], [1, 2, 3]);
  for (const buffer of others) backend.free(buffer);
});

gpuTest("an upload does not overtake queued work on the memory it gets", async () => {
  const backend = await shared();
  const results = Array.from({ length: 20 }, (_, at) => {
    const given = backend.upload(new Float32Array(64).fill(at), [64]);
    const [made] = backend.run(all.affine, [given], { scale: 1, shift: 0 });
    backend.free(given);
    return made;
  });
  const found = await Promise.all(results.map((buffer) => backend.read(buffer)));
  assertEquals(found.map((values) => values[63]), results.map((_, at) => at));
  for (const buffer of results) backend.free(buffer);
});

gpuTest(
  "equal work takes no new memory, pipelines or bind groups, whatever numbers it is given",
  async () => {
    const backend = await webgpu();
    const work = async (round: number) => {
      for (let at = 0; at < 3000; at++) {
        const given = backend.upload(Float32Array.of(at, round), [2]);
        const [made] = backend.run(all.affine, [given], { scale: at, shift: round });
        if (at === 2999) {
          assertEquals([...await backend.read(made)], [
            2999 * 2999 + round,
            round * 2999 + round,
          ]);
        }
        backend.free(given);
        backend.free(made);
      }
    };
    for (let round = 0; round < 3; round++) await work(round);
    const before = backend.statistics();
    for (let round = 3; round < 6; round++) await work(round);
    const after = backend.statistics();
    assertEquals(
      [after.heldBytes, after.usedBytes, after.pipelines],
      [before.heldBytes, before.usedBytes, before.pipelines],
    );
    assertEquals(after.usedBytes, 0);
    assert(after.submits - before.submits >= 9, "queued work is handed over without a read");
    backend.close();
  },
);

gpuTest("a list of more than 65,535 workgroups folds", async () => {
  const backend = await shared();
  const rows = 70_000;
  const x = backend.upload(Float32Array.from({ length: rows * 33 }, (_, at) => at % 33 === 0 ? 1 : 0), [
    rows,
    33,
  ]);
  const [sums] = backend.run(all.sumLast, [x], {});
  assertEquals((await backend.read(sums)).findIndex((value) => value !== 1), -1);
  backend.free(x);
  backend.free(sums);
});

gpuTest("loops of more than 65,535 trips are split: every entry of a long sum counts", async () => {
  const backend = await shared();
  const size = 6_000_000;
  const x = backend.upload(new Float32Array(size).fill(1), [size]);
  const [sum] = backend.run(all.sumLast, [x], {});
  const [squares] = backend.run(all.sumSquares, [x], { arrays: 1 });
  const columns = backend.alias(x, [size / 2, 2]);
  const [pair] = backend.run(all.sumFirst, [columns], {});
  const found = await Promise.all([sum, squares, pair].map((buffer) => backend.read(buffer)));
  assertEquals(found.map((values) => [...values]), [[size], [size], [size / 2, size / 2]]);
  for (const buffer of [x, sum, squares, pair]) backend.free(buffer);
});

gpuTest("kernels go up to the trips a software adapter makes, and refuse more by name", async () => {
  const backend = await openedForSoftware();
  const all1 = (size: number, shape: number[]) => backend.upload(new Float32Array(size).fill(1), shape);
  // Trips: 65,533 for a product, 65,530 and 3 more for rows left over, 992 rounds of 256 keys.
  const K = 4 * 65_533;
  const [a, b] = [all1(K, [1, K]), all1(K, [K, 1])];
  const plain = { transposeA: false, transposeB: false };
  const [product] = backend.run(all.matmul, [a, b], plain);
  const N = 4 * 65_530 + 3;
  const [rows, offset] = [all1(N, [N, 1]), backend.upload(Int32Array.of(0, N), [2])];
  const index = backend.upload(Int32Array.from({ length: N }, (_, at) => at), [N]);
  const [combined] = backend.run(all.combineRows, [rows, index, index, offset], {});
  const keys = 992 * 256;
  const key = backend.upload(new Int32Array(keys), [keys, 1]);
  const ranking = { groups: 1, choiceMajor: false };
  const [rank] = backend.run(all.rankInGroup, [key], { ...ranking, scope: keys });
  const found = await Promise.all([product, combined, rank].map((buffer) => backend.read(buffer)));
  assertEquals([found[0][0], found[1][0], found[2][keys - 1]], [K, N, keys - 1]);

  const facts = { software: true, workgroupsPerDimension: 65535 };
  const refuses = (kernel: string, gpu: () => unknown) =>
    assertThrows(gpu, RangeError, `Cannot run ${kernel}: `);
  const longer = K + 4;
  refuses("matmul", () => all.matmul.gpu!([f32(1, longer), f32(longer, 1)], plain, facts));
  refuses(
    "grouped_matmul",
    () => all.groupedMatmul.gpu!([f32(1, longer), f32(1, longer, 1), i32(2)], { transposeB: false }, facts),
  );
  refuses(
    "grouped_weight_gradient",
    () => all.groupedWeightGradient.gpu!([f32(longer, 1), f32(longer, 1), i32(2)], {}, facts),
  );
  refuses(
    "combine_rows",
    () => all.combineRows.gpu!([f32(N + 1, 1), i32(N + 1), i32(N + 1), i32(2)], {}, facts),
  );
  refuses(
    "rank_in_group",
    () => all.rankInGroup.gpu!([i32(keys + 256, 1)], { ...ranking, scope: keys + 256 }, facts),
  );
  refuses("group_by", () => all.groupBy.gpu!([i32(1)], { groups: 2 ** 23 }, facts));
  const hardware = { ...facts, software: false };
  all.matmul.gpu!([f32(1, longer), f32(longer, 1)], plain, hardware);
  for (const buffer of [a, b, product, rows, offset, index, combined, key, rank]) backend.free(buffer);
});

gpuTest("an array larger than the adapter binds is refused in one sentence", async () => {
  const backend = await shared();
  const columns = backend.largestBytes / 4 + 1;
  const one = backend.upload(Float32Array.of(1), [1]);
  assertThrows(
    () => backend.run(all.broadcastRows, [one], { columns }),
    RangeError,
    `takes ${4 * columns} bytes, the adapter binds at most ${backend.largestBytes}`,
  );
  assertThrows(
    () => backend.upload(Float32Array.of(1), [2]),
    RangeError,
    "Cannot upload 1 values as shape [2]",
  );
  backend.free(one);
});

gpuTest(
  "memory that runs out is said to have run out, and nothing is read from what is not there",
  async () => {
    const backend = await webgpu();
    const columns = backend.largestBytes / 4;
    const one = backend.upload(Float32Array.of(7), [1]);
    const before = backend.statistics().heldBytes;
    const [wide] = backend.run(all.broadcastRows, [one], { columns });
    const error = await backend.read(wide).then(
      (values) => values.at(-1) === 7 ? null : "wrong values",
      (e) => e,
    );
    // SwiftShader offers arrays of 1 GiB and has no memory for one; others keep what they offer.
    const short = /swiftshader/i.test(adapter!.name);
    if (short) {
      assertMatch(error?.message, /^Cannot read: .+ ran out of memory/);
      assertThrows(() => backend.run(all.affine, [one], { scale: 1, shift: 0 }), Error, "ran out of memory");
    } else {
      assertEquals(error, null);
      assert(backend.statistics().heldBytes >= before + backend.largestBytes);
    }
    backend.close();
  },
);

gpuTest("a program that does not compile is named, and everything after is refused", async () => {
  const backend = await webgpu();
  const broken = "@compute @workgroup_size(1) fn main() { nonsense }";
  const kernel: typeof all.affine = {
    ...all.affine,
    gpu: () => ({ passes: [{ program: broken, workgroups: [1, 1, 1] }] }),
  };
  const x = backend.upload(Float32Array.of(1), [1]);
  const [y] = backend.run(kernel, [x], { scale: 1, shift: 0 });
  await assertRejects(() => backend.read(y), Error, "affine");
  assertThrows(() => backend.run(all.affine, [x], { scale: 1, shift: 0 }), Error, "Cannot run affine");
  backend.close();
});

gpuTest("a closed backend and a lost device are said to be that", async () => {
  const backend = await webgpu();
  const x = backend.upload(Float32Array.of(1), [1]);
  backend.close();
  assertThrows(
    () => backend.run(all.affine, [x], { scale: 1, shift: 0 }),
    Error,
    "the WebGPU backend is closed",
  );
  await assertRejects(() => backend.read(x), Error, "Cannot read: the WebGPU backend is closed");
});

gpuTest("seconds by kernel come from the device where it has timestamps", async () => {
  const backend = await webgpu({ profile: true });
  const x = backend.upload(new Float32Array(4096).fill(1), [64, 64]);
  const made = Array.from(
    { length: 1500 },
    () => backend.run(all.affine, [x], { scale: 2, shift: 0 })[0],
  );
  const [product] = backend.run(all.matmul, [x, x], { transposeA: false, transposeB: false });
  assertEquals((await backend.read(product))[0], 64);
  const { kernelSeconds } = backend.statistics();
  if (Object.keys(kernelSeconds).length > 0) {
    assertEquals(Object.keys(kernelSeconds).sort(), ["affine", "matmul"]);
    assert(kernelSeconds.affine > 0 && kernelSeconds.affine < 60, `${kernelSeconds.affine} seconds`);
  }
  for (const buffer of [x, product, ...made]) backend.free(buffer);
  backend.close();
});
