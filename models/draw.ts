// Which token comes next, from a model's scores: the most probable, or one drawn from their softmax at a temperature, perhaps
// from its nucleus alone (Holtzman et al. 2019, arXiv:1904.09751, section 3.1).

/** How a token is drawn. */
export interface Drawing {
  /** Scores are divided by it: below 1 likely tokens become likelier. 0 takes the most probable, the lower id of two. */
  readonly temperature: number;
  /** Share of probability to draw from: the fewest most probable tokens that hold it. 1 = all. */
  readonly topP: number;
}

/** A token that was drawn. */
export interface DrawnToken {
  /** Which token. */
  readonly tokenId: number;
  /** Its probability under the model, whatever the temperature. */
  readonly probability: number;
}

/**
 * Draws a token.
 * @param logit_V Scores of all tokens.
 * @param uniform A number in [0, 1) that decides.
 * @throws {RangeError} when scores are not numbers, or the temperature or the share is out of range.
 * @example
 * ```ts
 * import { drawToken } from "@switchyard/moe";
 * import { assertEquals } from "@std/assert";
 * const logit_V = [Math.log(0.5), Math.log(0.1), Math.log(0.4)];
 * const draw = (temperature: number, topP: number, uniform: number) =>
 *   drawToken(logit_V, { temperature, topP }, uniform).tokenId;
 * assertEquals(draw(0, 1, 0.99), 0); // the most probable
 * assertEquals([draw(1, 1, 0.49), draw(1, 1, 0.51), draw(1, 1, 0.95)], [0, 2, 1]); // by falling probability
 * assertEquals(draw(1, 0.9, 0.99), 2); // the first two hold 0.9
 * ```
 */
export function drawToken(
  logit_V: ArrayLike<number>,
  { temperature, topP }: Drawing,
  uniform: number,
): DrawnToken {
  checkDrawing({ temperature, topP });
  const likeliest = Array.from(logit_V, (_, id) => id).sort((a, b) => logit_V[b] - logit_V[a] || a - b);
  const most = logit_V[likeliest[0]];
  const weigh = (id: number, scale: number) => Math.exp((logit_V[id] - most) / scale);
  const total = likeliest.reduce((sum, id) => sum + weigh(id, 1), 0);
  if (!Number.isFinite(total)) throw new RangeError("Cannot draw a token: its scores are not all numbers");
  const drawn = (tokenId: number) => ({ tokenId, probability: weigh(tokenId, 1) / total });
  if (temperature === 0) return drawn(likeliest[0]);
  const weight = likeliest.map((id) => weigh(id, temperature));
  const share = weight.reduce((sum, each) => sum + each, 0) * topP;
  let [kept, held] = [0, 0];
  // A sum that misses the share by its last bits has reached it.
  while (kept < weight.length && (topP === 1 || held < share * (1 - 1e-12))) held += weight[kept++];
  let left = uniform * held;
  const at = weight.slice(0, kept).findIndex((each) => (left -= each) < 0);
  return drawn(likeliest[at < 0 ? kept - 1 : at]);
}

/** @throws {RangeError} when a value is out of range. */
export function checkDrawing({ temperature, topP }: Drawing): void {
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw new RangeError(`Cannot draw tokens at temperature ${temperature}: choose a number from 0`);
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new RangeError(`Cannot draw tokens from a share of ${topP}: choose a number above 0 up to 1`);
  }
}
