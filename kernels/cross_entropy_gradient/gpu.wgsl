// dlogits[t, v] = g[t] (e^((logits[t, v] - first[t]) - second[t]) - [v = target[t]]); 0 where the target is outside the columns.
// logits [size / columns, columns]. One invocation for an element.

struct Given {
  size: u32,
  columns: u32,
}
@compute @workgroup_size(256)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let i = (group.y * groups.x + group.x) * 256u + lane;
  if (i >= given.size) {
    return;
  }
  let t = i / given.columns;
  let word = u32(targets[t]);
  let probability = exponential((logit(i) - normalizer[t].x) - normalizer[t].y);
  let back = g[t] * (probability - select(0.0, 1.0, word == i % given.columns));
  dlogits[i] = select(0.0, back, word < given.columns);
}
