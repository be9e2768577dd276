// Where a model's tokens become vectors.
import { affine } from "../tensor/arithmetic.ts";
import type { Init } from "../tensor/init.ts";
import { spending } from "../tensor/memory.ts";
import { embedding } from "../tensor/rows.ts";
import type { Parameter, Tensor } from "../tensor/tensor.ts";
import { frozenTable } from "./output.ts";
import type { ModelSpec } from "./spec.ts";

/** Rows of the embedding, scaled to unit variance, or of the frozen vectors. */
export function createInput(
  { D, input }: ModelSpec,
  table_VD: Parameter | null,
  held: Parameter[],
  init: Init,
): (tokenId_T: Tensor) => Tensor {
  if (input.kind === "tokens") {
    return (tokenId_T) =>
      spending(embedding(table_VD!, tokenId_T), (row_TD) => affine(row_TD, Math.sqrt(D), 0));
  }
  const frozen = frozenTable(init, input.vectors, held);
  return (tokenId_T) => embedding(frozen, tokenId_T);
}
