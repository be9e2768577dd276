// A unit is one head of one sequence. Blocks of queries go from the last to the first: the last sees every key, so it
// sets the gradients of all keys and values, and those before it add to them.
import { address, float, integer, scratch } from "../arguments.as";
import { causalScores, causalSum } from "../causal.as";
import { gemm, multiplyAdd } from "../gemm.as";
import { exp4, loadFirst, sumLanes } from "../math.as";

export function attentionGradient(from: i32, to: i32, list: usize): void {
  const qkv = address(list, 0), o = address(list, 1), logsumexp = address(list, 2), g = address(list, 3);
  const dqkv = address(list, 4);
  const D = integer(list, 5), length = integer(list, 6), heads = integer(list, 7), block = integer(list, 8);
  const scale = float(list, 10);
  const width = D / heads;
  const row = <usize>D << 2;
  const stride = (length + 7) & ~7;
  const P = scratch + <usize>integer(list, 9);
  const dS = P + ((<usize>block * <usize>stride) << 2);
  for (let unit = from; unit < to; unit++) {
    const head = unit % heads;
    const start = <usize>(unit / heads) * <usize>length;
    const column = <usize>(head * width) << 2;
    const q = qkv + start * 3 * row + column, k = q + row, v = k + row;
    const dq = dqkv + start * 3 * row + column, dk = dq + row, dv = dk + row;
    for (let first = (length - 1) / block * block; first >= 0; first -= block) {
      const queries = min(block, length - first);
      const keys = first + queries;
      const add = keys < length;
      const query = q + <usize>first * 3 * row;
      const gradient = g + (start + <usize>first) * row + column, result = o + (start + <usize>first) * row + column;
      causalScores(queries, first, width, query, 3 * D, k, 3 * D, P, stride);
      causalScores(queries, first, width, gradient, D, v, 3 * D, dS, stride);
      for (let i = 0; i < queries; i++) {
        const at = (<usize>i * <usize>stride) << 2;
        const sum = logsumexp + (((start + <usize>(first + i)) * <usize>heads + <usize>head) << 2);
        const mean = dot(gradient + <usize>i * row, result + <usize>i * row, width);
        backward(P + at, dS + at, first + i + 1, keys, scale, load<f32>(sum), mean);
      }
      causalSum(queries, first, width, dS, stride, k, 3 * D, dq + <usize>first * 3 * row, 3 * D);
      gemm(keys, width, queries, P, 1, stride, gradient, D, 1, dv, 3 * D, add);
      gemm(keys, width, queries, dS, 1, stride, query, 3 * D, 1, dk, 3 * D, add);
    }
  }
}

function dot(a: usize, b: usize, width: i32): f32 {
  let sum = f32x4.splat(0);
  let left = width;
  for (; left >= 4; left -= 4) {
    sum = multiplyAdd(v128.load(a), v128.load(b), sum);
    a += 16;
    b += 16;
  }
  if (left > 0) sum = multiplyAdd(loadFirst(a, left, f32x4.splat(0)), loadFirst(b, left, f32x4.splat(0)), sum);
  return sumLanes(sum);
}

/** Scores become weights, and gradients of weights become gradients of scores; both 0 from `count` to `end`. */
function backward(P: usize, dS: usize, count: i32, end: i32, scale: f32, logsumexp: f32, mean: f32): void {
  const by = f32x4.splat(scale), less = f32x4.splat(logsumexp), center = f32x4.splat(mean);
  for (let j = 0; j < end; j += 4) {
    const at = <usize>j << 2;
    const seen = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count - j));
    const p = v128.and(exp4(f32x4.sub(f32x4.mul(v128.load(P + at), by), less)), seen);
    const d = f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(dS + at), center)), by);
    v128.store(P + at, p);
    v128.store(dS + at, v128.and(d, seen));
  }
}
