// A unit is a block of queries of one head of one sequence. All its scores are kept at once (at most 3 MiB), so one
// plain softmax a row does; sums of values are divided by the row's sum of weights only after they are made.
import { address, float, integer, scratch } from "../parts/arguments.as";
import { causalScores, causalSum } from "../parts/causal.as";
import { storeNormalizer } from "../parts/exponentials.as";
import { exp4, largestLane, log1, sumLanes } from "../parts/math.as";

export function attention(from: i32, to: i32, list: usize): void {
  const qs = address(list, 0), ks = address(list, 1), vs = address(list, 2), offset = address(list, 3);
  const o = address(list, 4), normalizer = address(list, 5);
  const heads = integer(list, 6), keyValueHeads = integer(list, 7), width = integer(list, 8);
  const strideQ = integer(list, 9), strideK = integer(list, 10), strideV = integer(list, 11);
  const keyColumn = integer(list, 12), valueColumn = integer(list, 13), blocks = integer(list, 14);
  const past = integer(list, 16), scale = float(list, 17);
  const D = heads * width, share = heads / keyValueHeads;
  const sums = scratch + <usize>integer(list, 15);
  const S = sums + 384; // room for 96 sums
  for (let unit = from; unit < to; unit++) {
    const head = (unit / blocks) % heads;
    const place = unit / blocks / heads;
    const sequence = offset + (<usize>place << 2);
    const start = <usize>load<i32>(sequence), length = load<i32>(sequence, 4) - <i32>start;
    // Of the sequence's own length, so that its results are those it has alone.
    const block = blockOf(length, past + length);
    const done = (unit % blocks) * block;
    if (done >= length) continue;
    const stride = (past + length + 7) & ~7;
    const queries = min(block, length - done);
    const row = start + <usize>done;
    // Keys before the block's first query, and the first of the sequence.
    const first = past + done, keys = start + <usize>place * <usize>past;
    const column = head / share * width;
    const q = qs + ((row * <usize>strideQ + <usize>(head * width)) << 2);
    const k = ks + ((keys * <usize>strideK + <usize>(keyColumn + column)) << 2);
    const v = vs + ((keys * <usize>strideV + <usize>(valueColumn + column)) << 2);
    const target = o + ((row * <usize>D + <usize>(head * width)) << 2);
    causalScores(queries, first, width, q, strideQ, k, strideK, S, stride);
    for (let i = 0; i < queries; i++) {
      const strip = min(queries, (i / 6 + 1) * 6);
      const scores = S + ((<usize>i * <usize>stride) << 2);
      const largest = largestOf(scores, first + i + 1);
      const sum = weigh(scores, first + i + 1, first + strip, largest, scale);
      store<f32>(sums + (<usize>i << 2), sum);
      const log = log1(sum), own = normalizer + (((row + <usize>i) * <usize>heads + <usize>head) << 3);
      storeNormalizer(own, largest, log, largest * scale + log);
    }
    causalSum(queries, first, width, S, stride, v, strideV, target, D);
    for (let i = 0; i < queries; i++) {
      const inverse = <f32>1 / load<f32>(sums + (<usize>i << 2));
      let at = target + ((<usize>i * <usize>D) << 2);
      const end = at + (<usize>width << 2);
      for (; at + 16 <= end; at += 16) v128.store(at, f32x4.mul(v128.load(at), f32x4.splat(inverse)));
      for (; at < end; at += 4) store<f32>(at, load<f32>(at) * inverse);
    }
  }
}

/** Queries taken together: equal blocks, enough to make packing keys cheap, few enough that their scores stay near (512 KiB). */
function blockOf(length: i32, keys: i32): i32 {
  if (length == 0) return 6;
  const most = max(6, min(96, 131072 / keys / 6 * 6));
  const blocks = (length + most - 1) / most;
  return ((length + blocks - 1) / blocks + 5) / 6 * 6;
}

/** Lanes 0 to `count` - 1 of v; -infinity in the others. */
// @ts-ignore: decorator
@inline
function firstOf(v: v128, count: i32): v128 {
  return v128.bitselect(v, f32x4.splat(-Infinity), i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(count)));
}

function largestOf(scores: usize, count: i32): f32 {
  let a = f32x4.splat(-Infinity), b = f32x4.splat(-Infinity);
  let j = 0;
  for (; j + 8 <= count; j += 8) {
    a = f32x4.pmax(a, v128.load(scores + (<usize>j << 2)));
    b = f32x4.pmax(b, v128.load(scores + (<usize>j << 2), 16));
  }
  for (; j < count; j += 4) a = f32x4.pmax(a, firstOf(v128.load(scores + (<usize>j << 2)), count - j));
  return largestLane(f32x4.pmax(a, b));
}

/** Scores become weights e^(scale (score - largest)), 0 from `count` to `end`. Returns the sum of weights. */
function weigh(scores: usize, count: i32, end: i32, largest: f32, scale: f32): f32 {
  const top = f32x4.splat(largest), by = f32x4.splat(scale);
  let a = f32x4.splat(0), b = f32x4.splat(0);
  let j = 0;
  for (; j + 8 <= count; j += 8) {
    const at = scores + (<usize>j << 2);
    const p = exp4(f32x4.mul(f32x4.sub(v128.load(at), top), by));
    const q = exp4(f32x4.mul(f32x4.sub(v128.load(at, 16), top), by));
    v128.store(at, p);
    v128.store(at, q, 16);
    a = f32x4.add(a, p);
    b = f32x4.add(b, q);
  }
  for (; j < end; j += 4) {
    const at = scores + (<usize>j << 2);
    const p = exp4(f32x4.mul(f32x4.sub(firstOf(v128.load(at), count - j), top), by));
    v128.store(at, p);
    a = f32x4.add(a, p);
  }
  return sumLanes(f32x4.add(a, b));
}
