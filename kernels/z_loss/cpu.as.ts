// One unit: rows in order, in f64.
import { address, float, integer } from "../parts/arguments.as";

export function zLoss(from: i32, to: i32, list: usize): void {
  if (from >= to) return;
  const T = integer(list, 4), masked = integer(list, 5) != 0, scale = float(list, 6);
  const z = address(list, 0), real = masked ? address(list, 1) : 0;
  const loss = address(list, masked ? 2 : 1), slope = address(list, masked ? 3 : 2);
  let sum: f64 = 0, count: f64 = masked ? 0 : <f64>T;
  for (let at: usize = 0; at < <usize>T << 2; at += 4) {
    const own = <f64>load<f32>(z + at);
    if (masked) {
      const weight = <f64>load<f32>(real + at);
      count += weight;
      sum += weight * own * own;
    } else {
      sum += own * own;
    }
  }
  const mean = <f64>scale / max<f64>(1, count);
  store<f32>(loss, <f32>(mean * sum));
  store<f32>(slope, <f32>(2 * mean));
}
