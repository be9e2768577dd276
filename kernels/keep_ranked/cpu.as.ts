// A unit is a block of 1024 assignments.
import { address, float, integer } from "../parts/arguments.as";

export function keepRanked(from: i32, to: i32, list: usize): void {
  const size = integer(list, 6), K = integer(list, 7), scope = integer(list, 8);
  const perScope = integer(list, 9) != 0, counted = integer(list, 10) != 0;
  const key = address(list, 0), rank = address(list, 1);
  let next = 2;
  const mosts = perScope ? address(list, next++) : 0;
  const count = counted ? address(list, next++) : 0;
  const least: f32 = counted ? load<f32>(address(list, next++)) : 0;
  const y = address(list, next);
  const stop = min(to << 10, size);
  let most = float(list, 11) - 0.5;
  for (let i = from << 10; i < stop; i++) {
    const at = <usize>i << 2;
    if (perScope) most = load<f32>(mosts + (<usize>(i / K / scope) << 2)) - 0.5;
    const own = <f32>load<i32>(rank + at);
    let kept = own <= most;
    if (counted) kept = kept && (load<i32>(rank + at) < load<i32>(count + at) || own < least);
    store<i32>(y + at, kept ? load<i32>(key + at) : -1);
  }
}
