// What a call of grouped_matmul is told.
import type { Activation } from "../parts/activation.ts";

/** How a factor is taken. */
export type Factor = "positive" | "value";

/** Every way. */
export const factors: readonly Factor[] = ["positive", "value"];

/**
 * What a call does; each of the last five adds an input, in this order, or changes what becomes of a sum. Rows, matrices
 * and factors may be f16; sums are f32.
 */
export interface GroupedMatmulParams {
  /** Each group's matrix is stored transposed: `[E, M, K]` instead of `[E, K, M]`. */
  readonly transposeB: boolean;
  /** Row n is row floor(index[n] / each) of A, [R, K], zeros where that is outside; `index` is i32 [N]. */
  readonly each?: number;
  /** A bias for each group, f32 [E, M], is added. */
  readonly biased?: boolean;
  /** Applied in the end. All but relu, whose result says as much, give their derivatives as a second output. */
  readonly activation?: Activation;
  /** The result is multiplied by an array like it, [N, M], or by 1 where that is above 0 and 0 elsewhere. */
  readonly factor?: Factor;
  /** Outputs are stored as f16. */
  readonly half?: boolean;
}
