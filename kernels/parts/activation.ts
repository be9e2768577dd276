// Activations of hidden units: the functions of `unary` that products can apply to their sums.
import { type UnaryOp, unaryOperation } from "../unary/operations.ts";

/** An activation of hidden units; `gelu` is the exact one. */
export type Activation = "relu" | "gelu" | "silu";

const activations: readonly UnaryOp[] = ["relu", "gelu", "silu"] satisfies readonly Activation[];

/** Its number in the programs, -1 for none, and its functions. */
export function activationNumber(kernel: string, op: Activation | undefined): number {
  if (op === undefined) return -1;
  if (!activations.includes(op)) {
    throw new RangeError(
      `Cannot run ${kernel}: there is no activation "${op}", there are ${activations.join(", ")}`,
    );
  }
  return unaryOperation(kernel, op).number;
}
