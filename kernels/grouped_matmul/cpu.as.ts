// The walk over tiles, and what follows a product, are in grouped_product.as.ts.
import { groupedProduct } from "../parts/grouped_product.as";

export function groupedMatmul(from: i32, to: i32, list: usize): void {
  groupedProduct(from, to, list, false);
}
