// The libraries that are known: how each is told from the others, what it says of itself, and how it is called.
import type { Binding } from "./binding.ts";

/** What a library says of itself, and how it is called. */
export interface Identity extends Omit<Binding, "library"> {
  /** Name, version and, where it tells, the processor it chose its loops for: what decides the bits of its results. */
  readonly name: string;
  /** OpenBLAS's name of those loops; null elsewhere. */
  readonly core: string | null;
  /** True for a build that only one thread at a time may call. */
  readonly singleThreaded: boolean;
}

/** Functions that say what a library is; null where it has none of that name. */
export interface Tellers {
  readonly text?: (() => Deno.PointerValue) | null;
  readonly core?: (() => Deno.PointerValue) | null;
  readonly fill?: ((bytes: Uint8Array<ArrayBuffer>, length: number) => void) | null;
}

/** One kind of library. */
interface Family extends Omit<Binding, "library"> {
  readonly family: "OpenBLAS" | "MKL" | "BLIS" | "oneDNN" | "Accelerate" | "onnxruntime";
  /** Names of functions that tell: one that returns a text (or a version), the core's name, one that fills a buffer. */
  readonly tellers: { readonly text?: string; readonly core?: string; readonly fill?: string };
}

/** A call of some hundred nanoseconds pays from here on. */
const LEAST_PRODUCT = 40_000;

/** OpenBLAS, whose builds for Python put words before and behind every name so that several can be loaded at once. */
function openblas(before: string, behind: string): Family {
  return {
    family: "OpenBLAS",
    sgemm: `${before}cblas_sgemm${behind}`,
    style: "cblas",
    integers: behind === "" ? "i32" : "i64",
    setThreads: { name: `${before}openblas_set_num_threads${behind}`, integer: "i32" },
    leastProduct: LEAST_PRODUCT,
    tellers: {
      text: `${before}openblas_get_config${behind}`,
      core: `${before}openblas_get_corename${behind}`,
    },
  };
}

const cblas = {
  sgemm: "cblas_sgemm",
  style: "cblas",
  integers: "i32",
  leastProduct: LEAST_PRODUCT,
} as const;

/** A library is the first of these whose product and threads' function it has. */
export const families: readonly Family[] = [
  openblas("", ""),
  openblas("", "64_"),
  openblas("scipy_", ""),
  openblas("scipy_", "64_"),
  {
    ...cblas,
    family: "MKL",
    setThreads: { name: "MKL_Set_Num_Threads", integer: "i32" },
    tellers: { fill: "MKL_Get_Version_String" },
  },
  {
    ...cblas,
    family: "BLIS",
    setThreads: { name: "bli_thread_set_num_threads", integer: "i64" },
    tellers: { text: "bli_info_get_version_str" },
  },
  {
    family: "oneDNN",
    sgemm: "dnnl_sgemm",
    style: "dnnl",
    integers: "i64",
    setThreads: { name: "omp_set_num_threads", integer: "i32" },
    leastProduct: LEAST_PRODUCT,
    tellers: { text: "dnnl_version" },
  },
  {
    ...cblas,
    family: "Accelerate",
    setThreads: { name: "BLASSetThreading", integer: "i32" },
    tellers: {},
  },
  {
    family: "onnxruntime",
    sgemm: "OrtGetApiBase",
    style: "onnxruntime",
    integers: "i32",
    setThreads: null,
    // A call takes 10 us, which WebAssembly needs for about 400,000.
    leastProduct: 500_000,
    tellers: { text: "OrtGetApiBase" },
  },
];

/** Why a library is too old to be called as its family is, or null. */
export function tooOld({ style, name }: Identity): string | null {
  if (style !== "onnxruntime" || /^onnxruntime 1\.(1[7-9]|[2-9]\d)\./.test(name)) return null;
  return `it is ${name}; 1.17 or a later 1 is needed`;
}

/** What a library of a family is, by its own account. */
export function identify(family: Family, tell: Tellers): Identity {
  const { sgemm, style, setThreads, integers, leastProduct } = family;
  const known = { sgemm, style, setThreads, integers, leastProduct, core: null, singleThreaded: false };
  switch (family.family) {
    case "OpenBLAS": {
      const config = textAt(tell.text?.() ?? null);
      const core = textAt(tell.core?.() ?? null);
      const version = config.match(/^OpenBLAS \S+/)?.[0] ?? "OpenBLAS";
      return {
        ...known,
        name: `${version} ${core}`.trim(),
        core: core || null,
        integers: config.includes("USE64BITINT") ? "i64" : family.integers,
        singleThreaded: config.includes("SINGLE_THREADED"),
      };
    }
    case "MKL": {
      const bytes = new Uint8Array(256);
      tell.fill?.(bytes, bytes.length);
      // Intel(R) oneAPI Math Kernel Library Version 2026.2-Product Build 20260915 for Intel(R) 64 architecture ...
      const version = new TextDecoder().decode(bytes).match(/ Version (\d[\d.]*)/)?.[1] ?? "";
      return { ...known, name: `MKL ${version}`.trim() };
    }
    case "oneDNN": {
      const version = tell.text?.() ?? null;
      const numbers = version === null
        ? []
        : [0, 4, 8].map((at) => new Deno.UnsafePointerView(version).getInt32(at));
      return { ...known, name: `oneDNN ${numbers.join(".")}`.trim() };
    }
    case "onnxruntime": {
      // The second of the base's two functions gives the version.
      const base = new Deno.UnsafePointerView(tell.text!()!);
      const address = base.getPointer(8) as Deno.PointerObject<typeof GIVES_TEXT>;
      return {
        ...known,
        name: `onnxruntime ${textAt(new Deno.UnsafeFnPointer(address, GIVES_TEXT).call())}`,
      };
    }
    default:
      return { ...known, name: `${family.family} ${textAt(tell.text?.() ?? null)}`.trim() };
  }
}

const GIVES_TEXT = { parameters: [], result: "pointer" } as const;

function textAt(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}
