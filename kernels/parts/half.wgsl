// Rounding to 16-bit floats: to nearest, ties to even, from 65,520 on to infinity. It works on bits, because WGSL leaves
// the rounding and the overflow of its own conversions to the device (pack2x16float turns 65,520 into 0 on two adapters).

// The bits of four numbers as 16-bit floats.
fn halfBits(four: vec4f) -> vec4u {
  let bits = bitcast<vec4u>(four);
  let size = bits & vec4u(0x7fffffffu);
  // From 2^-14 on 13 bits of the fraction go and the exponent counts from another zero.
  let normal = (size + vec4u(0xfffu) + ((size >> vec4u(13u)) & vec4u(1u)) - vec4u(0x38000000u)) >> vec4u(13u);
  // Below, the number in units of 2^-24; what is less than half of one has nothing left.
  let fraction = (size & vec4u(0x007fffffu)) | vec4u(0x00800000u);
  let away = clamp(vec4u(126u) - (size >> vec4u(23u)), vec4u(14u), vec4u(25u));
  let tie = (vec4u(1u) << (away - vec4u(1u))) - vec4u(1u) + ((fraction >> away) & vec4u(1u));
  let low = (fraction + tie) >> away;
  var half = select(normal, low, size < vec4u(0x38800000u));
  half = select(half, vec4u(0x7c00u), size >= vec4u(0x477ff000u));
  half = select(half, vec4u(0x7e00u), size > vec4u(0x7f800000u));
  return half | ((bits >> vec4u(16u)) & vec4u(0x8000u));
}

// Four numbers as two words, the first in the low bits.
fn packHalves(four: vec4f) -> vec2u {
  let half = halfBits(four);
  return half.xz | (half.yw << vec2u(16u));
}
