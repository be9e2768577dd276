// Memory for arrays inside one WebAssembly heap: blocks in size classes of 1/4 steps, kept in lists when freed. A
// training step asks for the same sizes again and again, so after the first step nothing is carved anew; only when the
// memory can grow no further are free blocks of other classes joined with their neighbours and cut up.

const PAGE = 65536;
const ALIGN = 64;
const LIMIT_PAGES = 65536;
/** Growing copies nothing but takes time: at least so many pages at once. */
const GROW_PAGES = 256;

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

interface Span {
  readonly address: number;
  readonly bytes: number;
}

/** A heap on `memory` from `base` upwards; grows the memory when it must, up to its own maximum or 4 GiB. */
export function createHeap(memory: WebAssembly.Memory, base: number): Heap {
  let top = Math.ceil(base / ALIGN) * ALIGN;
  const start = top;
  const free = new Map<number, number[]>();
  const sizes = new Map<number, number>();
  /** What was joined and belongs to no class, by address. */
  let spans: Span[] = [];
  let usedBytes = 0;
  let peak = top;

  /** True when the memory reaches to `end`. */
  function reach(end: number): boolean {
    const have = memory.buffer.byteLength / PAGE;
    const missing = Math.ceil(end / PAGE) - have;
    if (missing <= 0) return true;
    if (have + missing > LIMIT_PAGES) return false;
    for (const pages of [Math.min(LIMIT_PAGES - have, Math.max(missing, GROW_PAGES)), missing]) {
      try {
        memory.grow(pages);
        return true;
      } catch {
        // It has a maximum of its own, or the system has no more.
      }
    }
    return false;
  }

  function carve(bytes: number): number | null {
    if (!reach(top + bytes)) return null;
    const address = top;
    top += bytes;
    peak = Math.max(peak, top);
    return address;
  }

  /** Cuts a block from the first span that is long enough. */
  function cut(bytes: number): number | null {
    const at = spans.findIndex((span) => span.bytes >= bytes);
    if (at < 0) return null;
    const { address, bytes: length } = spans[at];
    spans.splice(at, 1, ...(length > bytes ? [{ address: address + bytes, bytes: length - bytes }] : []));
    return address;
  }

  /** Joins everything free into spans as long as can be. */
  function join(): void {
    const pieces = [...spans];
    for (const [bytes, list] of free) for (const address of list) pieces.push({ address, bytes });
    free.clear();
    pieces.sort((a, b) => a.address - b.address);
    spans = [];
    for (const piece of pieces) {
      const before = spans.at(-1);
      if (before && before.address + before.bytes === piece.address) {
        spans[spans.length - 1] = { address: before.address, bytes: before.bytes + piece.bytes };
      } else spans.push(piece);
    }
    // What ends at the top is carved anew, with what the memory still has above it.
    const last = spans.at(-1);
    if (last && last.address + last.bytes === top) {
      top = last.address;
      spans.pop();
    }
  }

  function joined(bytes: number): number | null {
    join();
    return cut(bytes) ?? carve(bytes);
  }

  return {
    allocate(bytes) {
      const size = sizeClass(bytes);
      const address = free.get(size)?.pop() ?? cut(size) ?? carve(size) ?? joined(size);
      if (address === null) {
        throw new RangeError(
          `Cannot allocate ${bytes} bytes on the CPU backend: ${usedBytes} bytes are in use, no free piece is ` +
            `large enough, and a WebAssembly heap ends at ${LIMIT_PAGES * PAGE} bytes`,
        );
      }
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
    statistics: () => ({ usedBytes, carvedBytes: peak - start }),
  };
}
