// Floats as keys that sort exactly: the highest number has the lowest key, 0 and -0 have one key.

fn descendingKey(value: f32) -> u32 {
  let bits = bitcast<u32>(value);
  if ((bits & 0x7fffffffu) == 0u) {
    return 0x7fffffffu;
  }
  return select(~bits & 0x7fffffffu, bits, bits >= 0x80000000u);
}

fn isNaN(x: f32) -> bool {
  return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u;
}
