// A unit is one head of keys and values of one sequence. It goes through the query heads that share it, and of each through
// blocks of queries from the last to the first: the very first of them sees every key, so it sets the gradients of all keys
// and values, and those after it add to them.
import { address, float, integer, scratch } from "../parts/arguments.as";
import { causalScores, causalSum } from "../parts/causal.as";
import { gemm, multiplyAdd } from "../parts/gemm.as";
import { exp4, loadFirst, sumLanes } from "../parts/math.as";

export function attentionGradient(from: i32, to: i32, list: usize): void {
  const qs = address(list, 0), ks = address(list, 1), vs = address(list, 2), offset = address(list, 3);
  const o = address(list, 4), normalizer = address(list, 5), g = address(list, 6);
  const heads = integer(list, 10), keyValueHeads = integer(list, 11), width = integer(list, 12);
  const strideQ = integer(list, 13), strideK = integer(list, 14), strideV = integer(list, 15);
  const keyColumn = integer(list, 16), valueColumn = integer(list, 17);
  const packed = integer(list, 18) != 0;
  const dqs = address(list, 7), dks = packed ? dqs : address(list, 8), dvs = packed ? dqs : address(list, 9);
  const scale = float(list, 20);
  const D = heads * width, share = heads / keyValueHeads;
  const row = <usize>D << 2, rowQ = <usize>strideQ << 2, rowK = <usize>strideK << 2, rowV = <usize>strideV << 2;
  const P = scratch + <usize>integer(list, 19);
  for (let unit = from; unit < to; unit++) {
    const shared = unit % keyValueHeads;
    const sequence = offset + (<usize>(unit / keyValueHeads) << 2);
    const start = <usize>load<i32>(sequence), length = load<i32>(sequence, 4) - <i32>start;
    if (length == 0) continue;
    // Of the sequence's own length, so that its results are those it has alone.
    const block = max(1, min(48, 390000 / (length + 7)));
    const stride = (length + 7) & ~7;
    const dS = P + ((<usize>block * <usize>stride) << 2);
    const fromK = start * rowK + (<usize>(keyColumn + shared * width) << 2);
    const fromV = start * rowV + (<usize>(valueColumn + shared * width) << 2);
    const k = ks + fromK, v = vs + fromV, dk = dks + fromK, dv = dvs + fromV;
    for (let head = shared * share; head < (shared + 1) * share; head++) {
      const column = <usize>(head * width) << 2;
      for (let first = (length - 1) / block * block; first >= 0; first -= block) {
        const queries = min(block, length - first);
        const keys = first + queries;
        const add = keys < length || head > shared * share;
        const at = start + <usize>first;
        const query = qs + at * rowQ + column;
        const gradient = g + at * row + column, result = o + at * row + column;
        causalScores(queries, first, width, query, strideQ, k, strideK, P, stride);
        causalScores(queries, first, width, gradient, D, v, strideV, dS, stride);
        for (let i = 0; i < queries; i++) {
          const scores = (<usize>i * <usize>stride) << 2;
          const pair = normalizer + (((at + <usize>i) * <usize>heads + <usize>head) << 3);
          const mean = dot(gradient + <usize>i * row, result + <usize>i * row, width);
          backward(P + scores, dS + scores, first + i + 1, keys, scale, pair, mean);
        }
        causalSum(queries, first, width, dS, stride, k, strideK, dqs + at * rowQ + column, strideQ);
        gemm(keys, width, queries, P, 1, stride, gradient, D, 1, dv, strideV, add);
        gemm(keys, width, queries, dS, 1, stride, query, strideQ, 1, dk, strideK, add);
      }
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
function backward(P: usize, dS: usize, count: i32, end: i32, scale: f32, pair: usize, mean: f32): void {
  const by = f32x4.splat(scale), first = v128.load_splat<f32>(pair), less = v128.load_splat<f32>(pair, 4), center = f32x4.splat(mean);
  for (let j = 0; j < end; j += 4) {
    const at = <usize>j << 2;
    const seen = i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count - j));
    const p = v128.and(exp4(f32x4.sub(f32x4.mul(f32x4.sub(v128.load(P + at), first), by), less)), seen);
    const d = f32x4.mul(f32x4.mul(p, f32x4.sub(v128.load(dS + at), center)), by);
    v128.store(P + at, p);
    v128.store(dS + at, v128.and(d, seen));
  }
}
