// What every contender has to compute, in f64 and plain loops: products, softmax, and an MoE layer with its gradients and
// one AdamW update. It shares no code with any contender, ours included.

/** A layer's values, row-major f64. `third` is the second projection of SwiGLU experts. */
export interface MoeInputs {
  readonly x: Float64Array;
  readonly router: Float64Array;
  readonly first: Float64Array;
  readonly second: Float64Array;
  readonly third?: Float64Array;
  readonly target: Float64Array;
}

/** Sizes and what experts do between their products. */
export interface MoeSizes {
  readonly T: number;
  readonly D: number;
  readonly F: number;
  readonly E: number;
  readonly activation: "relu" | "gelu" | "swiglu";
}

/** What a layer gives. Gradients are absent when only the forward pass was asked for. */
export interface MoeValues {
  readonly y: Float64Array;
  readonly loss: number;
  /** Tokens of the fullest expert. */
  readonly largestLoad: number;
  /** Least difference between a token's second and third logit: below what f32 resolves, experts are not defined. */
  readonly leastGap: number;
  readonly gradients?: Record<"x" | "router" | "first" | "second" | "third", Float64Array>;
  /**
   * Share of each gradient's norm that hangs on hidden units so near 0 that f32 cannot tell which side of ReLU's kink
   * they are on.
   */
  readonly undecided: number;
}

/** [M, K] [K, N] -> [M, N]. Four rows of b at a time: a third of the time of one. */
export function product(a: Float64Array, b: Float64Array, M: number, K: number, N: number): Float64Array {
  const c = new Float64Array(M * N);
  for (let i = 0; i < M; i++) {
    const row = c.subarray(i * N, (i + 1) * N);
    let k = 0;
    for (; k + 4 <= K; k += 4) {
      const at = i * K + k;
      const [p, q, r, s] = [a[at], a[at + 1], a[at + 2], a[at + 3]];
      const [b0, b1, b2, b3] = [k * N, (k + 1) * N, (k + 2) * N, (k + 3) * N];
      for (let j = 0; j < N; j++) {
        row[j] += p * b[b0 + j] + q * b[b1 + j] + r * b[b2 + j] + s * b[b3 + j];
      }
    }
    for (; k < K; k++) {
      for (let j = 0; j < N; j++) row[j] += a[i * K + k] * b[k * N + j];
    }
  }
  return c;
}

/** [M, N] -> [N, M]. */
export function transposed(a: Float64Array, M: number, N: number): Float64Array {
  const b = new Float64Array(M * N);
  for (let i = 0; i < M; i++) {
    for (let j = 0; j < N; j++) b[j * M + i] = a[i * N + j];
  }
  return b;
}

/** Softmax over the last axis. */
export function softmaxRows(x: Float64Array, columns: number): Float64Array {
  const y = new Float64Array(x.length);
  for (let from = 0; from < x.length; from += columns) {
    const row = x.subarray(from, from + columns);
    const top = row.reduce((most, value) => Math.max(most, value), -Infinity);
    const sum = row.reduce((sum, value) => sum + Math.exp(value - top), 0);
    for (let at = 0; at < columns; at++) {
      y[from + at] = Math.exp(row[at] - top) / sum;
    }
  }
  return y;
}

/** Error function: its series near 0 and its continued fraction from 3 on, both good to 1e-12. */
export function erf(x: number): number {
  const z = Math.abs(x);
  if (z > 6) return Math.sign(x);
  if (z < 3) {
    let [term, sum] = [z, z];
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
      term *= -z * z / n;
      sum += term / (2 * n + 1);
      if (n > 200) break;
    }
    return Math.sign(x) * 2 / Math.sqrt(Math.PI) * sum;
  }
  let fraction = 0;
  for (let n = 60; n >= 1; n--) fraction = n / 2 / (z + fraction);
  return Math.sign(x) * (1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction));
}

/** Value and slope of an activation. */
function activate(kind: MoeSizes["activation"], h: number): { value: number; slope: number } {
  switch (kind) {
    case "relu":
      return h > 0 ? { value: h, slope: 1 } : { value: 0, slope: 0 };
    case "gelu": {
      const below = (1 + erf(h / Math.SQRT2)) / 2;
      return { value: h * below, slope: below + h * Math.exp(-h * h / 2) / Math.sqrt(2 * Math.PI) };
    }
    case "swiglu": {
      const gate = 1 / (1 + Math.exp(-h));
      return { value: h * gate, slope: gate + h * gate * (1 - gate) };
    }
    default:
      return kind satisfies never;
  }
}

/**
 * y_t = sum over the two experts with the largest logits of softmax over those two logits times the expert's output;
 * the loss is the mean of (y - target)^2. Experts are act(x W1) W2, or (silu(x W1) * x W3) W2.
 */
export function moe(inputs: MoeInputs, sizes: MoeSizes, want: "forward" | "gradients"): MoeValues {
  const { x, router, first, second, third, target } = inputs;
  const { T, D, F, E, activation } = sizes;
  const logit = product(x, router, T, D, E);
  const chosen = new Int32Array(2 * T);
  const weight = new Float64Array(2 * T);
  const tokens: number[][] = Array.from({ length: E }, () => []);
  let leastGap = Infinity;
  for (let t = 0; t < T; t++) {
    const row = logit.subarray(t * E, (t + 1) * E);
    const order = Array.from(row.keys()).sort((a, b) => row[b] - row[a] || a - b);
    if (E > 2) leastGap = Math.min(leastGap, row[order[1]] - row[order[2]]);
    chosen.set(order.slice(0, 2), 2 * t);
    weight[2 * t] = 1 / (1 + Math.exp(row[order[1]] - row[order[0]]));
    weight[2 * t + 1] = 1 - weight[2 * t];
    for (const k of [0, 1]) tokens[order[k]].push(2 * t + k);
  }

  const y = new Float64Array(T * D);
  const slice = (all: Float64Array, e: number) => all.subarray(e * D * F, (e + 1) * D * F);
  const kept = tokens.map((assignments, e) => {
    const n = assignments.length;
    const rows = new Float64Array(n * D);
    assignments.forEach((a, at) => rows.set(x.subarray((a >> 1) * D, ((a >> 1) + 1) * D), at * D));
    const h = product(rows, slice(first, e), n, D, F);
    const up = third ? product(rows, slice(third, e), n, D, F) : null;
    const units = h.map((value, at) => activate(activation, value).value * (up ? up[at] : 1));
    const out = product(units, slice(second, e), n, F, D);
    assignments.forEach((a, at) => {
      for (let d = 0; d < D; d++) {
        y[(a >> 1) * D + d] += weight[a] * out[at * D + d];
      }
    });
    return { rows, h, up, units, out };
  });
  let loss = 0;
  for (let at = 0; at < T * D; at++) loss += (y[at] - target[at]) ** 2;
  loss /= T * D;
  const largestLoad = Math.max(...tokens.map(({ length }) => length));
  if (want === "forward") {
    return { y, loss, largestLoad, leastGap, undecided: 0 };
  }

  const dy = y.map((value, at) => 2 * (value - target[at]) / (T * D));
  const dx = new Float64Array(T * D);
  const dweight = new Float64Array(2 * T);
  const dfirst = new Float64Array(E * D * F);
  const dsecond = new Float64Array(E * D * F);
  const dthird = new Float64Array(third ? E * D * F : 0);
  let [undecided, decided] = [0, 0];
  tokens.forEach((assignments, e) => {
    const n = assignments.length;
    const { rows, h, up, units, out } = kept[e];
    const dout = new Float64Array(n * D);
    assignments.forEach((a, at) => {
      for (let d = 0; d < D; d++) {
        const g = dy[(a >> 1) * D + d];
        dweight[a] += g * out[at * D + d];
        dout[at * D + d] = weight[a] * g;
      }
    });
    dsecond.set(product(transposed(units, n, F), dout, F, n, D), e * D * F);
    const dunits = product(dout, transposed(slice(second, e), F, D), n, D, F);
    const dh = new Float64Array(n * F);
    const dup = new Float64Array(up ? n * F : 0);
    const near = 4 * Math.sqrt(D) * 2 ** -24 *
      Math.sqrt(h.reduce((sum, value) => sum + value * value, 0) / h.length);
    for (let at = 0; at < n * F; at++) {
      const { value, slope } = activate(activation, h[at]);
      dh[at] = dunits[at] * slope * (up ? up[at] : 1);
      if (up) dup[at] = dunits[at] * value;
      if (activation === "relu") {
        decided += dh[at] ** 2;
        if (Math.abs(h[at]) < near) undecided += dunits[at] ** 2;
      }
    }
    const back = transposed(rows, n, D);
    dfirst.set(product(back, dh, D, n, F), e * D * F);
    if (up) dthird.set(product(back, dup, D, n, F), e * D * F);
    const drows = product(dh, transposed(slice(first, e), D, F), n, F, D);
    const more = up ? product(dup, transposed(slice(third!, e), D, F), n, F, D) : null;
    assignments.forEach((a, at) => {
      for (let d = 0; d < D; d++) {
        dx[(a >> 1) * D + d] += drows[at * D + d] + (more ? more[at * D + d] : 0);
      }
    });
  });
  const dlogit = new Float64Array(T * E);
  for (let t = 0; t < T; t++) {
    const mean = weight[2 * t] * dweight[2 * t] + weight[2 * t + 1] * dweight[2 * t + 1];
    for (const a of [2 * t, 2 * t + 1]) {
      dlogit[t * E + chosen[a]] = weight[a] * (dweight[a] - mean);
    }
  }
  const drouter = product(transposed(x, T, D), dlogit, D, T, E);
  const viaRouter = product(dlogit, transposed(router, D, E), T, E, D);
  for (let at = 0; at < T * D; at++) dx[at] += viaRouter[at];
  return {
    y,
    loss,
    largestLoad,
    leastGap,
    gradients: { x: dx, router: drouter, first: dfirst, second: dsecond, third: dthird },
    undecided: decided === 0 ? 0 : Math.sqrt(undecided / decided),
  };
}

/** Settings of AdamW, the defaults of PyTorch's. */
export const adamw = { learningRate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

/** A parameter after its first update (Loshchilov and Hutter 2019, algorithm 2), moments starting at 0. */
export function updated(value: Float64Array, gradient: Float64Array): Float64Array {
  const { learningRate, epsilon, weightDecay } = adamw;
  // At the first step the bias corrections cancel the decay rates: m = g and v = g^2.
  return value.map((w, at) =>
    w * (1 - learningRate * weightDecay) - learningRate * gradient[at] / (Math.abs(gradient[at]) + epsilon)
  );
}
