// Right answers on held-out tokens: how many, and which, so that two models that saw the same tokens can be compared token by
// token. A bit a token keeps a record small: 512 bytes for 4096 tokens.
import type { Answers } from "./record.ts";

/** Adds up right answers over batches. */
export interface AnswerCounter {
  /** @param target_T Class of each token, -1 for none. @param answer_T Class that the model gives it. */
  add(target_T: Int32Array, answer_T: Int32Array): void;
  /** All of them; null when no token had a target. */
  finish(): Answers | null;
}

/** Starts at none. */
export function countAnswers(): AnswerCounter {
  const bytes: number[] = [];
  let of = 0;
  let right = 0;
  return {
    add(target_T, answer_T) {
      for (const [t, target] of target_T.entries()) {
        if (target < 0) continue;
        if (of % 8 === 0) bytes.push(0);
        if (answer_T[t] === target) {
          bytes[bytes.length - 1] |= 128 >> of % 8;
          right++;
        }
        of++;
      }
    },
    finish: () =>
      of === 0 ? null : { right, of, bits: btoa(bytes.map((byte) => String.fromCharCode(byte)).join("")) },
  };
}
