// Stable sort of 32-bit keys with their entry numbers: four counting passes of a byte each. Time grows with the number
// of entries only, which beats comparing once more than a few dozen entries are wanted.

/** Bytes of memory that sorting `count` entries takes. */
// @ts-ignore: decorator
@inline
export function sortBytes(count: i32): usize {
  return (<usize>count << 4) + 1024;
}

/** A key that sorts floats from highest to lowest; equal numbers (0 and -0 too) get equal keys, NaN the last. */
// @ts-ignore: decorator
@inline
export function descendingKey(value: f32): u32 {
  if (value != value) return 0xffffffff;
  const bits = reinterpret<i32>(value + 0);
  return bits < 0 ? <u32>bits : <u32>(~bits) & 0x7fffffff;
}

/**
 * Sorts by key, ascending. `at` holds `count` pairs of (key, entry), and as much room again plus 1024 bytes behind
 * them; the sorted pairs are left at `at`.
 */
export function sortPairs(at: usize, count: i32): void {
  const bytes = <usize>count << 3;
  const counts = at + 2 * bytes;
  let source = at, target = at + bytes;
  for (let shift = 0; shift < 32; shift += 8) {
    memory.fill(counts, 0, 1024);
    const end = source + bytes;
    for (let pair = source; pair < end; pair += 8) {
      const slot = counts + (<usize>((load<u32>(pair) >> shift) & 255) << 2);
      store<u32>(slot, load<u32>(slot) + 8);
    }
    let next: u32 = 0;
    for (let slot = counts; slot < counts + 1024; slot += 4) {
      const size = load<u32>(slot);
      store<u32>(slot, next);
      next += size;
    }
    for (let pair = source; pair < end; pair += 8) {
      const value = load<u64>(pair);
      const slot = counts + (<usize>((<u32>value >> shift) & 255) << 2);
      const place = load<u32>(slot);
      store<u32>(slot, place + 8);
      store<u64>(target + place, value);
    }
    const other = source;
    source = target;
    target = other;
  }
}
