// A fingerprint of weights that does not depend on how they are laid out: equal multisets of values give equal
// fingerprints, so experts cut two wide or four narrow from the same hidden units compare equal. Zeros count for nothing:
// biases start at 0, and more experts have more of them.
import type { Parameter } from "../tensor/tensor.ts";

/** Sixteen hexadecimal digits over the values of some parameters, by name. */
export async function fingerprint(params: Readonly<Record<string, Parameter>>): Promise<string> {
  let low = 0;
  let high = 0;
  const names = Object.keys(params).sort();
  for (const values of await Promise.all(names.map((name) => params[name].read()))) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    let sumLow = 0;
    let sumHigh = 0;
    for (const word of bits) {
      if (word === 0) continue;
      sumLow = (sumLow + mix(word ^ 0x9E3779B9)) | 0;
      sumHigh = (sumHigh + mix(word ^ 0x85EBCA6B)) | 0;
    }
    low = mix(low ^ sumLow);
    high = mix(high ^ sumHigh);
  }
  return [high, low].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** MurmurHash3's finaliser. */
function mix(word: number): number {
  let x = word;
  x = Math.imul(x ^ (x >>> 16), 0x85EBCA6B);
  x = Math.imul(x ^ (x >>> 13), 0xC2B2AE35);
  return x ^ (x >>> 16);
}
