// dx = g op'(x), [size], op by its number OP in operations.ts. One invocation for four elements.

override OP: u32;

struct Given {
  quads: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read> g: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> dx: array<vec4f>;

fn derivative(x: f32) -> f32 {
  switch OP {
    case 0u, 1u, 2u: {
      return slopeAt(i32(OP), x);
    }
    case 3u: {
      return exponential(x);
    }
    case 4u: {
      return 1.0 / x;
    }
    case 5u: {
      return -1.0;
    }
    case 6u: {
      return x + x;
    }
    case 7u: {
      return 0.5 / sqrt(x);
    }
    case 8u: {
      let e = exponential(-abs(x));
      let large = 1.0 / (1.0 + e);
      return (e * large) * large;
    }
    case 9u: {
      // 1 / cosh^2 x = 4 e / (1 + e)^2 with e = exp(-2 |x|).
      let e = exponential(abs(x) * -2.0);
      let half = 2.0 / (1.0 + e);
      return (e * half) * half;
    }
    default: {
      return -1.0 / (x * x);
    }
  }
}

@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i < given.quads) {
    let four = x[i];
    dx[i] = g[i] * vec4f(derivative(four.x), derivative(four.y), derivative(four.z), derivative(four.w));
  }
}
