// A unit is one scope: edges of the graph of experts from its tokens, longest paths between all nodes (Floyd and
// Warshall, two sums at a time), and each token's row copied from its expert's.
import { address, integer, scratch } from "../parts/arguments.as";
import { fromUnits, measure, units } from "../parts/score_units.as";

export function exchangeGain(from: i32, to: i32, list: usize): void {
  const T = integer(list, 3), E = integer(list, 4), scope = integer(list, 5);
  const bytes = <usize>E << 2;
  for (let unit = from; unit < to; unit++) {
    const first = unit * scope, tokens = min(scope, T - first);
    const score = address(list, 0) + <usize>first * bytes;
    const expert = address(list, 1) + (<usize>first << 2);
    const gain = address(list, 2) + <usize>first * bytes;
    measure(score, expert, tokens, E);
    // Rows of an even number of nodes: experts, the pool of blanks, and one that nothing reaches where that is odd.
    const V = (E + 2) & ~1;
    const stride = <usize>V << 3;
    const counts = scratch + <usize>V * stride;
    const rows = counts + (<usize>V << 3);
    for (let at: usize = 0; at < <usize>V * stride; at += 8) store<f64>(scratch + at, -Infinity);
    const held = addTokens(score, expert, tokens, E, stride, counts);
    if (held % E != 0) addPool(held / E, E, stride, counts);
    for (let v: usize = 0; v < <usize>V; v++) store<f64>(scratch + v * (stride + 8), 0);
    closePaths(V, stride);
    for (let z = 0; z < E; z++) {
      for (let e = 0; e < E; e++) {
        const path = load<f64>(scratch + <usize>e * stride + (<usize>z << 3));
        store<f32>(rows + <usize>z * bytes + (<usize>e << 2), <f32>fromUnits(path));
      }
    }
    for (let t: usize = 0; t < <usize>tokens; t++) {
      const z = load<i32>(expert + (t << 2));
      if (z >= 0 && z < E) memory.copy(gain + t * bytes, rows + <usize>z * bytes, bytes);
      else memory.fill(gain + t * bytes, 0, bytes);
    }
  }
}

function addTokens(score: usize, expert: usize, tokens: i32, E: i32, stride: usize, counts: usize): i32 {
  memory.fill(counts, 0, <usize>E << 2);
  let held = 0;
  for (let t: usize = 0; t < <usize>tokens; t++) {
    const a = load<i32>(expert + (t << 2));
    if (a < 0 || a >= E) continue;
    held++;
    store<i32>(counts + (<usize>a << 2), load<i32>(counts + (<usize>a << 2)) + 1);
    const row = score + ((t * <usize>E) << 2);
    const own = units(row + (<usize>a << 2));
    const edges = scratch + <usize>a * stride;
    for (let b: usize = 0; b < <usize>E; b++) {
      const value = units(row + (b << 2)) - own;
      if (value > load<f64>(edges + (b << 3))) store<f64>(edges + (b << 3), value);
    }
  }
  return held;
}

/** An expert with fewer tokens can hand its blank to the pool, one with more can take it. */
function addPool(fewer: i32, E: i32, stride: usize, counts: usize): void {
  const pool = <usize>E;
  for (let e: usize = 0; e < pool; e++) {
    const short = load<i32>(counts + (e << 2)) == fewer;
    store<f64>(scratch + (short ? e * stride + (pool << 3) : pool * stride + (e << 3)), 0);
  }
}

function closePaths(V: i32, stride: usize): void {
  for (let k: usize = 0; k < <usize>V; k++) {
    const through = scratch + k * stride;
    for (let a: usize = 0; a < <usize>V; a++) {
      const first = load<f64>(scratch + a * stride + (k << 3));
      if (a == k || first == -Infinity) continue;
      const way = f64x2.splat(first);
      const row = scratch + a * stride;
      for (let at: usize = 0; at < stride; at += 16) {
        v128.store(row + at, f64x2.pmax(v128.load(row + at), f64x2.add(way, v128.load(through + at))));
      }
    }
  }
}
