// A unit is one row: zeros first, then each gradient is added where its entry came from, in order.
import { address, integer } from "../parts/arguments.as";

export function takeAlongGradient(from: i32, to: i32, list: usize): void {
  const index = address(list, 0), g = address(list, 1), dx = address(list, 2);
  const E = <usize>integer(list, 3), K = <usize>integer(list, 4);
  memory.fill(dx + ((<usize>from * E) << 2), 0, (<usize>(to - from) * E) << 2);
  for (let t = <usize>from; t < <usize>to; t++) {
    const row = dx + ((t * E) << 2);
    for (let at = (t * K) << 2, end = ((t + 1) * K) << 2; at < end; at += 4) {
      const entry = load<u32>(index + at);
      if (entry >= <u32>E) continue;
      const place = row + (<usize>entry << 2);
      store<f32>(place, load<f32>(place) + load<f32>(g + at));
    }
  }
}
