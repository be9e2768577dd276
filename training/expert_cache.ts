// Banks of one expert each; those used most recently stay in memory.
import type { ExpertBank } from "../experts/expert.ts";
import { sizeOf } from "../kernels/kernel.ts";
import { releaseHeld } from "../tensor/memory.ts";

/** What experts that are left on disk have cost so far. */
export interface ExpertCacheStatistics {
  /** Times that an expert was asked for: once for each expert that a layer sends tokens to in a pass. */
  readonly asked: number;
  /** Times that it was in memory already. */
  readonly found: number;
  /** Bytes read. */
  readonly readBytes: number;
  /** Bytes of experts in memory now. */
  readonly heldBytes: number;
  /** The most of them at once. */
  readonly peakBytes: number;
  /** Bytes of all experts that are left on disk. */
  readonly allBytes: number;
}

/** Experts by name, the one used last at the end. */
export interface ExpertCache {
  /** The bank of a name, read where it is not in memory. It stays until another one needs its room. */
  take(name: string, read: () => Promise<ExpertBank>): Promise<ExpertBank>;
  /** Frees those whose names begin so. */
  drop(prefix: string): void;
  counts(): Omit<ExpertCacheStatistics, "allBytes">;
}

/** A cache of at most `limit` bytes, or of one expert that takes more. */
export function createExpertCache(limit: number): ExpertCache {
  const held = new Map<string, { readonly bank: ExpertBank; readonly bytes: number }>();
  const counts = { asked: 0, found: 0, readBytes: 0, heldBytes: 0, peakBytes: 0 };
  /** Passes on several handles ask one after another. */
  let last: Promise<unknown> = Promise.resolve();
  const free = (name: string) => {
    const { bank, bytes } = held.get(name)!;
    held.delete(name);
    bank.free?.();
    releaseHeld(Object.values(bank.params));
    counts.heldBytes -= bytes;
  };
  const take = async (name: string, read: () => Promise<ExpertBank>): Promise<ExpertBank> => {
    counts.asked++;
    const before = held.get(name);
    if (before) {
      counts.found++;
      held.delete(name);
      held.set(name, before);
      return before.bank;
    }
    const bank = await read();
    const bytes = Object.values(bank.params).reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
    for (const oldest of held.keys()) {
      if (counts.heldBytes + bytes <= limit) break;
      free(oldest);
    }
    held.set(name, { bank, bytes });
    counts.readBytes += bytes;
    counts.heldBytes += bytes;
    counts.peakBytes = Math.max(counts.peakBytes, counts.heldBytes);
    return bank;
  };
  return {
    take(name, read) {
      const taken = last.then(() => take(name, read));
      last = taken.catch(() => {});
      return taken;
    },
    drop(prefix) {
      for (const name of held.keys()) if (name.startsWith(prefix)) free(name);
    },
    counts: () => ({ ...counts }),
  };
}
