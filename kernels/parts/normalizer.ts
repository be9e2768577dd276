// What a row's softmax is made again from, as kernels with exponentials keep it: e^((x - first) - second).

/** Past this size of their sum, a row's shift and the logarithm of its sum are kept apart, since f32 would lose the latter. */
const APART = 256;

/** The pair of a row whose largest value is `shift`; `scale` is what values are multiplied with before the exponential. */
export function normalizerOf(shift: number, logarithm: number, scale = 1): [number, number] {
  const both = shift * scale + logarithm;
  return Math.abs(both) > APART ? [shift, logarithm] : [0, both];
}
