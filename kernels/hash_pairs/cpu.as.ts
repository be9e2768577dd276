// A unit is a block of 1024 pairs; about 3 nanoseconds each.
import { address, integer } from "../parts/arguments.as";

// @ts-ignore: decorator
@inline
function absorb(hash: u32, word: u32): u32 {
  hash ^= rotl<u32>(word * 0xCC9E2D51, 15) * 0x1B873593;
  return rotl<u32>(hash, 13) * 5 + 0xE6546B64;
}

export function hashPairs(from: i32, to: i32, list: usize): void {
  const a = address(list, 0), b = address(list, 1), y = address(list, 2);
  const stop = <usize>min(to << 10, integer(list, 3)), seed = <u32>integer(list, 4), groups = <u32>integer(list, 5);
  for (let n = <usize>(from << 10); n < stop; n++) {
    let hash = absorb(absorb(seed, load<u32>(a + (n << 2))), load<u32>(b + (n << 2))) ^ 8;
    hash = (hash ^ (hash >> 16)) * 0x85EBCA6B;
    hash = (hash ^ (hash >> 13)) * 0xC2B2AE35;
    store<u32>(y + (n << 2), (hash ^ (hash >> 16)) % groups);
  }
}
