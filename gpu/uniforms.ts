// Numbers that dispatches read, in a ring of small slots. Equal numbers share a slot, so a step that repeats the last
// one uploads nothing; what is new since the last submit goes up in one write.

const SLOTS = 2048;
/** What one dispatch may read. */
export const UNIFORM_BYTES = 128;

/** Uniforms of one device. */
export interface Uniforms {
  readonly buffer: GPUBuffer;
  /** Offset of a slot with these numbers; null when every slot is taken by commands not yet submitted. */
  place(integers: readonly number[], floats: readonly number[]): number | null;
  /** Uploads what is new. Must come right before a submit. */
  upload(): void;
  statistics(): { readonly uniformBytes: number };
}

/** A ring on a device; `alignment` is the device's for offsets. */
export function createUniforms(device: GPUDevice, alignment: number): Uniforms {
  const slotBytes = Math.max(UNIFORM_BYTES, alignment);
  const buffer = device.createBuffer({
    size: SLOTS * slotBytes,
    usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  });
  const words = new Int32Array(SLOTS * slotBytes / 4);
  /** What is asked for now: whole numbers, then the bits of floats. */
  const asked = new Int32Array(UNIFORM_BYTES / 4);
  const askedFloats = new Float32Array(asked.buffer);
  /** The slot that last took numbers of a hash; which numbers, `words` knows. */
  const slotOf = new Map<number, number>();
  const hashes = new Int32Array(SLOTS);
  const lengths = new Int32Array(SLOTS);
  /** Slots that commands not yet submitted read, and those that the commands before them read. */
  let pending = new Set<number>();
  let recent = new Set<number>();
  let next = 0;
  let firstNew = SLOTS;
  let afterNew = 0;
  let uniformBytes = 0;

  /** What the last submit read is kept for the next, which is likely to repeat it, while there is room. */
  function kept(slot: number): boolean {
    return pending.has(slot) || (recent.has(slot) && pending.size + recent.size < SLOTS);
  }

  function holds(slot: number, length: number): boolean {
    if (lengths[slot] !== length) return false;
    const start = slot * slotBytes / 4;
    for (let at = 0; at < length; at++) if (words[start + at] !== asked[at]) return false;
    return true;
  }

  return {
    buffer,
    place(integers, floats) {
      let length = 0;
      for (const value of integers) asked[length++] = value;
      for (const value of floats) askedFloats[length++] = value;
      if (length > asked.length) {
        throw new RangeError(`Cannot dispatch with ${length} numbers: programs read at most ${asked.length}`);
      }
      let hash = length;
      for (let at = 0; at < length; at++) hash = Math.imul(hash ^ asked[at], 0x01000193) ^ (hash >>> 15);
      let slot = slotOf.get(hash);
      if (slot === undefined || !holds(slot, length)) {
        if (pending.size >= SLOTS) return null;
        while (kept(next)) next = (next + 1) % SLOTS;
        slot = next;
        next = (next + 1) % SLOTS;
        if (slotOf.get(hashes[slot]) === slot) slotOf.delete(hashes[slot]);
        slotOf.set(hash, slot);
        hashes[slot] = hash;
        lengths[slot] = length;
        words.set(asked.subarray(0, length), slot * slotBytes / 4);
        firstNew = Math.min(firstNew, slot);
        afterNew = Math.max(afterNew, slot + 1);
      }
      pending.add(slot);
      return slot * slotBytes;
    },
    upload() {
      if (afterNew > firstNew) {
        const at = firstNew * slotBytes;
        const bytes = (afterNew - firstNew) * slotBytes;
        device.queue.writeBuffer(buffer, at, words, at / 4, bytes / 4);
        uniformBytes += bytes;
      }
      [recent, pending] = [pending, recent];
      pending.clear();
      firstNew = SLOTS;
      afterNew = 0;
    },
    statistics: () => ({ uniformBytes }),
  };
}
