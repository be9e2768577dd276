// A unit is one scope: a transportation problem, solved on the graph of experts, where the edge a -> b is the most that
// one of a's tokens gains by moving to b. Tokens take the expert they gain most from while it has room; each one left over
// pushes others along a best path to an expert with room (Dijkstra on losses that prices keep at or above 0).
//
// Prices near the best come first, from counting wishes; they only save time. Where tokens do not divide by experts, each
// of the experts that go one short holds a blank, and blanks move through one more node of the graph, the pool. At the
// end ties are settled towards the lower experts, the first token first, by exchanges that lose nothing.
import { address, integer, scratch } from "../parts/arguments.as";
import { largestLane, loadFirst, log1 } from "../parts/math.as";
import { bounded, least, measure, most, toUnits, units } from "../parts/score_units.as";

const SWEEPS: i32 = 60;

let E: i32 = 0;
/** Nodes of the graph: experts, and the pool where there is one. */
let V: i32 = 0;
/** Tokens an expert takes, its blank included. */
let C: i32 = 0;
let score: usize = 0, owner: usize = 0;
let gain: usize = 0, potential: usize = 0, distance: usize = 0;
let best: usize = 0, parent: usize = 0, done: usize = 0, held: usize = 0, blank: usize = 0;
let members: usize = 0, place: usize = 0, waiting: usize = 0, queue: usize = 0;
let price: usize = 0, bestPrice: usize = 0, step: usize = 0, lastSign: usize = 0, row4: usize = 0;

// @ts-ignore: decorator
@inline
function get(base: usize, at: i32): i32 {
  return load<i32>(base + (<usize>at << 2));
}

// @ts-ignore: decorator
@inline
function set(base: usize, at: i32, value: i32): void {
  store<i32>(base + (<usize>at << 2), value);
}

// @ts-ignore: decorator
@inline
function real(base: usize, at: i32): f64 {
  return load<f64>(base + (<usize>at << 3));
}

// @ts-ignore: decorator
@inline
function setReal(base: usize, at: i32, value: f64): void {
  store<f64>(base + (<usize>at << 3), value);
}

// @ts-ignore: decorator
@inline
function scoreOf(token: i32, expert: i32): usize {
  return score + ((<usize>token * <usize>E + <usize>expert) << 2);
}

export function balancedAssignment(from: i32, to: i32, list: usize): void {
  const hasReal = integer(list, 6) != 0;
  const after = hasReal ? 2 : 1;
  const allScores = address(list, 0), allReal = address(list, 1), allOwners = address(list, after);
  const T = integer(list, after + 1), scope = integer(list, after + 3);
  E = integer(list, after + 2);
  for (let unit = from; unit < to; unit++) {
    const first = unit * scope, tokens = min(scope, T - first);
    score = allScores + ((<usize>first * <usize>E) << 2);
    owner = allOwners + (<usize>first << 2);
    let count = 0;
    for (let t = 0; t < tokens; t++) {
      const takesPart = !hasReal || load<f32>(allReal + (<usize>(first + t) << 2)) != 0;
      set(owner, t, takesPart ? 0 : -1);
      count += i32(takesPart);
    }
    if (count > 0) assign(tokens, count);
  }
}

function layOut(tokens: i32): void {
  const nodes = <usize>(E + 1), experts = <usize>((E + 7) & ~3);
  let next = scratch;
  gain = next;
  next += (nodes * nodes) << 3;
  potential = next;
  next += nodes << 3;
  distance = next;
  next += nodes << 3;
  best = next;
  next += (nodes * nodes) << 2;
  parent = next;
  next += nodes << 2;
  done = next;
  next += nodes << 2;
  held = next;
  next += nodes << 2;
  blank = next;
  next += nodes << 2;
  queue = next;
  next += nodes << 2;
  price = next;
  next += experts << 2;
  bestPrice = next;
  next += experts << 2;
  step = next;
  next += experts << 2;
  lastSign = next;
  next += experts << 2;
  row4 = next;
  next += experts << 2;
  place = next;
  next += <usize>tokens << 2;
  waiting = next;
  next += <usize>tokens << 2;
  members = next;
}

function assign(tokens: i32, count: i32): void {
  measure(score, owner, tokens, E);
  layOut(tokens);
  const rest = count % E;
  C = (count + E - 1) / E;
  V = rest == 0 ? E : E + 1;
  findPrices(tokens, count);
  for (let e = 0; e < E; e++) {
    setReal(potential, e, toUnits(load<f32>(bestPrice + (<usize>e << 2))));
    set(held, e, 0);
    set(blank, e, 0);
  }
  if (rest > 0) dealBlanks(E - rest);
  const left = takeWishes(tokens);
  buildGraph(tokens);
  for (let at = 0; at < left; at++) insert(get(waiting, at));
  settleTies(tokens);
}

/** Leaves prices at which wishes are nearly balanced in `bestPrice`: each moves against its expert's load. */
function findPrices(tokens: i32, count: i32): void {
  const width = (E + 3) & ~3;
  let sum: f64 = 0, squares: f64 = 0, seen = 0;
  for (let t = 0; t < tokens && seen < 256; t++) {
    if (get(owner, t) < 0) continue;
    for (let e = 0; e < E; e++) {
      const value = <f64>f32x4.extract_lane(bounded(v128.load_splat<f32>(scoreOf(t, e))), 0);
      sum += value;
      squares += value * value;
    }
    seen++;
  }
  const entries = <f64>seen * <f64>E;
  const spread = sqrt(max<f64>(0, squares / entries - sum / entries * (sum / entries)));
  for (let e = 0; e < width; e++) {
    const inside = e < E;
    store<f32>(price + (<usize>e << 2), inside ? 0 : Infinity);
    store<f32>(bestPrice + (<usize>e << 2), 0);
    store<f32>(step + (<usize>e << 2), <f32>(0.8 * spread));
    set(lastSign, e, 0);
  }
  const share = <f32>count / <f32>E;
  let bestExcess = i32.MAX_VALUE;
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    for (let e = 0; e < E; e++) set(held, e, 0);
    for (let t = 0; t < tokens; t++) {
      if (get(owner, t) < 0) continue;
      const wish = held + (<usize>wishOf(t) << 2);
      store<i32>(wish, load<i32>(wish) + 1);
    }
    let excess = 0;
    for (let e = 0; e < E; e++) excess += max(0, get(held, e) - C);
    if (excess < bestExcess) {
      bestExcess = excess;
      memory.copy(bestPrice, price, <usize>E << 2);
    }
    if (excess * 64 <= count) return;
    for (let e = 0; e < E; e++) {
      const wanted = get(held, e);
      const sign = <f32>wanted > share ? 1 : <f32>wanted < share ? -1 : 0;
      const at = step + (<usize>e << 2);
      const turned = sign * get(lastSign, e) < 0;
      store<f32>(at, load<f32>(at) * (turned ? 0.5 : 1.1));
      set(lastSign, e, sign);
      const change = load<f32>(at) * log1((<f32>wanted + 0.5) / (share + 0.5));
      const next = load<f32>(price + (<usize>e << 2)) + change;
      // Within what scores span, so that prices in units stay exact.
      store<f32>(price + (<usize>e << 2), min<f32>(max<f32>(next, least - most), most - least));
    }
  }
}

/** The expert a token gains most from at the prices of the moment. */
function wishOf(token: i32): i32 {
  const row = scoreOf(token, 0);
  const whole = E & ~3;
  let highest = f32x4.splat(-Infinity);
  for (let e: usize = 0; e < <usize>whole << 2; e += 16) {
    const v = f32x4.sub(bounded(v128.load(row + e)), v128.load(price + e));
    v128.store(row4 + e, v);
    highest = f32x4.pmax(highest, v);
  }
  if (whole < E) {
    const e = <usize>whole << 2;
    const v = f32x4.sub(bounded(loadFirst(row + e, E - whole, f32x4.splat(0))), v128.load(price + e));
    v128.store(row4 + e, v);
    highest = f32x4.pmax(highest, v);
  }
  const wanted = f32x4.splat(largestLane(highest));
  let at = row4;
  let same = f32x4.eq(v128.load(at), wanted);
  while (!v128.any_true(same)) {
    at += 16;
    same = f32x4.eq(v128.load(at), wanted);
  }
  return <i32>((at - row4) >> 2) + ctz(i32x4.bitmask(same));
}

/** The cheapest experts get a blank each, and the pool a price between the two kinds. */
function dealBlanks(blanks: i32): void {
  let highest = -Infinity;
  for (let made = 0; made < blanks; made++) {
    let cheapest = -1;
    for (let e = 0; e < E; e++) {
      if (get(blank, e) == 0 && (cheapest < 0 || real(potential, e) < real(potential, cheapest))) cheapest = e;
    }
    set(blank, cheapest, 1);
    highest = real(potential, cheapest);
  }
  setReal(potential, E, highest);
}

/** Each token goes where it gains most while there is room; returns how many wait. */
function takeWishes(tokens: i32): i32 {
  let left = 0;
  for (let t = 0; t < tokens; t++) {
    if (get(owner, t) < 0) continue;
    let highest = -Infinity;
    let wish = 0;
    for (let e = 0; e < E; e++) {
      const value = units(scoreOf(t, e)) - real(potential, e);
      if (value > highest) {
        highest = value;
        wish = e;
      }
    }
    if (hasRoom(wish)) {
      enter(t, wish);
    } else {
      set(owner, t, -2);
      set(waiting, left++, t);
    }
  }
  return left;
}

// @ts-ignore: decorator
@inline
function hasRoom(expert: i32): bool {
  return get(held, expert) + get(blank, expert) < C;
}

function enter(token: i32, expert: i32): void {
  const count = get(held, expert);
  set(members, expert * C + count, token);
  set(place, token, count);
  set(held, expert, count + 1);
  set(owner, token, expert);
}

function leave(token: i32): void {
  const expert = get(owner, token);
  const last = get(held, expert) - 1;
  const moved = get(members, expert * C + last);
  set(members, expert * C + get(place, token), moved);
  set(place, moved, get(place, token));
  set(held, expert, last);
}

/** A token goes from one expert to another, whose place for it may be one that is about to be left. */
function move(token: i32, to: i32): void {
  leave(token);
  enter(token, to);
}

function setBlank(expert: i32, value: i32): void {
  set(blank, expert, value);
  setReal(gain, expert * V + E, value == 1 ? 0 : -Infinity);
  setReal(gain, E * V + expert, value == 1 ? -Infinity : 0);
}

function buildGraph(tokens: i32): void {
  for (let at = 0; at < V * V; at++) setReal(gain, at, -Infinity);
  for (let t = 0; t < tokens; t++) {
    const a = get(owner, t);
    if (a >= 0) offer(t, a);
  }
  if (V > E) for (let e = 0; e < E; e++) setBlank(e, get(blank, e));
}

/** Makes a token of expert `a` the one that moves wherever it gains more than the others. */
function offer(token: i32, a: i32): void {
  const own = units(scoreOf(token, a));
  for (let b = 0; b < E; b++) {
    const value = units(scoreOf(token, b)) - own;
    if (value > real(gain, a * V + b)) {
      setReal(gain, a * V + b, value);
      set(best, a * V + b, token);
    }
  }
}

/** Finds the token that gains most from each move again where `lost` was it. */
function repair(a: i32, lost: i32): void {
  let columns = 0;
  for (let b = 0; b < E; b++) {
    if (b == a || real(gain, a * V + b) == -Infinity || get(best, a * V + b) != lost) continue;
    setReal(gain, a * V + b, -Infinity);
    set(queue, columns++, b);
  }
  if (columns == 0) return;
  const count = get(held, a);
  for (let at = 0; at < count; at++) {
    const token = get(members, a * C + at);
    const own = units(scoreOf(token, a));
    for (let column = 0; column < columns; column++) {
      const b = get(queue, column);
      const value = units(scoreOf(token, b)) - own;
      if (value > real(gain, a * V + b)) {
        setReal(gain, a * V + b, value);
        set(best, a * V + b, token);
      }
    }
  }
}

/** Gives a waiting token an expert, moving others along the path that loses least. */
function insert(token: i32): void {
  let highest = -Infinity;
  for (let e = 0; e < E; e++) {
    const value = units(scoreOf(token, e)) - real(potential, e);
    setReal(distance, e, value);
    highest = max(highest, value);
  }
  for (let v = 0; v < V; v++) {
    setReal(distance, v, v < E ? highest - real(distance, v) : Infinity);
    set(parent, v, -1);
    set(done, v, 0);
  }
  let end = -1;
  while (end < 0) {
    let a = -1;
    let nearest = Infinity;
    for (let v = 0; v < V; v++) {
      if (get(done, v) == 0 && real(distance, v) < nearest) {
        nearest = real(distance, v);
        a = v;
      }
    }
    set(done, a, 1);
    if (a < E && hasRoom(a)) {
      end = a;
      break;
    }
    const base = nearest - real(potential, a);
    for (let b = 0; b < V; b++) {
      const through = base + real(potential, b) - real(gain, a * V + b);
      if (through < real(distance, b) && get(done, b) == 0) {
        setReal(distance, b, through);
        set(parent, b, a);
      }
    }
  }
  const length = real(distance, end);
  for (let v = 0; v < V; v++) {
    if (get(done, v) != 0) setReal(potential, v, real(potential, v) + (length - real(distance, v)));
  }
  // From the end back: each expert on the way passes on a token and takes the one before it.
  let b = end;
  for (let a = get(parent, b); a >= 0; a = get(parent, b)) {
    if (a == E) {
      setBlank(b, 1);
    } else if (b == E) {
      setBlank(a, 0);
    } else {
      const passed = get(best, a * V + b);
      move(passed, b);
      offer(passed, b);
      repair(a, passed);
    }
    b = a;
  }
  enter(token, b);
  offer(token, b);
}

/** Among the best assignments, takes the one whose queue of experts comes first. */
function settleTies(tokens: i32): void {
  const edges = best; // how many later tokens of one expert could as well be with another
  let tied = 0;
  memory.fill(edges, 0, (<usize>V * <usize>V) << 2);
  for (let t = 0; t < tokens; t++) {
    const a = get(owner, t);
    if (a < 0) continue;
    const value = units(scoreOf(t, a)) - real(potential, a);
    let ties = 0;
    for (let e = 0; e < E; e++) ties += i32(units(scoreOf(t, e)) - real(potential, e) == value);
    if (ties < 2) continue;
    set(waiting, tied++, t);
    countTies(t, a, 1);
  }
  for (let at = 0; at < tied; at++) {
    const token = get(waiting, at);
    const a = get(owner, token);
    countTies(token, a, -1);
    const value = units(scoreOf(token, a)) - real(potential, a);
    let reached = false;
    for (let e = 0; e < a; e++) {
      if (units(scoreOf(token, e)) - real(potential, e) != value) continue;
      if (!reached) {
        reach(a);
        reached = true;
      }
      if (get(done, e) == 0) continue;
      exchange(token, e, a);
      break;
    }
  }
}

function countTies(token: i32, a: i32, by: i32): void {
  const value = units(scoreOf(token, a)) - real(potential, a);
  for (let e = 0; e < E; e++) {
    if (e == a || units(scoreOf(token, e)) - real(potential, e) != value) continue;
    set(best, a * V + e, get(best, a * V + e) + by);
  }
}

/** Marks the nodes from which a place can be passed to `a` without loss, with the next node on the way as parent. */
function reach(a: i32): void {
  memory.fill(done, 0, <usize>V << 2);
  set(done, a, 1);
  set(queue, 0, a);
  let queued = 1;
  for (let at = 0; at < queued; at++) {
    const y = get(queue, at);
    for (let x = 0; x < V; x++) {
      if (get(done, x) != 0 || !canPass(x, y)) continue;
      set(done, x, 1);
      set(parent, x, y);
      set(queue, queued++, x);
    }
  }
}

// @ts-ignore: decorator
@inline
function canPass(x: i32, y: i32): bool {
  if (x < E && y < E) return get(best, x * V + y) > 0;
  return real(potential, x) == real(potential, y) && get(blank, x == E ? y : x) == (x == E ? 0 : 1);
}

/** `token` goes from `a` to `to`; later tokens on the way from `to` back to `a` make room. */
function exchange(token: i32, to: i32, a: i32): void {
  leave(token);
  let length = 0;
  for (let x = to; x != a; x = get(parent, x)) set(queue, length++, x);
  // From the end back, so that nobody enters before there is room.
  let y = a;
  while (length > 0) {
    const x = get(queue, --length);
    if (x == E) setBlank(y, 1);
    else if (y == E) setBlank(x, 0);
    else pass(token, x, y);
    y = x;
  }
  enter(token, to);
}

function pass(after: i32, x: i32, y: i32): void {
  const count = get(held, x);
  for (let at = 0; at < count; at++) {
    const token = get(members, x * C + at);
    if (token <= after) continue;
    if (units(scoreOf(token, y)) - real(potential, y) != units(scoreOf(token, x)) - real(potential, x)) continue;
    countTies(token, x, -1);
    move(token, y);
    countTies(token, y, 1);
    return;
  }
}
