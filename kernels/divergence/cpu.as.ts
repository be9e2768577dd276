// One unit: there are as many rows as ranks.
import { address, integer } from "../parts/arguments.as";
import { log1 } from "../parts/math.as";

const TINY: f32 = 1e-30;

export function divergence(from: i32, to: i32, list: usize): void {
  if (from >= to) return;
  const R = integer(list, 5), E = integer(list, 6);
  let p = address(list, 0), target = address(list, 1), slope = address(list, 4);
  const weight = address(list, 2);
  let total: f64 = 0;
  for (let r: usize = 0; r < <usize>R; r++) {
    const factor = load<f32>(weight + (r << 2));
    for (let e = 0; e < E; e++, p += 4, target += 4, slope += 4) {
      const own = load<f32>(p), shifted = own + TINY;
      const ratio = log1(shifted) - load<f32>(target);
      total += <f64>factor * <f64>own * <f64>ratio;
      store<f32>(slope, factor * (ratio + own / shifted));
    }
  }
  store<f32>(address(list, 3), <f32>total);
}
