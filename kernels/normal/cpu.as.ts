// A unit is a block of 1024 elements. Scratch holds the pairs of draws of a few of them.
import { address, integer, scratch } from "../parts/arguments.as";
import { cosineOfTurns4, log4, storeFirst } from "../parts/math.as";
import { drawUniform } from "../parts/threefry.as";

// @ts-ignore: decorator
@inline
function noise(pairs: usize): v128 {
  const first = v128.load(pairs), second = v128.load(pairs, 16);
  const u = v128.shuffle<f32>(first, second, 0, 2, 4, 6), v = v128.shuffle<f32>(first, second, 1, 3, 5, 7);
  const radius = f32x4.sqrt(f32x4.mul(log4(f32x4.sub(f32x4.splat(1), u)), f32x4.splat(-2)));
  return f32x4.mul(radius, cosineOfTurns4(v));
}

export function normal(from: i32, to: i32, list: usize): void {
  const stop = min(to << 10, integer(list, 1)), chunk = integer(list, 4);
  let y = address(list, 0) + (<usize>from << 12);
  for (let first = from << 10; first < stop; first += chunk) {
    const count = min(chunk, stop - first);
    // Whole vectors of draws: a chunk's room is for them, and those past the end are not stored.
    drawUniform(scratch, 2 * first, 2 * (first + ((count + 3) & ~3)), integer(list, 2), integer(list, 3));
    let pairs = scratch, left = count;
    for (; left >= 4; left -= 4, y += 16, pairs += 32) v128.store(y, noise(pairs));
    if (left > 0) storeFirst(y, noise(pairs), left);
  }
}
