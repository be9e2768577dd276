// A unit is a scope. What tokens chose comes as shares, or as the groups they named (`choices` of K). Four columns at a time; 256 tokens are summed before they join the rest.
import { address, float, integer } from "../parts/arguments.as";
import { loadFirst, storeFirst, sumLanes } from "../parts/math.as";

const BLOCK: i32 = 256;

export function shareLoss(from: i32, to: i32, list: usize): void {
  const scope = integer(list, 5), E = integer(list, 6), masked = integer(list, 7) != 0;
  const K = integer(list, 8), choices = integer(list, 9), scale = float(list, 10);
  const probability = address(list, 0), chosen = address(list, 1), real = masked ? address(list, 2) : 0;
  const loss = address(list, masked ? 3 : 2), slope = address(list, masked ? 4 : 3);
  const bytes = <usize>E << 2, zero = f32x4.splat(0);
  for (let s = <usize>from; s < <usize>to; s++) {
    const first = s * <usize>scope;
    let count: f32 = 0;
    if (masked) {
      for (let t: usize = 0; t < <usize>scope; t++) count += load<f32>(real + ((first + t) << 2));
    } else {
      count = <f32>scope;
    }
    const tokens = f32x4.splat(max<f32>(1, count)), factor = f32x4.splat(scale);
    let total: f32 = 0;
    for (let e = 0; e < E; e += 4) {
      const width = min(4, E - e);
      let p = probability + first * bytes + (<usize>e << 2);
      let c = choices > 0 ? chosen + ((first * <usize>K) << 2) : chosen + first * bytes + (<usize>e << 2);
      const step = choices > 0 ? <usize>K << 2 : bytes, own4 = i32x4.add(i32x4.splat(e), i32x4(0, 1, 2, 3));
      let at = real + (first << 2);
      let sumP = zero, sumC = zero;
      for (let left = scope; left > 0;) {
        let partP = zero, partC = zero;
        const block = min(left, BLOCK);
        for (let row = 0; row < block; row++, p += bytes, c += step, at += 4) {
          let ownP = width == 4 ? v128.load(p) : loadFirst(p, width, zero);
          let ownC = zero;
          if (choices > 0) {
            for (let at: usize = 0; at < <usize>choices << 2; at += 4) {
              const named = i32x4.eq(v128.load_splat<i32>(c + at), own4);
              ownC = f32x4.add(ownC, v128.and(named, f32x4.splat(1)));
            }
          } else {
            ownC = width == 4 ? v128.load(c) : loadFirst(c, width, zero);
          }
          if (masked) {
            const weight = v128.load_splat<f32>(at);
            ownP = f32x4.mul(ownP, weight);
            ownC = f32x4.mul(ownC, weight);
          }
          partP = f32x4.add(partP, ownP);
          partC = f32x4.add(partC, ownC);
        }
        sumP = f32x4.add(sumP, partP);
        sumC = f32x4.add(sumC, partC);
        left -= block;
      }
      const own = f32x4.div(f32x4.mul(factor, f32x4.div(sumC, tokens)), tokens);
      const target = slope + s * bytes + (<usize>e << 2);
      if (width == 4) v128.store(target, own);
      else storeFirst(target, own, width);
      total += sumLanes(f32x4.mul(own, sumP));
    }
    store<f32>(loss + (s << 2), total);
  }
}
