// y = op(x), [size], op by its number OP in operations.ts. One invocation for four elements.

override OP: u32;

struct Given {
  quads: u32,
}
@group(0) @binding(0) var<uniform> given: Given;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

fn apply(x: f32) -> f32 {
  switch OP {
    case 0u, 1u, 2u: {
      return activate(i32(OP), x);
    }
    case 3u: {
      return exponential(x);
    }
    case 4u: {
      return logarithm(x);
    }
    case 5u: {
      return -x;
    }
    case 6u: {
      return x * x;
    }
    case 7u: {
      // A device that takes subnormal numbers as 0 would give -0 for negative ones.
      return select(sqrt(x), notANumber(), bitcast<u32>(x) > 0x80000000u);
    }
    case 8u: {
      return sigmoid(x);
    }
    case 9u: {
      return hyperbolicTangent(x);
    }
    default: {
      return 1.0 / x;
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
    y[i] = vec4f(apply(four.x), apply(four.y), apply(four.z), apply(four.w));
  }
}
