// Finds a BLAS for this process. All that needs the disk or might crash happens in another (survey.ts); without permission
// to start one, what opens first is taken as it is.
import { choose, whyNot } from "./choose.ts";
import type { Blas, NoBlas, Rates, Survey } from "./measurement.ts";
import { CORE_TYPE, isPermitted, NOT_PERMITTED, open } from "./open.ts";

/** What is tried where nothing can be measured, in this order; the system's loader looks names up. */
const USUAL: Readonly<Record<string, readonly string[]>> = {
  linux: ["libopenblasp.so.0", "libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2"],
  darwin: [
    "/System/Library/Frameworks/Accelerate.framework/Accelerate",
    "/opt/homebrew/opt/openblas/lib/libopenblas.dylib",
    "/usr/local/opt/openblas/lib/libopenblas.dylib",
  ],
  windows: ["libopenblas.dll", "openblas.dll", "mkl_rt.2.dll"],
};

/**
 * Finds the fastest BLAS: OpenBLAS, MKL, BLIS, oneDNN, Accelerate or the products of onnxruntime, of the system, a Python
 * environment or npm, in a build that several threads may call at once, right and faster than WebAssembly. A process of its own
 * (`--allow-run`) checks and times what there is, tells OpenBLAS to use the widest registers that the processor has where
 * it would not, unless the user did (`OPENBLAS_CORETYPE`), and keeps the figures in the user's cache folder. Without that
 * permission the first library that opens is taken, and `rates` says why they are missing. Where Deno, or its permission,
 * is missing, that is the answer; nothing prompts and nothing throws.
 * @param options.library A path, or `auto` (default). A library that is named may be slower than WebAssembly.
 * @param options.threads Threads that will call it; with 1 a build for one thread at a time will do. Default: 2.
 * @example
 * ```ts
 * import { findBlas } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const found = await findBlas({ library: "/nowhere/libopenblas.so" });
 * assertEquals("why" in found, true);
 * const here = await findBlas();
 * console.log("why" in here ? `no BLAS: ${here.why}` : `${here.name} in ${here.library}`);
 * ```
 */
export async function findBlas(
  options: { readonly library?: string; readonly threads?: number } = {},
): Promise<Blas | NoBlas> {
  const { library = "auto", threads = 2 } = options;
  if (!("Deno" in globalThis) || typeof Deno.dlopen !== "function") {
    return { why: "only Deno can open a library", opened: false };
  }
  if (library === "") return open(library) as NoBlas;
  const names = library === "auto" ? USUAL[Deno.build.os] ?? [] : [library];
  if (names.length > 0 && !names.some(isPermitted)) return NOT_PERMITTED;
  const survey = await surveyBlas({ library });
  if ("why" in survey) return openFirst(names, threads, survey);
  const mayTell = Deno.permissions.querySync({ name: "env", variable: CORE_TYPE }).state === "granted";
  const chosen = choose(survey, { threads, mayTell, named: library !== "auto" });
  return "why" in chosen ? chosen : openHere(chosen.library, chosen.told, chosen);
}

/** Asks another process what there is, or says why none can be asked. `fresh` measures what was measured before too. */
export async function surveyBlas(
  question: { readonly library: string; readonly fresh?: boolean },
): Promise<Survey | { readonly why: string }> {
  if (Deno.build.standalone) return { why: "a compiled program cannot start Deno" };
  const command = Deno.execPath();
  if (Deno.permissions.querySync({ name: "run", command }).state !== "granted") {
    return { why: "running Deno is not permitted (--allow-run)" };
  }
  const program = new URL("survey.ts", import.meta.url).href;
  const args = ["run", "--allow-all", "--no-config", "--quiet", program, JSON.stringify(question)];
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    if (!success) return { why: `looking for one failed: ${text(stderr).split("\n")[0]}` };
    return JSON.parse(text(stdout));
  } catch (error) {
    // A permission to run Deno alone does not hold where LD_LIBRARY_PATH and the like are set.
    return { why: `running Deno failed: ${(error as Error).message.split(". ")[0]}` };
  }
}

/** Opens a measured library here, where another part of the program may have loaded it under another core type. */
function openHere(library: string, told: string | null, rates: Rates & { name: string }): Blas | NoBlas {
  const found = open(library, told);
  if ("why" in found) return found;
  if (found.name !== rates.name) {
    return { ...found, told, rates: { why: `measured as ${rates.name}, but loaded otherwise before` } };
  }
  const { flopPerSecond, wasmFlopPerSecond } = rates;
  return { ...found, told, rates: { flopPerSecond, wasmFlopPerSecond } };
}

function openFirst(
  names: readonly string[],
  threads: number,
  rates: { readonly why: string },
): Blas | NoBlas {
  const refused: string[] = [];
  let first = "";
  for (const name of names.filter(isPermitted)) {
    const found = open(name);
    const why = "why" in found ? found.why : whyNot(found, threads);
    if (!("why" in found) && why === null) return { ...found, told: null, rates };
    first ||= why!;
    if (!("why" in found) || found.opened) refused.push(names.length === 1 ? why! : `${name}: ${why}`);
  }
  if (refused.length > 0) return { why: refused.join("; "), opened: true };
  return { why: names.length === 1 ? first : `none of ${names.join(", ")} can be opened`, opened: false };
}
