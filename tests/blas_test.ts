// Products on a BLAS: found or not, with a reason; the library's own bits, whatever the number of threads; one
// clear error for a library that cannot be used, and records that say which was.
import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { cpu, type CpuOptions } from "../cpu/backend.ts";
import { originOf } from "../cpu/blas/binding.ts";
import { findBlas } from "../cpu/blas/find.ts";
import { openProduct } from "../cpu/blas/product.ts";
import { startThread, threadProgram } from "../cpu/threads.ts";
import { groupedMatmul, matmul } from "../kernels/mod.ts";
import { random } from "../tensor/random.ts";
import { blas, libraries } from "./blas.ts";
import { assertRefused, experiments, filesIn, inFolder, succeed } from "./experiments_command.ts";
import { taskWords } from "./task_command.ts";

const ignore = blas === null;
const nowhere = "/nowhere/libopenblas.so";
const draw = (name: string, size: number) => random(3).split(name).normal(size);

async function product(options: CpuOptions, M: number, N: number, K: number): Promise<Float32Array> {
  using backend = await cpu(options);
  assertEquals(backend.notes, []);
  const inputs = [backend.upload(draw("a", M * K), [M, K]), backend.upload(draw("b", K * N), [K, N])];
  const [c] = backend.run(matmul, inputs, { transposeA: false, transposeB: false });
  return await backend.read(c) as Float32Array;
}

Deno.test({
  name: "a product has the bits of the library, and below the least size those of WebAssembly",
  ignore,
  fn: async () => {
    const memory = new WebAssembly.Memory({ initial: 16, maximum: 16, shared: true });
    const origin = originOf(memory);
    const sgemm = openProduct(blas!, memory, origin);
    const options = { threads: 1, blas: blas!, leastBlasProduct: 1 };
    // One tile each: 24 rows by 64 columns.
    const [M, N, depths] = [24, 64, [90, 385, 700, 1500]];
    let differ = false;
    for (const K of depths) {
      const [a, b] = [draw("a", M * K), draw("b", K * N)];
      const got = await product(options, M, N, K);
      const floats = new Float32Array(memory.buffer);
      floats.set(a);
      floats.set(b, a.length);
      const [atB, atC] = [4 * a.length, 4 * (a.length + b.length)].map((byte) => origin + BigInt(byte));
      // The backend has left the library with one thread; with more it would cut the product otherwise.
      sgemm(101, 111, 111, M, N, K, 1, origin, K, atB, N, 0, atC, N);
      const wanted = floats.slice(a.length + b.length, a.length + b.length + M * N);
      assertEquals(got, wanted);
      const plain = await product({ threads: 1 }, M, N, K);
      assertEquals(await product({ ...options, leastBlasProduct: M * N * K + 1 }, M, N, K), plain);
      differ ||= plain.some((value, at) => value !== wanted[at]);
    }
    // Loops for AVX-512 sum as WebAssembly does, up to a depth. Equal bits do not say who computed them.
    if (!differ) {
      console.log(
        `${blas!.name} and WebAssembly give equal bits at every depth of ${depths.join(", ")}: ` +
          "here products do not show which of the two computed them",
      );
    }
  },
});

/** A thread as a page has it: all it knows is the text of its program, and what it is sent. */
const asAPage: CpuOptions["startThread"] = (start) =>
  startThread(start, `data:text/javascript,${encodeURIComponent(threadProgram)}`);

for (const library of libraries) {
  Deno.test(`on ${library} too, results are the same for any number of threads, and every time`, async () => {
    const opened = { blas: library, leastBlasProduct: 40_000 };
    const grouped = async (options: CpuOptions) => {
      using backend = await cpu({ ...options, ...opened });
      assertEquals(backend.notes, []);
      const [N, K, M] = [700, 130, 260];
      const offset = Int32Array.of(0, 9, 9, 410, 699);
      const inputs = [
        backend.upload(draw("x", N * K), [N, K]),
        backend.upload(draw("w", 4 * K * M), [4, K, M]),
        backend.upload(offset, [5]),
      ];
      const [y] = backend.run(groupedMatmul, inputs, { transposeB: false });
      return await backend.read(y);
    };
    const dense = (options: CpuOptions) => product({ ...options, ...opened }, 515, 517, 300);
    for (const compute of [grouped, dense]) {
      const wanted = await compute({ threads: 1 });
      for (const threads of [1, 2, 2, 3]) assertEquals(await compute({ threads }), wanted);
      assertEquals(await compute({ threads: 3, startThread: asAPage }), wanted);
    }
  });
}

Deno.test("a library that cannot be used is one error, or a reason", async () => {
  for (const library of [nowhere, new URL("../deno.json", import.meta.url).pathname]) {
    const error = await assertRejects(
      () => cpu({ blas: library }),
      Error,
      `Cannot use BLAS library ${library}: `,
    );
    assert(!/\n|undefined/.test(error.message) && error.message.length < 240, error.message);
    const found = await findBlas({ library });
    assert("why" in found && !found.opened, JSON.stringify(found));
  }
  await assertRejects(() => cpu({ blas: nowhere, shared: false }), Error, `${nowhere}: memory is not shared`);
  for (const leastBlasProduct of [-1, 0.5, NaN, 2 ** 31]) {
    await assertRejects(() => cpu({ leastBlasProduct }), RangeError, String(leastBlasProduct));
  }
  using backend = await cpu({ blas: "auto", shared: false });
  assertEquals(backend.arithmetic.blas, "none (memory is not shared)");
});

Deno.test("an empty path, which would open the program itself, is refused, with the choices", async () => {
  const why = "the path is empty";
  assertEquals(await findBlas({ library: "" }), { why, opened: false });
  await assertRejects(
    () => cpu({ blas: "" }),
    Error,
    `Cannot use BLAS library "": ${why}; choose off, auto or a library's path`,
  );
  await assertRejects(() => cpu({ blas: "Auto" }), Error, "; choose off, auto or a library's path");
});

Deno.test("a library without products is refused", { ignore: Deno.build.os !== "linux" }, async () => {
  assertEquals(await findBlas({ library: "libc.so.6" }), {
    why: "it has no cblas_sgemm, nor a product of another name that is known",
    opened: true,
  });
});

const canScript = await new Deno.Command("script", { args: ["-qec", "true", "/dev/null"], stdin: "null" })
  .output().then(({ success }) => success, () => false);

Deno.test({
  name:
    "without permission BLAS is not used, and nobody at a terminal is asked for it (needs the program script)",
  ignore: !canScript,
  fn: () =>
    inFolder(async (folder) => {
      const module = new URL("../cpu/backend.ts", import.meta.url);
      await Deno.writeTextFile(
        `${folder}/main.ts`,
        `import { cpu } from "${module}";
        const backend = await cpu({ threads: 1, blas: "auto" });
        console.log(backend.arithmetic.blas);
        await cpu({ threads: 1, blas: "${nowhere}" }).catch(({ message }) => console.log(message));`,
      );
      const { stdout } = await new Deno.Command("script", {
        args: ["-qec", `"$DENO" run --no-config "$MAIN"`, "/dev/null"],
        env: { DENO: Deno.execPath(), MAIN: `${folder}/main.ts`, NO_COLOR: "1", SHELL: "/bin/sh" },
        stdin: "null",
      }).output();
      const lines = new TextDecoder().decode(stdout).split(/\r?\n/).filter((line) =>
        /BLAS|none|ffi/i.test(line)
      );
      const why = "FFI is not permitted (--allow-ffi)";
      const choices = "choose off, auto or a library's path";
      assertEquals(lines, [`none (${why})`, `Cannot use BLAS library ${nowhere}: ${why}; ${choices}`]);
    }),
});

Deno.test({
  name: "records name the BLAS, repeat with it, and do not go on without it",
  ignore,
  fn: () =>
    inFolder(async (folder) => {
      const words = (out: string, threads: number, ...more: string[]) => [
        ...["--routers", "switch", "--size", "tiny", "--steps", "12", "--seeds", "1"],
        ...[
          "--threads",
          String(threads),
          "--text",
          `${folder}/text.txt`,
          "--out",
          `${folder}/${out}`,
          ...more,
        ],
      ];
      const out = await succeed(...words("one", 1, "--blas", blas!.library));
      assertStringIncludes(out, `BLAS: ${blas!.name} (`);
      assertMatch(out, /\(\d+ GFLOP\/s a core; WebAssembly: \d+/);
      await succeed(...words("two", 2, "--blas", blas!.library));
      const record = (name: string) => filesIn(`${folder}/${name}`).get("runs/switch-seed0.jsonl")!;
      assertEquals(record("two"), record("one"));
      // How fast it is differs from time to time, so it stands with what does.
      const timing = filesIn(`${folder}/one`).get("runs/switch-seed0.timing.json")!;
      assertMatch(JSON.parse(timing).blas, /^\S.*, \d+ GFLOP\/s a core; WebAssembly: \d+/);
      const { arithmetic } = JSON.parse(record("one").split("\n")[0]);
      assertEquals(arithmetic.blas, blas!.name);
      const without = await experiments(...words("one", 1, "--resume"));
      assertRefused(without, [`arithmetic.blas was "${blas!.name}" and is now undefined`], "resumed without");
    }),
});

Deno.test("without --blas a command needs neither FFI nor programs, and a plugin may start none", () =>
  inFolder(async (folder) => {
    const plugin = `${folder}/plugin.ts`;
    await Deno.writeTextFile(
      plugin,
      `import { switchRouter } from "${new URL("../mod.ts", import.meta.url)}";
      export const other = { ...switchRouter, name: "other" };
      console.log("programs:", Deno.permissions.querySync({ name: "run" }).state);`,
    );
    for (
      const [blas, state] of [[[], "prompt"], [["--blas", "off"], "prompt"], [["--blas", "auto"], "granted"]]
    ) {
      const { out } = await experiments("--plugin", plugin, "--list", ...blas);
      assertMatch(out, new RegExp(`^programs: ${state}\n`));
    }
    const words = taskWords("experiments").filter((word) => word !== "--allow-run" && word !== "--allow-ffi");
    assertEquals(words.length, taskWords("experiments").length - 2);
    const run = [
      "--routers",
      "switch",
      "--no-controls",
      "--task",
      "recall",
      "--size",
      "tiny",
      "--seeds",
      "1",
    ];
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [...words, ...run, "--steps", "2", "--threads", "2", "--out", `${folder}/out`],
      cwd: new URL("../", import.meta.url),
      stdin: "null",
    }).output();
    assertEquals([success, new TextDecoder().decode(stderr)], [true, ""]);
  }));

Deno.test("a command that asks for a BLAS that cannot be used is refused", () =>
  inFolder(async (folder) => {
    const words = ["--size", "tiny", "--text", `${folder}/text.txt`, "--out", `${folder}/out`];
    assertRefused(await experiments(...words, "--blas", nowhere), [nowhere], "no such library");
    const onGpu = await experiments(...words, "--device", "webgpu", "--blas", "auto");
    assertRefused(onGpu, ["--blas auto", "--device webgpu"], "on a GPU");
  }));
