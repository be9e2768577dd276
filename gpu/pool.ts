// Memory for arrays on a GPU: buffers in size classes of 1/4 steps, kept in lists when freed. A step that asks for what
// the step before asked for gets the same blocks in the same places, so that its bind groups are there already: of the
// free blocks of a class the one made first is always taken.

const ALIGN = 256;

/** One GPU buffer that holds one array. Bytes past the array's end belong to it too. */
export interface Block {
  readonly number: number;
  readonly buffer: GPUBuffer;
  readonly bytes: number;
  /** The last submit that uses it. */
  lastSubmit: number;
  /** Arrays that lie in it; it is free when as many have released it. */
  holders: number;
}

/** What a pool holds. */
export interface PoolStatistics {
  /** Bytes in blocks handed out now. */
  readonly usedBytes: number;
  /** Bytes in all blocks, free ones included. */
  readonly heldBytes: number;
  /** Blocks, free ones included. */
  readonly blocks: number;
}

/** Blocks by size class. */
export interface Pool {
  /** A block of at least that size, with any content. Only what the queue has behind it may be changed from the host. */
  take(bytes: number): Block;
  /** The same, for values from the host: commands not yet submitted (`submit` is the next one) do not use it. */
  takeIdle(bytes: number, submit: number): Block;
  release(block: Block): void;
  statistics(): PoolStatistics;
}

/** Rounds up to a size class: four classes for each power of two, so at most a quarter of a block is unused. */
export function sizeClass(bytes: number): number {
  if (bytes <= ALIGN) return ALIGN;
  const power = 2 ** Math.floor(Math.log2(bytes - 1));
  const step = Math.max(ALIGN, power / 4);
  return Math.ceil(bytes / step) * step;
}

/** A pool of a device's buffers, each at most `largest` bytes. */
export function createPool(device: GPUDevice, largest: number): Pool {
  const free = new Map<number, Block[]>();
  let blocks = 0;
  let usedBytes = 0;
  let heldBytes = 0;

  function listOf(bytes: number): Block[] {
    let list = free.get(bytes);
    if (!list) free.set(bytes, list = []);
    return list;
  }

  /** Where a block is in its sorted list, or belongs. */
  function placeOf(list: readonly Block[], { number }: Block): number {
    let [low, high] = [0, list.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle].number < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  function use(block: Block): Block {
    usedBytes += block.bytes;
    block.holders = 1;
    return block;
  }

  function create(bytes: number): Block {
    const buffer = device.createBuffer({
      size: bytes,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    heldBytes += bytes;
    return use({ number: blocks++, buffer, bytes, lastSubmit: -1, holders: 0 });
  }

  const classOf = (bytes: number) => Math.min(sizeClass(bytes), largest);

  return {
    take(bytes) {
      const size = classOf(bytes);
      const block = listOf(size).shift();
      return block ? use(block) : create(size);
    },
    takeIdle(bytes, submit) {
      const size = classOf(bytes);
      const list = listOf(size);
      const at = list.findIndex((block) => block.lastSubmit < submit);
      return at < 0 ? create(size) : use(list.splice(at, 1)[0]);
    },
    release(block) {
      if (--block.holders > 0) return;
      usedBytes -= block.bytes;
      const list = listOf(block.bytes);
      list.splice(placeOf(list, block), 0, block);
    },
    statistics: () => ({ usedBytes, heldBytes, blocks }),
  };
}
