// Pullbacks for gradients that one kernel computes together. The tape asks for one parent's gradient at a time and frees
// whatever else a pullback made, so those asked for later are held back until their turn.
import { disown, own } from "./memory.ts";
import { carriesGradient, type Pullback, type Tensor } from "./tensor.ts";

/** Each parent with its pullback; `compute` gives the gradients of all of them, in order. */
export function together(
  parents: readonly Tensor[],
  compute: (gradient: Tensor) => readonly Tensor[],
): (readonly [Tensor, Pullback])[] {
  const waiting = new Map<number, Tensor>();
  return parents.map((parent, at) => [parent, (gradient) => {
    const kept = waiting.get(at);
    if (kept) {
      waiting.delete(at);
      own(kept);
      return kept;
    }
    const found = compute(gradient);
    found.forEach((other, index) => {
      if (index === at || !carriesGradient(parents[index])) return;
      disown(other);
      waiting.set(index, other);
    });
    return found[at];
  }]);
}
