// What grouped_matmul does besides multiplying, in the place of plain.wgsl: rows of A through an index (GATHERED; row i is
// row index[i] / each of `sources`, zeros where there is none), a bias for each group and column (BIASED), an activation
// (ACTIVATION, -1 for none) of which a second output keeps derivatives (KEEP), or a factor from an array like the result
// (FACTOR): its values, 1, or 1 where they are above 0, 0; -1 is none.

override GATHERED: bool;
override BIASED: bool;
override KEEP: bool;
override ACTIVATION: i32;
override FACTOR: i32;

@group(0) @binding(4) var<storage, read> index: array<i32>;

fn sourceOf(p: Product, i: u32) -> u32 {
  return u32(index[p.aFirst + i]) / given.each;
}

fn rowOfA(p: Product, i: u32) -> u32 {
  if (GATHERED) {
    return sourceOf(p, i) * p.aStride;
  }
  return (p.aFirst + i) * p.aStride;
}

// Of rows that are not there anything may be read: their sums are made zero in the end.
fn hasRow(p: Product, i: u32) -> bool {
  return true;
}

fn activateFour(x: vec4f) -> vec4f {
  return vec4f(
    activate(ACTIVATION, x.x),
    activate(ACTIVATION, x.y),
    activate(ACTIVATION, x.z),
    activate(ACTIVATION, x.w),
  );
}

fn slopeOfFour(x: vec4f) -> vec4f {
  return vec4f(
    slopeAt(ACTIVATION, x.x),
    slopeAt(ACTIVATION, x.y),
    slopeAt(ACTIVATION, x.z),
    slopeAt(ACTIVATION, x.w),
  );
}

fn finished(p: Product, row: u32, column: u32, four: vec4f) -> vec4f {
  let count = upToFour(column, p.columns);
  let at = p.cBegin + row * p.columns + column;
  var sum = four;
  if (GATHERED) {
    sum = select(vec4f(0.0), sum, sourceOf(p, row) < given.sources);
  }
  if (BIASED) {
    sum += fourOfBias(p.group * p.columns + column);
  }
  let real = p.group < given.groups;
  if (KEEP) {
    keepFour(at, select(vec4f(0.0), slopeOfFour(sum), real), count);
  }
  if (ACTIVATION >= 0) {
    sum = activateFour(sum);
  }
  if (FACTOR >= 0) {
    let factor = fourOfFactor(at);
    sum *= select(vec4f(factor > vec4f(0.0)), factor, FACTOR == 1);
  }
  return select(vec4f(0.0), sum, real);
}
