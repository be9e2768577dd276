// A product and nothing else: rows of A are read where they lie, sums are stored as they are.

// Where row i of A begins, as it is stored.
fn rowOfA(p: Product, i: u32) -> u32 {
  return (p.aFirst + i) * p.aStride;
}

fn hasRow(p: Product, i: u32) -> bool {
  return true;
}

fn finished(p: Product, row: u32, column: u32, four: vec4f) -> vec4f {
  return four;
}
