// Threefry-2x32 with 20 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"): the words under host
// streams and device draws alike. A counter instead of a state is what makes draws equal on any number of threads.

const ROTATIONS = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY = 0x1BD11BDA;

/** One Threefry-2x32 block with 20 rounds, written to `out[at]` and `out[at + 1]`. */
export function threefry(
  key0: number,
  key1: number,
  counter0: number,
  counter1: number,
  out: Uint32Array,
  at: number,
): void {
  const keys = [key0 | 0, key1 | 0, (key0 ^ key1 ^ PARITY) | 0];
  let x0 = (counter0 + keys[0]) | 0;
  let x1 = (counter1 + keys[1]) | 0;
  for (let group = 0; group < 5; group++) {
    for (const rotation of ROTATIONS[group & 1]) {
      x0 = (x0 + x1) | 0;
      x1 = ((x1 << rotation) | (x1 >>> (32 - rotation))) ^ x0;
    }
    x0 = (x0 + keys[(group + 1) % 3]) | 0;
    x1 = (x1 + keys[(group + 2) % 3] + group + 1) | 0;
  }
  out[at] = x0;
  out[at + 1] = x1;
}

/** Refuses halves of a key that are no 32-bit words. */
export function checkKey(kernel: string, key0: number, key1: number): void {
  for (const key of [key0, key1]) {
    if (!Number.isInteger(key) || key < 0 || key >= 2 ** 32) {
      throw new RangeError(
        `Cannot run ${kernel}: half a key must be a whole number from 0 to 4294967295, not ${key}`,
      );
    }
  }
}
