// Fills the inputs of kernel cases from a seed made of words, so that every run and every machine sees the same values.
import { type CaseInput, type HostArray, sizeOf } from "./kernel.ts";

/** A number in [0, 1) at each call (mulberry32 started from a hash of `words`). */
export function randomFrom(words: string): () => number {
  let state = 2166136261;
  for (const character of words) state = Math.imul(state ^ character.charCodeAt(0), 16777619);
  return () => {
    state = (state + 0x6D2B79F5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Values of one input, f16 as the f32 they are stored from without loss. The list of a "values" fill is repeated until the array is full. */
export function fill(input: CaseInput, words: string): HostArray {
  const size = sizeOf(input.type.shape);
  const values = input.type.dtype === "i32" ? new Int32Array(size) : new Float32Array(size);
  const random = randomFrom(words);
  const how = input.fill;
  for (let i = 0; i < size; i++) {
    switch (how.kind) {
      case "normal":
        values[i] = (how.scale ?? 1) * Math.sqrt(-2 * Math.log(1 - random())) *
          Math.cos(2 * Math.PI * random());
        break;
      case "uniform":
        values[i] = (how.low ?? 0) + random() * ((how.high ?? 1) - (how.low ?? 0));
        break;
      case "integers":
        values[i] = how.low + Math.floor(random() * (how.below - how.low));
        break;
      case "values":
        values[i] = how.values[i % how.values.length];
        break;
      default:
        how satisfies never;
    }
  }
  return input.type.dtype === "f16" ? values.map(Math.f16round) : values;
}
