// The generator behind other systems' seeds: MT19937 (Matsumoto and Nishimura 1998), seeded as PyTorch does and as
// Python does, and the streams that both draw from it. Only tests need other systems' numbers.

/** A stream of 32-bit words. */
export interface MersenneTwister {
  /** The next word, a whole number from 0 to 2^32 - 1. */
  word(): number;
}

const N = 624;
const M = 397;

function initialState(seed: number): Uint32Array {
  const state = new Uint32Array(N);
  state[0] = seed;
  for (let i = 1; i < N; i++) {
    state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  }
  return state;
}

function stateOfKey(key: readonly number[]): Uint32Array {
  const state = initialState(19650218);
  let i = 1;
  const step = (factor: number, add: number) => {
    state[i] = (state[i] ^ Math.imul(state[i - 1] ^ (state[i - 1] >>> 30), factor)) + add;
    if (++i >= N) {
      state[0] = state[N - 1];
      i = 1;
    }
  };
  for (let k = 0; k < Math.max(N, key.length); k++) {
    step(1664525, key[k % key.length] + (k % key.length));
  }
  for (let k = 0; k < N - 1; k++) step(1566083941, -i);
  state[0] = 0x80000000;
  return state;
}

function generator(state: Uint32Array): MersenneTwister {
  let at = N;
  function twist(): void {
    for (let i = 0; i < N; i++) {
      const bits = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7FFFFFFF);
      state[i] = state[(i + M) % N] ^ (bits >>> 1) ^ (bits & 1 ? 0x9908B0DF : 0);
    }
    at = 0;
  }
  return {
    word() {
      if (at === N) twist();
      let y = state[at++];
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9D2C5680;
      y ^= (y << 15) & 0xEFC60000;
      return (y ^ (y >>> 18)) >>> 0;
    },
  };
}

/** The words of `torch.manual_seed(seed)` on the CPU, for seeds below 2^32. */
export function torchSeed(seed: number): MersenneTwister {
  return generator(initialState(seed));
}

/** The words of Python's `random.seed(seed)`, for seeds from 1 to 2^32 - 1. */
export function pythonSeed(seed: number): MersenneTwister {
  return generator(stateOfKey([seed]));
}

/**
 * Python's `random.randrange(below)` before it is rounded down: a number in [0, 1) whose product with `below` has the
 * drawn whole number as its floor. Python takes as many leading bits of a word as `below` has, until they are below it.
 */
export function randrange(twister: MersenneTwister, below: number): number {
  const unit = 2 ** Math.clz32(below);
  for (;;) {
    const word = twister.word();
    if (word < below * unit) return word / (below * unit);
  }
}

/** torch float32 uniforms in [0, 1): 24 bits of a word each. */
export function uniform32(twister: MersenneTwister, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => (twister.word() & 0xFFFFFF) * 2 ** -24);
}

/** torch float64 uniforms in [low, high), rounded to float32: 53 bits of two words each, the first word high. */
export function uniform64(
  twister: MersenneTwister,
  count: number,
  [low, high]: readonly [number, number],
): Float32Array {
  const values = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const upper = twister.word() & 0x1FFFFF;
    values[i] = (upper * 2 ** 32 + twister.word()) * 2 ** -53 * (high - low) + low;
  }
  return values;
}

/** torch float32 normals: Box-Muller over blocks of 16 uniforms. `count` must be a multiple of 16. */
export function normal32(twister: MersenneTwister, count: number): Float32Array {
  const values = uniform32(twister, count);
  for (let block = 0; block < count; block += 16) {
    for (let j = block; j < block + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - values[j]));
      const angle = 2 * Math.PI * values[j + 8];
      values[j] = radius * Math.cos(angle);
      values[j + 8] = radius * Math.sin(angle);
    }
  }
  return values;
}
