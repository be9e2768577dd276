// Matrices x [E, K, M] in a format of weights (weight_formats.ts): the largest size of each output's 32 inputs, scales from
// those, then codes. Whatever an array lies past the end of is harmless to read; only what exists is written.

override FORMAT: i32;

struct Given {
  experts: u32,
  inputs: u32,
  outputs: u32,
  // Words of an output's codes, of a matrix, and before its scales.
  rowWords: u32,
  matrixWords: u32,
  scalesAt: u32,
  scaleColumns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<u32>;
// The bits of sizes [E, K / 32, M].
@group(0) @binding(2) var<storage, read_write> largest: array<u32>;
@group(0) @binding(3) var<storage, read_write> packed: array<u32>;

const LEAST = 27u << 23u;
const INFINITE = 0x7f800000u;

fn blocks() -> u32 {
  return (given.inputs + 31u) / 32u;
}

@compute @workgroup_size(256)
fn sizes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.experts * blocks() * given.outputs) {
    return;
  }
  let output = i % given.outputs;
  let block = (i / given.outputs) % blocks();
  let e = i / given.outputs / blocks();
  var found = 0u;
  for (var k = 32u * block; k < min(given.inputs, 32u * block + 32u); k++) {
    // Infinity and NaN have larger bits than all other sizes.
    found = max(found, x[(e * given.inputs + k) * given.outputs + output] & 0x7fffffffu);
  }
  largest[i] = found;
}

// The bits of the scale of a block whose largest size has these: 0 for zeros, NaN for what is not finite.
fn scaleOf(bits: u32) -> u32 {
  if (bits < LEAST) {
    return 0u;
  }
  if (bits >= INFINITE) {
    return 0x7fc00000u;
  }
  if (FORMAT == 2) {
    return bitcast<u32>(bitcast<f32>(bits) * 0.007874015718698502);
  }
  if (FORMAT == 3) {
    return bitcast<u32>(bitcast<f32>(bits) * 0.1428571492433548);
  }
  let exponent = bits >> 23u;
  if (FORMAT == 4) {
    return (exponent - select(7u, 8u, (bits & 0x7fffffu) <= 0x600000u)) << 23u;
  }
  return (exponent - 2u) << 23u;
}

// The scale of outputs from 128 on and inputs from 128 on, or of one output and 32 inputs.
fn scaleOfBlock(e: u32, row: u32, column: u32) -> u32 {
  let first = e * blocks() * given.outputs;
  if (FORMAT != 4) {
    return scaleOf(largest[first + column * given.outputs + row]);
  }
  var found = 0u;
  for (var block = 4u * column; block < min(blocks(), 4u * column + 4u); block++) {
    for (var output = 128u * row; output < min(given.outputs, 128u * row + 128u); output++) {
      found = max(found, largest[first + block * given.outputs + output]);
    }
  }
  return scaleOf(found);
}

// One invocation a word of scales.
@compute @workgroup_size(256)
fn scales(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  let words = given.matrixWords - given.scalesAt;
  if (i >= given.experts * words) {
    return;
  }
  let e = i / words;
  let at = i % words;
  var word = 0u;
  if (FORMAT == 5) {
    for (var byte = 0u; byte < 4u; byte++) {
      let scale = 4u * at + byte;
      let row = scale / given.scaleColumns;
      if (row < given.outputs) {
        word |= (scaleOfBlock(e, row, scale % given.scaleColumns) >> 23u) << (8u * byte);
      }
    }
  } else {
    word = scaleOfBlock(e, at / given.scaleColumns, at % given.scaleColumns);
  }
  packed[e * given.matrixWords + given.scalesAt + at] = word;
}

fn upperHalf(bits: u32) -> u32 {
  return select((bits + 0x7fffu + ((bits >> 16u) & 1u)) >> 16u, 0x7fc0u, (bits & 0x7fffffffu) > INFINITE);
}

// Whole scales nearest to a size; a border is (n - 1/2) scales, rounded, so that a quotient's own rounding changes nothing.
fn wholeScales(size: f32, scale: f32, most: u32) -> u32 {
  let count = u32(size / scale);
  return min(most, count + select(0u, 1u, (f32(count) + 0.5) * scale <= size));
}

// E4M3 of a size up to 448, ties to even.
fn e4m3(size: f32) -> u32 {
  let bits = bitcast<u32>(size);
  let normal = ((bits + 0x7ffffu + ((bits >> 20u) & 1u)) >> 20u) - (120u << 3u);
  return select(normal, u32(round(size * 512.0)), size < 0.015625);
}

// E2M1 of a size, ties to even, at most 6.
fn e2m1(size: f32) -> u32 {
  let low = u32(size > 0.25) + u32(size >= 0.75) + u32(size > 1.25) + u32(size >= 1.75);
  return low + u32(size > 2.5) + u32(size >= 3.5) + u32(size > 5.0);
}

// A number's code, from its bits and those of its scale.
fn codeOf(bits: u32, scaleBits: u32) -> u32 {
  if (FORMAT == 1) {
    return upperHalf(bits);
  }
  let none = scaleBits == 0u || scaleBits >= INFINITE;
  let size = bitcast<f32>(bits & 0x7fffffffu);
  let negative = (bits >> 31u) == 1u;
  if (FORMAT == 2 || FORMAT == 3) {
    let most = select(7, 127, FORMAT == 2);
    let count = select(i32(wholeScales(size, bitcast<f32>(scaleBits), u32(most))), 0, none);
    let code = select(count, -count, negative);
    return select(u32(code + 8), u32(code) & 255u, FORMAT == 2);
  }
  // Scales are powers of two: the inverse of 2^n has the exponent 254 - n.
  let scaled = size * bitcast<f32>(0x7f000000u - scaleBits);
  if (FORMAT == 4) {
    return select(e4m3(scaled) | select(0u, 0x80u, negative), 0u, none);
  }
  return select(e2m1(scaled) | select(0u, 8u, negative), 0u, none);
}

// One invocation a word of codes.
@compute @workgroup_size(256)
fn codes(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.experts * given.rowWords * given.outputs) {
    return;
  }
  // Neighbours take neighbouring outputs, which lie side by side in x.
  let output = i % given.outputs;
  let column = (i / given.outputs) % given.rowWords;
  let e = i / given.outputs / given.rowWords;
  let bits = select(select(16u, 8u, FORMAT == 2 || FORMAT == 4), 4u, FORMAT == 3 || FORMAT == 5);
  let begin = column * (32u / bits);
  var scale = 0u;
  if (FORMAT == 4) {
    scale = packed[
      e * given.matrixWords + given.scalesAt + (output / 128u) * given.scaleColumns + begin / 128u
    ];
  } else if (FORMAT > 1) {
    scale = scaleOfBlock(e, output, begin / 32u);
  }
  var own = array<u32, 8>();
  for (var k = 0u; k < 32u / bits; k++) {
    let at = (e * given.inputs + begin + k) * given.outputs + output;
    own[k] = select(0u, x[at], begin + k < given.inputs);
  }
  var word = 0u;
  if (FORMAT == 0) {
    word = packHalves(bitcast<vec4f>(vec4u(own[0], own[1], 0u, 0u))).x;
  } else {
    for (var k = 0u; k < 32u / bits; k++) {
      word |= codeOf(own[k], scale) << (k * bits);
    }
  }
  packed[e * given.matrixWords + output * given.rowWords + column] = word;
}
