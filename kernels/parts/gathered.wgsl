// Rows of A are read through an index: row i is row index[i] / each of `sources`, or zeros where there is none. For a
// product that has A's rows along the depth; sums are stored as they are.

@group(0) @binding(4) var<storage, read> index: array<i32>;

fn sourceOf(p: Product, i: u32) -> u32 {
  return u32(index[p.aFirst + i]) / given.each;
}

fn rowOfA(p: Product, i: u32) -> u32 {
  return sourceOf(p, i) * p.aStride;
}

fn hasRow(p: Product, i: u32) -> bool {
  return sourceOf(p, i) < given.sources;
}

fn finished(p: Product, row: u32, column: u32, four: vec4f) -> vec4f {
  return four;
}
