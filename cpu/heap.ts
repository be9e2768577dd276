// Memory for arrays inside one WebAssembly heap: blocks in size classes of 1/4 steps, kept in lists when freed.
// A training step asks for the same sizes again and again, so after the first step nothing is carved anew.

const PAGE = 65536;
const ALIGN = 64;
const LIMIT_PAGES = 65536;

/** What a heap holds, in bytes. */
export interface HeapStatistics {
  /** Bytes in blocks handed out now. */
  readonly usedBytes: number;
  /** Bytes carved from the heap since the start: the peak. */
  readonly carvedBytes: number;
}

export interface Heap {
  allocate(bytes: number): number;
  release(address: number): void;
  statistics(): HeapStatistics;
}

/** Rounds up to a size class: four classes for each power of two, so at most a quarter of a block is unused. */
export function sizeClass(bytes: number): number {
  if (bytes <= ALIGN) return ALIGN;
  const power = 2 ** Math.floor(Math.log2(bytes - 1));
  const step = Math.max(ALIGN, power / 4);
  return Math.ceil(bytes / step) * step;
}

/** A heap on `memory` from `base` upwards; grows the memory when it must, up to 4 GiB. */
export function createHeap(memory: WebAssembly.Memory, base: number): Heap {
  let top = Math.ceil(base / ALIGN) * ALIGN;
  const start = top;
  const free = new Map<number, number[]>();
  const sizes = new Map<number, number>();
  let usedBytes = 0;

  function carve(bytes: number): number {
    const end = top + bytes;
    const missing = Math.ceil((end - memory.buffer.byteLength) / PAGE);
    if (missing > 0) {
      const have = memory.buffer.byteLength / PAGE;
      const generous = Math.min(LIMIT_PAGES - have, Math.max(missing, 256));
      try {
        if (have + missing > LIMIT_PAGES) throw new RangeError();
        memory.grow(generous);
      } catch {
        throw new RangeError(
          `Cannot allocate ${bytes} bytes on the CPU backend: ${usedBytes} bytes are in use and ` +
            `a WebAssembly heap ends at ${LIMIT_PAGES * PAGE} bytes`,
        );
      }
    }
    const address = top;
    top = end;
    return address;
  }

  return {
    allocate(bytes) {
      const size = sizeClass(bytes);
      const list = free.get(size);
      const address = list?.pop() ?? carve(size);
      sizes.set(address, size);
      usedBytes += size;
      return address;
    },
    release(address) {
      const size = sizes.get(address);
      if (size === undefined) throw new RangeError(`Cannot free address ${address}: it is not allocated`);
      sizes.delete(address);
      usedBytes -= size;
      const list = free.get(size);
      if (list) list.push(address);
      else free.set(size, [address]);
    },
    statistics: () => ({ usedBytes, carvedBytes: top - start }),
  };
}
