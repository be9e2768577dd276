// Memory for arrays inside one WebAssembly heap: a block is cut from the free span of lowest address that is long enough,
// and joined with its neighbours when freed. A training step frees whatever it made, so the next one that asks for the
// same sizes finds the same places, and nothing is carved anew.

const PAGE = 65536;
const ALIGN = 64;
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
  /** One more holder of a block: it is free when as many have released it. */
  share(address: number): void;
  release(address: number): void;
  statistics(): HeapStatistics;
}

/** What a block takes: whole cache lines, so that no two threads write to one, and at least one. */
export function blockBytes(bytes: number): number {
  return Math.max(ALIGN, Math.ceil(bytes / ALIGN) * ALIGN);
}

interface Block {
  readonly bytes: number;
  holders: number;
}

/** A heap on `memory` from `base` upwards; grows the memory when it must, up to `most` bytes, which it may not pass. */
export function createHeap(memory: WebAssembly.Memory, base: number, most: number): Heap {
  const limitPages = Math.floor(most / PAGE);
  const start = Math.ceil(base / ALIGN) * ALIGN;
  /** Free spans by address: no two touch. */
  const from: number[] = [];
  const to: number[] = [];
  const blocks = new Map<number, Block>();
  let top = start;
  let usedBytes = 0;

  /** True when the memory reaches to `end`. */
  function reach(end: number): boolean {
    const have = memory.buffer.byteLength / PAGE;
    const missing = Math.ceil(end / PAGE) - have;
    if (missing <= 0) return true;
    if (have + missing > limitPages) return false;
    for (const pages of [Math.min(limitPages - have, Math.max(missing, GROW_PAGES)), missing]) {
      try {
        memory.grow(pages);
        return true;
      } catch {
        // The system has no more.
      }
    }
    return false;
  }

  function whereItEnds(bytes: number): string {
    return endWith(bytes) > most
      ? `this WebAssembly heap ends at ${most} bytes`
      : `the system refuses memory past ${memory.buffer.byteLength} bytes`;
  }

  /** Whether the last span ends at the top, where memory is carved. */
  function isOpen(): boolean {
    return to.at(-1) === top;
  }

  /** Where the last span would end with a block at its end. */
  function endWith(bytes: number): number {
    return (isOpen() ? from[from.length - 1] : top) + bytes;
  }

  /** Makes the last span, which ends at the top, long enough; false where memory ends. */
  function carve(bytes: number): boolean {
    const open = isOpen();
    const end = endWith(bytes);
    if (!reach(end)) return false;
    if (open) to[to.length - 1] = end;
    else {
      from.push(top);
      to.push(end);
    }
    top = end;
    return true;
  }

  function add(address: number, end: number): void {
    let [low, high] = [0, from.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (from[middle] < address) low = middle + 1;
      else high = middle;
    }
    const joinsBefore = low > 0 && to[low - 1] === address;
    const joinsAfter = from[low] === end;
    if (joinsBefore && joinsAfter) {
      to[low - 1] = to[low];
      from.splice(low, 1);
      to.splice(low, 1);
    } else if (joinsBefore) to[low - 1] = end;
    else if (joinsAfter) from[low] = address;
    else {
      from.splice(low, 0, address);
      to.splice(low, 0, end);
    }
  }

  function held(address: number, act: string): Block {
    const block = blocks.get(address);
    if (block) return block;
    throw new RangeError(`Cannot ${act} address ${address}: it is not allocated`);
  }

  return {
    allocate(wanted) {
      const bytes = blockBytes(wanted);
      let at = 0;
      while (at < from.length && to[at] - from[at] < bytes) at++;
      if (at === from.length) {
        if (!carve(bytes)) {
          throw new RangeError(
            `Cannot allocate ${wanted} bytes on the CPU backend: ${usedBytes} bytes are in use, no free piece is ` +
              `large enough, and ${whereItEnds(bytes)}`,
          );
        }
        at = from.length - 1;
      }
      const address = from[at];
      from[at] += bytes;
      if (from[at] === to[at]) {
        from.splice(at, 1);
        to.splice(at, 1);
      }
      blocks.set(address, { bytes, holders: 1 });
      usedBytes += bytes;
      return address;
    },
    share(address) {
      held(address, "share").holders++;
    },
    release(address) {
      const block = held(address, "free");
      if (--block.holders > 0) return;
      blocks.delete(address);
      usedBytes -= block.bytes;
      add(address, address + block.bytes);
    },
    statistics: () => ({ usedBytes, carvedBytes: top - start }),
  };
}
