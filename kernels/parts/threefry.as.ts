// Threefry-2x32 with 20 rounds, four blocks side by side, as uniform numbers: see threefry.ts.
import { storeFirst } from "./math.as";

// @ts-ignore: decorator
@inline
function mix(a: v128, b: v128, by: i32): v128 {
  return v128.xor(v128.or(i32x4.shl(b, by), i32x4.shr_u(b, 32 - by)), a);
}

// @ts-ignore: decorator
@inline
function number(word: v128): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.shr_u(word, 8)), f32x4.splat(5.9604644775390625e-8));
}

/** Draws `start` (a multiple of 8) to `stop` - 1 of a key to y: each from 0 to 1 - 2^-24 in steps of 2^-24. */
export function drawUniform(y: usize, start: i32, stop: i32, key0: i32, key1: i32): void {
  const key2 = 0x1BD11BDA ^ key0 ^ key1;
  const k0 = i32x4.splat(key0), k1 = i32x4.splat(key1);
  for (let i = start; i < stop; i += 8, y += 32) {
    let a = i32x4.add(i32x4.add(i32x4.splat(i >> 1), i32x4(0, 1, 2, 3)), k0);
    let b = k1;
    for (let turn = 1; turn <= 5; turn += 2) {
      a = i32x4.add(a, b); b = mix(a, b, 13);
      a = i32x4.add(a, b); b = mix(a, b, 15);
      a = i32x4.add(a, b); b = mix(a, b, 26);
      a = i32x4.add(a, b); b = mix(a, b, 6);
      a = i32x4.add(a, i32x4.splat(turn == 1 ? key1 : turn == 3 ? key0 : key2));
      b = i32x4.add(b, i32x4.splat((turn == 1 ? key2 : turn == 3 ? key1 : key0) + turn));
      if (turn == 5) break;
      a = i32x4.add(a, b); b = mix(a, b, 17);
      a = i32x4.add(a, b); b = mix(a, b, 29);
      a = i32x4.add(a, b); b = mix(a, b, 16);
      a = i32x4.add(a, b); b = mix(a, b, 24);
      a = i32x4.add(a, i32x4.splat(turn == 1 ? key2 : key1));
      b = i32x4.add(b, i32x4.splat((turn == 1 ? key0 : key2) + turn + 1));
    }
    a = number(a);
    b = number(b);
    const low = v128.shuffle<f32>(a, b, 0, 4, 1, 5), high = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const left = stop - i;
    if (left >= 4) v128.store(y, low);
    else storeFirst(y, low, left);
    if (left >= 8) v128.store(y, high, 16);
    else if (left > 4) storeFirst(y + 16, high, left - 4);
  }
}
