// A 4 x 4 block of floats, transposed in registers.

// @ts-ignore: decorator
@inline
export function transpose4(source: usize, stride: usize, target: usize, targetStride: usize): void {
  const r0 = v128.load(source);
  const r1 = v128.load(source + stride);
  const r2 = v128.load(source + 2 * stride);
  const r3 = v128.load(source + 3 * stride);
  const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const b = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const c = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const d = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f32>(a, c, 0, 1, 4, 5));
  v128.store(target + targetStride, v128.shuffle<f32>(a, c, 2, 3, 6, 7));
  v128.store(target + 2 * targetStride, v128.shuffle<f32>(b, d, 0, 1, 4, 5));
  v128.store(target + 3 * targetStride, v128.shuffle<f32>(b, d, 2, 3, 6, 7));
}
