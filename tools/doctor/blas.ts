// Which system BLAS a program could call: those that the system's loader finds, where FFI is permitted.

/** A library, or why there is none. */
export type FoundBlas = { readonly name: string; readonly library: string } | { readonly why: string };

const LIBRARIES: Readonly<Record<string, readonly string[]>> = {
  linux: ["libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libblis.so.4"],
  darwin: ["/System/Library/Frameworks/Accelerate.framework/Accelerate", "libopenblas.dylib"],
  windows: ["libopenblas.dll", "mkl_rt.2.dll"],
};

/** The first library that can be opened and multiplies; never asks for a permission. */
export function findBlas(): FoundBlas {
  const names = LIBRARIES[Deno.build.os] ?? [];
  const granted = (path: string) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted";
  const permitted = names.filter(granted);
  if (permitted.length === 0) return { why: "FFI is not permitted (--allow-ffi)" };
  for (const library of permitted) {
    try {
      Deno.dlopen(library, { cblas_sgemm: { parameters: [], result: "void" } }).close();
    } catch {
      continue;
    }
    const name = ["OpenBLAS", "MKL", "BLIS", "Accelerate"].find((each) =>
      library.toLowerCase().includes(each.toLowerCase())
    );
    return { name: name ?? library, library };
  }
  return { why: `there is none of ${permitted.join(", ")}` };
}
