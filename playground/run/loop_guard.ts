// Finds loops of the user's that never end: marks in them count, and where nothing else has had its turn for five seconds,
// the page is told, which ends the worker.

const MOST_MILLISECONDS = 5000;
const LOOK_EVERY = 256;

/** A guard over loops. */
export interface LoopGuard {
  /** Called in every turn of a loop. */
  loop(line: number): void;
  /** Called whenever something else has had its turn. */
  alive(): void;
}

/** A guard. @param tell Told once, with the line of the loop. @param clock In milliseconds. */
export function createLoopGuard(
  tell: (line: number) => void,
  clock: () => number = () => performance.now(),
): LoopGuard {
  let [count, since] = [0, clock()];
  return {
    loop(line) {
      if (++count % LOOK_EVERY !== 0 || clock() - since < MOST_MILLISECONDS) return;
      since = Infinity;
      tell(line);
    },
    alive() {
      since = clock();
    },
  };
}
