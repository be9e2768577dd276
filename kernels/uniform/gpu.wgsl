// y[i] = the upper 24 bits of word i mod 2 of Threefry-2x32 block floor(i / 2), over 2^24; y [size]. The counter of block
// b is (b, 0).

@group(0) @binding(1) var<storage, read_write> y: array<vec2f>;

fn place(block: u32, drawn: vec2f) {
  y[block] = drawn;
}
