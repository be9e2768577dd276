// For routers that read what tokens are called and not what they hold.
import type { Tensor } from "../../tensor/tensor.ts";
import type { RouterDims, RouteStep } from "../router.ts";

/**
 * Token ids of a step, i32 [T].
 * @throws {TypeError} naming the router when tokens have none.
 */
export function tokenIdsOf({ tokenId_T }: RouteStep, router: string): Tensor {
  if (!tokenId_T) {
    throw new TypeError(
      `Cannot route with router "${router}": it reads token ids; give tokenId_T in the step`,
    );
  }
  return tokenId_T;
}

/**
 * The size of the vocabulary.
 * @throws {RangeError} naming the router when there is none.
 */
export function vocabularyOf({ V }: RouterDims, router: string): number {
  if (V === undefined) {
    throw new RangeError(`Cannot make router "${router}": it reads token ids, and V is not given; give V`);
  }
  return V;
}
