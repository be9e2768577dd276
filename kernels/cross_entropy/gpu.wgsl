// loss[t] = logsumexp(x[t]) - x[t, target[t]], and its normalizer; a target outside 0..columns-1 costs 0. x, the logits,
// is [rows, columns].

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<i32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
@group(0) @binding(4) var<storage, read_write> normalizer: array<vec2f>;

fn finish(row: u32, largest: f32, sum: f32) {
  let logOfSum = logarithm(sum);
  normalizer[row] = normalizerOf(largest, logOfSum, largest + logOfSum);
  let word = u32(targets[row]);
  var value = 0.0;
  if (word < given.columns) {
    // Not logsumexp - logit: large logits would cancel.
    value = logOfSum - (x[row * given.columns + word] - largest);
  }
  loss[row] = value;
}
