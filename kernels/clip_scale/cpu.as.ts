// One unit.
import { address, float, integer } from "../parts/arguments.as";

export function clipScale(from: i32, to: i32, list: usize): void {
  const squares = address(list, 0), count = integer(list, 3);
  const maximum = <f64>float(list, 4);
  let sum: f64 = 0;
  for (let i = 0; i < count; i++) sum += <f64>load<f32>(squares + (<usize>i << 2));
  const norm = sqrt(sum);
  store<f32>(address(list, 1), <f32>norm);
  store<f32>(address(list, 2), norm == 0 ? 1 : <f32>min(<f64>1, maximum / norm));
}
