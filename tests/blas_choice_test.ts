// Which BLAS and which of its loops: decided from flags, names and measurements alone, tried out in processes of their own,
// kept for the next time, and the user's own choice above all.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { choose } from "../cpu/blas/choose.ts";
import { coresToTry } from "../cpu/blas/cores.ts";
import { families, identify, tooOld } from "../cpu/blas/families.ts";
import {
  type Measurement,
  type Processor,
  ratesText,
  type Refused,
  type Survey,
} from "../cpu/blas/measurement.ts";
import { CORE_TYPE } from "../cpu/blas/open.ts";
import { gemmModel } from "../cpu/blas/onnxruntime.ts";
import { measure, probeApart } from "../cpu/blas/survey.ts";
import { openblas } from "./blas.ts";
import { inFolder } from "./experiments_command.ts";

const avx512 = ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"];
const cascadeLake = ["sse4_2", "avx", "avx2", "fma", ...avx512];

Deno.test("wider loops are tried where the library would use narrower ones than the processor has", () => {
  const cases: readonly (readonly [string | null, readonly string[] | null, readonly string[]])[] = [
    // OpenBLAS 0.3.21 on an Intel newer than itself.
    ["Prescott", cascadeLake, ["SkylakeX", "Haswell", "Sandybridge"]],
    ["Katmai", cascadeLake, ["SkylakeX", "Haswell", "Sandybridge"]],
    ["Haswell", cascadeLake, ["SkylakeX"]],
    ["Zen", cascadeLake, ["SkylakeX"]],
    ["Sandybridge", cascadeLake, ["SkylakeX", "Haswell"]],
    // As wide as the processor, by whatever name.
    ["SkylakeX", cascadeLake, []],
    ["SKYLAKEX", cascadeLake, []],
    ["Cooperlake", cascadeLake, []],
    ["SomethingOfNextYear", cascadeLake, []],
    // Only what the processor runs: without AVX-512, without all of it, without fused multiply-add, with nothing.
    ["Prescott", ["avx", "avx2", "fma"], ["Haswell", "Sandybridge"]],
    ["Prescott", ["avx", "avx2", "fma", "avx512f"], ["Haswell", "Sandybridge"]],
    ["Prescott", ["avx", "avx2"], ["Sandybridge"]],
    ["HASWELL", ["avx", "avx2", "fma"], []],
    ["Prescott", ["sse4_2"], []],
    // Nothing known: the library's choice stands.
    ["Prescott", null, []],
    [null, cascadeLake, []],
  ];
  for (const [chosen, flags, wanted] of cases) {
    assertEquals(coresToTry(chosen, flags), wanted, `${chosen} on ${flags}`);
  }
});

/** A library as a process of its own might have found it. */
function found(change: Partial<Measurement>): Measurement {
  return {
    library: "libopenblas.so.0",
    name: `OpenBLAS 0.3.21 ${change.core ?? "Prescott"}`,
    core: "Prescott",
    told: null,
    singleThreaded: false,
    sgemm: "cblas_sgemm",
    style: "cblas",
    integers: "i32",
    leastProduct: 40_000,
    setThreads: { name: "openblas_set_num_threads", integer: "i32" },
    wrong: null,
    flopPerSecond: 33e9,
    wasmFlopPerSecond: 30e9,
    ...change,
  };
}

const intel = { name: "Intel Xeon", flags: cascadeLake };

Deno.test("a core type is told that is right and faster, the widest that is", async () => {
  /** A library that answers so under each core type; `null` is its own choice. */
  const tried = async (
    answers: Readonly<Record<string, Partial<Measurement> | string>>,
    own: string | null,
  ) => {
    const asked: (string | null)[] = [];
    const all = await measure("libopenblas.so.0", intel, own, (library, told) => {
      asked.push(told);
      const answer = answers[told ?? "null"] ?? {};
      return Promise.resolve(
        typeof answer === "string" ? { library, why: answer, opened: true } : found({ told, ...answer }),
      );
    });
    return { asked, kept: all.map((each) => "why" in each ? each.why : each.core) };
  };
  const wide = { core: "SkylakeX", flopPerSecond: 117e9 };
  const middle = { core: "Haswell", flopPerSecond: 90e9 };
  assertEquals(await tried({ SkylakeX: wide }, null), {
    asked: [null, "SkylakeX"],
    kept: ["Prescott", "SkylakeX"],
  });
  const wrong = { ...wide, wrong: "shape [6, 8]: 3 of 48 values are off" };
  assertEquals(await tried({ SkylakeX: wrong, Haswell: middle }, null), {
    asked: [null, "SkylakeX", "Haswell"],
    kept: ["Prescott", "SkylakeX", "Haswell"],
  });
  // A build without those loops stays what it is; a processor that stops it, or a slower one, is no reason to end.
  assertEquals((await tried({ SkylakeX: {}, Haswell: middle }, null)).kept, ["Prescott", "Haswell"]);
  assertEquals((await tried({ SkylakeX: "SIGILL", Haswell: middle }, null)).kept, ["Prescott", "Haswell"]);
  const slow = { ...wide, flopPerSecond: 20e9 };
  assertEquals((await tried({ SkylakeX: slow, Haswell: middle }, null)).asked, [null, "SkylakeX", "Haswell"]);
  // The user's own choice is not argued with, and a library that fails is not tried again.
  assertEquals((await tried({ SkylakeX: wide }, "Prescott")).asked, [null]);
  assertEquals(await tried({ null: "SIGILL" }, null), { asked: [null], kept: ["SIGILL"] });
});

Deno.test("of right libraries the fastest is taken, and none that is slower than WebAssembly", () => {
  const narrow = found({});
  const wide = found({ core: "SkylakeX", told: "SkylakeX", flopPerSecond: 117e9 });
  const refused: Refused = { library: "libmkl_rt.so.2", why: "ended with SIGSEGV", opened: true };
  const chosen = (measured: readonly Measurement[], wish = {}, none: readonly Refused[] = []) => {
    const survey: Survey = { processor: intel, own: null, measured, refused: none, notKept: null };
    return choose(survey, { threads: 2, mayTell: true, named: false, ...wish });
  };
  assertEquals(chosen([narrow, wide]), wide);
  assertEquals(chosen([narrow, wide], { mayTell: false }), narrow);
  assertEquals(chosen([narrow, { ...wide, wrong: "3 values are off" }]), narrow);
  // Equally fast: the first, whatever the minute's noise.
  const other = { ...wide, library: "/other.so", flopPerSecond: 120e9 };
  assertEquals(chosen([wide, other]), wide);
  const faster = { ...other, flopPerSecond: 130e9 };
  assertEquals(chosen([wide, faster]), faster);
  const slow = found({ flopPerSecond: 20e9 });
  assertEquals(chosen([slow], {}, [refused]), {
    why: "OpenBLAS 0.3.21 Prescott: it is slower than WebAssembly; libmkl_rt.so.2: ended with SIGSEGV",
    opened: true,
  });
  assertEquals(chosen([slow], { named: true }), slow);
  assertEquals(chosen([{ ...slow, wrong: "off" }], { named: true }), {
    why: "its products are wrong: off",
    opened: true,
  });
  const single = found({ singleThreaded: true });
  assertEquals(chosen([single], { named: true }), {
    why: "it is a build for one thread at a time: choose one with threads, or threads: 1",
    opened: true,
  });
  assertEquals(chosen([single], { threads: 1 }), single);
  assertEquals(chosen([]), { why: "none is installed", opened: false });
  assertEquals(chosen([], {}, [{ ...refused, opened: false }]), { why: "ended with SIGSEGV", opened: false });
});

Deno.test("a library's own account becomes its name, core and whole numbers", () => {
  const kept: Uint8Array[] = [];
  const pointerTo = (bytes: Uint8Array<ArrayBuffer>) => {
    kept.push(bytes);
    return Deno.UnsafePointer.of(bytes);
  };
  const text = (said: string) => () => pointerTo(new TextEncoder().encode(`${said}\0`));
  const family = (name: string, sgemm: string) =>
    families.find((each) => each.family === name && each.sgemm === sgemm)!;
  const openblas = (sgemm: string, config: string, core = "Haswell") => {
    const { name, core: found, integers, singleThreaded } = identify(family("OpenBLAS", sgemm), {
      text: text(config),
      core: text(core),
    });
    return [name, found, integers, singleThreaded];
  };
  const debian = "OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64";
  assertEquals(openblas("cblas_sgemm", debian), ["OpenBLAS 0.3.21 Haswell", "Haswell", "i32", false]);
  assertEquals(openblas("cblas_sgemm", `${debian} SINGLE_THREADED`)[3], true);
  // Debian's 64-bit build keeps the names of the other one.
  assertEquals(openblas("cblas_sgemm", debian.replace("NO_L", "USE64BITINT NO_L"))[2], "i64");
  const numpy = "OpenBLAS 0.3.31.188.0  USE64BITINT DYNAMIC_ARCH NO_AFFINITY SkylakeX MAX_THREADS=64";
  assertEquals(openblas("scipy_cblas_sgemm64_", numpy, "SkylakeX"), [
    ...["OpenBLAS 0.3.31.188.0 SkylakeX", "SkylakeX", "i64", false],
  ]);
  const mkl = identify(family("MKL", "cblas_sgemm"), {
    fill: (bytes) =>
      void new TextEncoder().encodeInto(
        "Intel(R) oneAPI Math Kernel Library Version 2026.2-Product Build 20260915 for Intel(R) 64\0",
        bytes,
      ),
  });
  assertEquals([mkl.name, mkl.core], ["MKL 2026.2", null]);
  const version = new Uint8Array(Int32Array.of(2, 6, 3).buffer);
  const { name, style, integers } = identify(family("oneDNN", "dnnl_sgemm"), {
    text: () => pointerTo(version),
  });
  assertEquals([name, style, integers], ["oneDNN 2.6.3", "dnnl", "i64"]);
  assertEquals(identify(family("BLIS", "cblas_sgemm"), { text: text("0.9.0") }).name, "BLIS 0.9.0");
  assertEquals(identify(family("Accelerate", "cblas_sgemm"), {}).name, "Accelerate");
});

Deno.test("onnxruntime tells its version, and one before 1.17 is refused", () => {
  const family = families.find((each) => each.family === "onnxruntime")!;
  const identityOf = (version: string) => {
    const text = new TextEncoder().encode(`${version}\0`);
    const callback = new Deno.UnsafeCallback(
      { parameters: [], result: "pointer" },
      () => Deno.UnsafePointer.of(text),
    );
    const base = BigUint64Array.of(0n, BigInt(Deno.UnsafePointer.value(callback.pointer)));
    const identity = identify(family, { text: () => Deno.UnsafePointer.of(base) });
    callback.close();
    return identity;
  };
  assertEquals(identityOf("1.30.0").name, "onnxruntime 1.30.0");
  for (const version of ["1.17.0", "1.30.0"]) assertEquals(tooOld(identityOf(version)), null);
  for (const version of ["1.16.3", "1.9.0", "2.0.0"]) {
    assertEquals(tooOld(identityOf(version)), `it is onnxruntime ${version}; 1.17 or a later 1 is needed`);
  }
  assertEquals(tooOld(found({})), null);
});

Deno.test("onnxruntime's graph is one Gemm with its transpositions, in ONNX's protocol buffers", () => {
  /** Fields of a message: numbers, or bytes. */
  const fieldsOf = (bytes: Uint8Array) => {
    const fields: (readonly [number, number | Uint8Array])[] = [];
    let at = 0;
    const varint = () => {
      let value = 0;
      for (let shift = 0;; shift += 7) {
        value += (bytes[at] & 127) << shift;
        if (bytes[at++] < 128) return value;
      }
    };
    while (at < bytes.length) {
      const tag = varint();
      const value = varint();
      if ((tag & 7) === 0) fields.push([tag >> 3, value]);
      else fields.push([tag >> 3, bytes.subarray(at, at += value)]);
    }
    return fields;
  };
  const all = (bytes: Uint8Array, field: number) =>
    fieldsOf(bytes).filter(([number]) => number === field).map(([, value]) => value);
  const text = (value: number | Uint8Array) => new TextDecoder().decode(value as Uint8Array);
  for (const [transposeA, transposeB, accumulate] of [[false, true, true], [true, false, false]]) {
    const [graph] = all(gemmModel(transposeA, transposeB, accumulate), 7) as Uint8Array[];
    const [node] = all(graph, 1) as Uint8Array[];
    const names = accumulate ? ["a", "b", "c"] : ["a", "b"];
    assertEquals(all(node, 4).map(text), ["Gemm"]);
    assertEquals([all(node, 1).map(text), all(node, 2).map(text)], [names, ["y"]]);
    const inputs = all(graph, 11) as Uint8Array[];
    assertEquals(inputs.flatMap((input) => all(input, 1).map(text)), names);
    const flags = (all(node, 5) as Uint8Array[]).map((each) => [...all(each, 1).map(text), ...all(each, 3)]);
    assertEquals(flags, [["transA", Number(transposeA)], ["transB", Number(transposeB)]]);
  }
});

Deno.test({
  name: "libraries are found in the loader's folders, Python environments and npm packages, each file once",
  ignore: Deno.build.os !== "linux",
  fn: () =>
    inFolder(async (folder) => {
      const npm = "deno/npm/host/onnxruntime-node";
      const system = `linux/${Deno.build.arch === "x86_64" ? "x64" : "arm64"}`;
      const files = [
        "loader/libopenblas.so.0",
        "loader/libopenblas.a",
        "loader/libdnnl.so.3",
        "loader/libother.so",
        "env/lib/libmkl_rt.so.2",
        "env/lib/python3.12/site-packages/numpy.libs/libscipy_openblas64_-1234abcd.so",
        "env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.20.1",
        "env/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime_providers_shared.so",
        `${npm}/1.9.0/bin/napi-v3/${system}/libonnxruntime.so.1.9.0`,
        `${npm}/1.30.0/bin/napi-v6/${system}/libonnxruntime.so.1`,
        `${npm}/registry.json`,
      ];
      for (const file of files) {
        Deno.mkdirSync(`${folder}/${file}`.replace(/[^/]*$/, ""), { recursive: true });
        Deno.writeTextFileSync(`${folder}/${file}`, file);
      }
      Deno.symlinkSync(`${folder}/loader/libopenblas.so.0`, `${folder}/loader/libopenblas.so`);
      const list =
        `import { places } from "ROOTcpu/blas/places.ts"; console.log(JSON.stringify(await places()));`;
      const found: string[] = JSON.parse(
        await program(list, {
          LD_LIBRARY_PATH: `${folder}/loader:${folder}/nowhere`,
          VIRTUAL_ENV: `${folder}/env`,
          DENO_DIR: `${folder}/deno`,
        }),
      );
      const own = found.filter((path) => path.startsWith(folder)).map((path) =>
        path.slice(folder.length + 1)
      );
      assertEquals(own, ["loader/libopenblas.so", ...[4, 2, 5, 6, 9].map((at) => files[at])]);
    }),
});

Deno.test("figures are words that say when WebAssembly is faster", () => {
  const rates = { flopPerSecond: 33.4e9, wasmFlopPerSecond: 45.6e9 };
  assertEquals(ratesText({ rates }), "33 GFLOP/s a core; WebAssembly: 46, which is faster");
  assertEquals(
    ratesText({ rates: { ...rates, flopPerSecond: 117e9 } }),
    "117 GFLOP/s a core; WebAssembly: 46",
  );
  assertEquals(ratesText({ rates: { why: "no process" } }), "not measured: no process");
});

/** Read where that is permitted: `/proc/cpuinfo` takes all permissions. */
const processor = JSON.parse(
  await program(
    'import { readProcessor } from "ROOTcpu/blas/processor.ts"; console.log(JSON.stringify(readProcessor()));',
    {},
  ),
) as Processor;
const { flags } = processor;
/** Loops that any processor with these flags runs, beside the widest: enough to tell one choice from another. */
const wider = coresToTry("Prescott", flags);

/** Runs a program of one line in a process of its own, without a core type but what it sets itself. */
async function program(text: string, env: Record<string, string>, flags = ["--allow-all"]): Promise<string> {
  const root = new URL("../", import.meta.url);
  const inherited = Deno.env.toObject();
  delete inherited[CORE_TYPE];
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-config",
      "--no-check",
      ...flags,
      `data:text/typescript,${encodeURIComponent(text.replaceAll("ROOT", root.href))}`,
    ],
    env: { ...inherited, NO_COLOR: "1", ...env },
    clearEnv: true,
    stdin: "null",
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

Deno.test({
  name: "OpenBLAS takes the core type that it is told in its process, and nobody else sees it",
  ignore: openblas === null || wider.length === 0,
  async fn() {
    for (const core of ["Nehalem", ...wider]) {
      const said = await program(
        `import { open } from "ROOTcpu/blas/open.ts";
        const { core } = open(${JSON.stringify(openblas)}, "${core}");
        console.log(core, Deno.env.get("${CORE_TYPE}"));`,
        {},
      );
      assertEquals(said.toLowerCase(), `${core} undefined`.toLowerCase());
    }
  },
});

Deno.test({
  name: "a library that would take loops of 128 bits is found wider, right and faster",
  ignore: openblas === null || wider.length === 0,
  async fn() {
    // As OpenBLAS 0.3.21 does by itself on processors that are newer than it.
    const asUnknown = (library: string, told: string | null) =>
      probeApart(library, told ?? "Nehalem").then((each) => ({ ...each, told }));
    const [narrow, wide] = await measure(
      openblas!,
      processor,
      null,
      asUnknown,
    ) as Measurement[];
    assertEquals([narrow.core?.toLowerCase(), narrow.wrong, wide.wrong], ["nehalem", null, null]);
    assertEquals(wide.core?.toLowerCase(), wide.told?.toLowerCase());
    // Registers of at least twice the width, and fused multiply-add.
    assert(wide.flopPerSecond > 1.3 * narrow.flopPerSecond, `${wide.flopPerSecond} ${narrow.flopPerSecond}`);
  },
});

Deno.test({
  name:
    "what was measured is kept, told to the library the next time, and left alone where the user says otherwise",
  ignore: openblas === null || wider.length === 0,
  fn: () =>
    inFolder(async (folder) => {
      const env = { XDG_CACHE_HOME: `${folder}/cache` };
      const ask = `import { findBlas } from "ROOTcpu/blas/find.ts";
        const found = await findBlas({ library: ${JSON.stringify(openblas)} });
        console.log(JSON.stringify(found));`;
      const first = JSON.parse(await program(ask, env));
      assert(first.rates.flopPerSecond > 1e9 && first.rates.wasmFlopPerSecond > 1e9, JSON.stringify(first));
      const [file] = [...Deno.readDirSync(`${folder}/cache/switchyard`)].map(({ name }) => name)
        .filter((name) => name.endsWith(".json"));
      const path = `${folder}/cache/switchyard/${file}`;
      const entries = JSON.parse(Deno.readTextFileSync(path));
      const [[key, { stamp, found: [own] }]] = Object.entries<{ stamp: string; found: Measurement[] }>(
        entries,
      );
      assertEquals(key, openblas);
      assertEquals(JSON.parse(await program(ask, env)), first);
      // What does not open may open tomorrow, when another package is there, so it is not kept.
      const broken = `${folder}/libopenblas.so`;
      Deno.writeTextFileSync(broken, "no library");
      const unopened = JSON.parse(await program(ask.replace(openblas!, broken), env));
      assert("why" in unopened && !unopened.opened, JSON.stringify(unopened));
      assertEquals(JSON.parse(Deno.readTextFileSync(path)), entries);
      // As if its own choice had been slow, and another core type ten times as fast.
      const core = wider.at(-1)!;
      const told = { ...own, core, told: core, name: own.name.replace(own.core!, core), flopPerSecond: 9e15 };
      const edited = { [key]: { stamp, found: [{ ...own, flopPerSecond: 1e9 }, told] } };
      Deno.writeTextFileSync(path, JSON.stringify(edited));
      const second = JSON.parse(await program(ask, env));
      assertEquals([second.told, second.name, second.rates.flopPerSecond], [core, told.name, 9e15]);
      // Without permission to set variables its own choice is left, and without one to start processes nothing is known.
      const mute = await program(ask, env, ["--allow-ffi", "--allow-run"]);
      assertEquals(JSON.parse(mute).told, null);
      const alone = JSON.parse(await program(ask, env, ["--allow-ffi"]));
      assertEquals([alone.told, alone.rates.why], [null, "running Deno is not permitted (--allow-run)"]);
      const narrow = await program(ask, { ...env, LD_LIBRARY_PATH: folder }, [
        "--allow-ffi",
        `--allow-run=${Deno.execPath()}`,
      ]);
      assertMatch(JSON.parse(narrow).rates.why, /^running Deno failed: .* LD_LIBRARY_PATH [^.]*$/);
      // The user's word stands, and has figures of its own.
      const user = JSON.parse(await program(ask, { ...env, [CORE_TYPE]: "Nehalem" }));
      assertEquals(user.told, null);
      assertMatch(user.name, /Nehalem$/i);
      assert(user.rates.flopPerSecond < 9e15);
      // Another file of that name is another library.
      Deno.writeTextFileSync(
        path,
        JSON.stringify({ [key]: { ...edited[key], stamp: "1 byte of yesterday" } }),
      );
      assert(JSON.parse(await program(ask, env)).rates.flopPerSecond < 9e15);
    }),
});
