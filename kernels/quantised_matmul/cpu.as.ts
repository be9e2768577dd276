// That of grouped_matmul; what is packed of a matrix is decoded as it is packed, see stored_matrix.as.ts.
import { groupedProduct } from "../parts/grouped_product.as";

export function quantisedMatmul(from: i32, to: i32, list: usize): void {
  groupedProduct(from, to, list, true);
}
