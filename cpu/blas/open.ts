// Opens a library in this process, under a core type where OpenBLAS is to be told one, and says what it is.
import type { Binding, Sgemm } from "./binding.ts";
import { openProduct } from "./product.ts";
import { families, identify, type Identity, type Tellers, tooOld } from "./families.ts";
import type { Measurement, NoBlas } from "./measurement.ts";

/** The variable that OpenBLAS reads, once, while it is loaded. */
export const CORE_TYPE = "OPENBLAS_CORETYPE";

/** A library that is open. */
export type Opened = Identity & Pick<Measurement, "library">;

/** A library's product for this thread, on memory that begins at `origin` in the process. */
export function openTold(
  blas: Binding & { readonly told: string | null },
  memory: WebAssembly.Memory,
  origin: bigint,
): Sgemm {
  return withCore(blas.told, () => openProduct(blas, memory, origin));
}

/** Opens a library and asks it what it is; nothing prompts and nothing throws. */
export function open(library: string, core: string | null = null): Opened | NoBlas {
  // An empty path opens the program itself.
  if (library === "") return { why: "the path is empty", opened: false };
  if (!isPermitted(library)) return NOT_PERMITTED;
  try {
    return withCore(core, () => lookAt(library));
  } catch (error) {
    return { why: (error as Error).message.replaceAll("Could not open library: ", ""), opened: false };
  }
}

/** There is FFI, but not for this program. */
export const NOT_PERMITTED: NoBlas = { why: "FFI is not permitted (--allow-ffi)", opened: false };

/** Whether Deno lets this program open a library. */
export function isPermitted(library: string): boolean {
  return Deno.permissions.querySync({ name: "ffi", path: library }).state === "granted";
}

/** Runs `load`, which loads OpenBLAS, with the core type in its variable, and then restores the variable's own value. */
function withCore<T>(core: string | null, load: () => T): T {
  if (core === null) return load();
  const own = Deno.env.get(CORE_TYPE);
  Deno.env.set(CORE_TYPE, core);
  try {
    return load();
  } finally {
    if (own === undefined) Deno.env.delete(CORE_TYPE);
    else Deno.env.set(CORE_TYPE, own);
  }
}

const there = { parameters: [], result: "void", optional: true } as const;
const teller = { parameters: [], result: "pointer", optional: true } as const;

function lookAt(library: string): Opened | NoBlas {
  let multiplies = false;
  for (const family of families) {
    const { text = "-", core = "-", fill = "-" } = family.tellers;
    const { symbols } = Deno.dlopen(library, {
      sgemm: { ...there, name: family.sgemm },
      setThreads: { ...there, name: family.setThreads?.name ?? "-" },
      text: { ...teller, name: text },
      core: { ...teller, name: core },
      fill: { name: fill, parameters: ["buffer", "i32"], result: "void", optional: true },
    });
    multiplies ||= symbols.sgemm !== null;
    if (symbols.sgemm && (symbols.setThreads || family.setThreads === null)) {
      const found = identify(family, symbols as unknown as Tellers);
      const why = tooOld(found);
      return why === null ? { library, ...found } : { why, opened: true };
    }
  }
  const known = [...new Set(families.map(({ family }) => family))].join(", ");
  const why = multiplies
    ? `it is none of ${known} (of macOS 15 or newer)`
    : "it has no cblas_sgemm, nor a product of another name that is known";
  return { why, opened: true };
}
