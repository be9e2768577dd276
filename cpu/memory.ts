// The memory that a backend's arrays lie in: shared between threads where the engine lets it be, with the largest maximum
// that it grants, and the reason where that is less than all.

const PAGE = 65536;
/** Maxima to ask for, in pages, from 4 GiB down to 256 MiB: some engines set a shared memory's whole maximum aside. */
const MAXIMA = [65536, 32768, 16384, 8192, 4096] as const;
const INITIAL = 64;

/** A memory, and what it may grow to. */
export interface OpenMemory {
  readonly memory: WebAssembly.Memory;
  readonly shared: boolean;
  readonly heapBytes: number;
  /** Why threads cannot share it; null where they can. */
  readonly unsharedWhy: string | null;
  /** Why it may not grow to 4 GiB; null where it may. */
  readonly smallWhy: string | null;
}

/** Why threads cannot share memory here, as far as can be told without trying; null where they can. */
export function whyNotShared(): string | null {
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) {
    return "this page is not cross-origin isolated: serve it with the headers Cross-Origin-Opener-Policy: same-origin " +
      "(COOP) and Cross-Origin-Embedder-Policy: require-corp (COEP)";
  }
  return typeof SharedArrayBuffer === "undefined" ? "this engine has no SharedArrayBuffer" : null;
}

/**
 * Opens a memory.
 * @param wish True or false for a memory that is shared or is not, undefined for one that is shared where that can be.
 * @throws {Error} when `wish` is true and the engine shares none, or it has no memory of any size.
 */
export function openMemory(wish: boolean | undefined): OpenMemory {
  let unsharedWhy = wish === false ? "memory is not shared (shared: false)" : whyNotShared();
  if (unsharedWhy === null) {
    const found = largest(true);
    if ("memory" in found) return { ...found, shared: true, unsharedWhy };
    unsharedWhy = `this engine refuses shared memory, even with a maximum of ${found.refused}`;
  }
  if (wish === true) throw new Error(`Cannot share memory between threads: ${unsharedWhy}`);
  const found = largest(false);
  if ("memory" in found) return { ...found, shared: false, unsharedWhy };
  throw new Error(
    `Cannot open the CPU backend: this engine refuses memory, even with a maximum of ${found.refused}`,
  );
}

type Found = Pick<OpenMemory, "memory" | "heapBytes" | "smallWhy"> | { readonly refused: string };

/** The memory of largest maximum that the engine grants, or what it said to the smallest. */
function largest(shared: boolean): Found {
  let refused = "";
  for (const maximum of MAXIMA) {
    try {
      const memory = new WebAssembly.Memory({ initial: INITIAL, maximum, shared });
      const smallWhy = refused === "" ? null : `this engine refuses a memory with a maximum of ${refused}`;
      return { memory, heapBytes: maximum * PAGE, smallWhy };
    } catch (error) {
      refused = `${sizeText(maximum * PAGE)} (${(error as Error).message})`;
    }
  }
  return { refused };
}

/** A power of two of bytes, in MiB or GiB. */
export function sizeText(bytes: number): string {
  return bytes >= 2 ** 30 ? `${bytes / 2 ** 30} GiB` : `${bytes / 2 ** 20} MiB`;
}
