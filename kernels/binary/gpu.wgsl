// c = op(a, b), a and c [rows, columns]. b has a's shape (`same`), or one value (MODE 1), one per column (2) or one per
// row (3) in `other`. One invocation for four elements.

override OP: u32;
override MODE: u32 = 0u;

struct Given {
  size: u32,
  columns: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> a: array<vec4f>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read> smaller: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<vec4f>;

fn isNaN(x: vec4f) -> vec4<bool> {
  return (bitcast<vec4u>(x) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
}

// Subnormal numbers, which a device may take as 0, as normal ones 2^125 times as large.
fn lifted(x: vec4f) -> vec4f {
  let bits = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  let large = vec4f(bits) * 5.9604644775390625e-8;
  let isLow = bits < vec4u(0x00800000u);
  return select(x, select(large, -large, bitcast<vec4u>(x) > vec4u(0x7fffffffu)), isLow);
}

fn isLow(x: vec4f) -> vec4<bool> {
  let bits = bitcast<vec4u>(x) & vec4u(0x7fffffffu);
  return (bits < vec4u(0x00800000u)) & (bits > vec4u(0u));
}

// Exact for subnormal numbers too: a numerator or divisor near 0 may well have an ordinary quotient.
fn quotient(x: vec4f, y: vec4f) -> vec4f {
  let up = select(vec4f(1.0), vec4f(LIFT), isLow(y));
  let down = select(vec4f(1.0), vec4f(1.0 / LIFT), isLow(x));
  return (lifted(x) / lifted(y)) * up * down;
}

// 2^125.
const LIFT = 4.253529586511730793e37;

fn apply(x: vec4f, y: vec4f) -> vec4f {
  switch OP {
    case 0u: {
      return x + y;
    }
    case 1u: {
      return x - y;
    }
    case 2u: {
      return x * y;
    }
    case 3u: {
      return quotient(x, y);
    }
    // NaN on either side comes out, as in Math.max.
    case 4u: {
      return select(select(y, x, (x > y) | isNaN(x)), y, isNaN(y));
    }
    case 5u: {
      return select(select(y, x, (x < y) | isNaN(x)), y, isNaN(y));
    }
    default: {
      return select(vec4f(0.0), vec4f(1.0), x > y);
    }
  }
}

fn otherOf(i: u32) -> f32 {
  // Past the end any value will do.
  let at = min(i, given.size - 1u);
  switch MODE {
    case 1u: {
      return smaller[0];
    }
    case 2u: {
      return smaller[at % given.columns];
    }
    default: {
      return smaller[at / given.columns];
    }
  }
}

@compute @workgroup_size(256)
fn same(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (4u * i < given.size) {
    c[i] = apply(a[i], b[i]);
  }
}

@compute @workgroup_size(256)
fn other(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  let at = 4u * i;
  if (at < given.size) {
    c[i] = apply(a[i], vec4f(otherOf(at), otherOf(at + 1u), otherOf(at + 2u), otherOf(at + 3u)));
  }
}
