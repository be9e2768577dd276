// A unit is a row: one token.
import { address, integer } from "../parts/arguments.as";
import { shiftOf, storeNormalizer, sumOfExp } from "../parts/exponentials.as";
import { log1 } from "../parts/math.as";

export function crossEntropy(from: i32, to: i32, list: usize): void {
  const V = integer(list, 4);
  let x = address(list, 0) + ((<usize>from * <usize>V) << 2);
  for (let row = from; row < to; row++) {
    const at = <usize>row << 2;
    const target = load<i32>(address(list, 1) + at);
    const shift = shiftOf(x, V);
    const logarithm = log1(sumOfExp(x, V, shift));
    let loss: f32 = 0;
    if (<u32>target < <u32>V) loss = logarithm - (load<f32>(x + (<usize>target << 2)) - shift);
    store<f32>(address(list, 2) + at, loss);
    storeNormalizer(address(list, 3) + (at << 1), shift, logarithm, shift + logarithm);
    x += <usize>V << 2;
  }
}
