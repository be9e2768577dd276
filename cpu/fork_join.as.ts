// Fork and join on shared memory: the main thread publishes a job as one 64-bit ticket, every thread takes chunks of
// it with one atomic add, and the main thread leaves when all chunks are done. Workers spin for a moment between
// kernels of one step (a wake-up costs more than most kernels take) and sleep after that.
//
// The ticket holds epoch, number of chunks and next chunk together: a thread that comes late cannot take a chunk of a
// job it has not read, and a job's description stays untouched until all its chunks are done.
import { call } from "./dispatch.as";
import { setScratch } from "../kernels/parts/arguments.as";
import { setBlas } from "../kernels/parts/blas.as";
import { setNarrow } from "../kernels/parts/gemm.as";

const CHUNK_BITS: i64 = 20;
const CHUNK_MASK: i64 = (1 << 20) - 1;
const SPINS: i32 = 30000;

// Offsets in the control block, one cache line each for what different threads write.
const TICKET: usize = 0;
const DONE: usize = 64;
const WAKE: usize = 128;
const SLEEPERS: usize = 192;
const QUIT: usize = 256;
const KERNEL: usize = 320;
const UNITS: usize = 324;
const GRAIN: usize = 328;
const ARGUMENTS: usize = 332;
const SCRATCH: usize = 336;
const SCRATCH_BYTES: usize = 340;
const NARROW: usize = 344;

let control: usize = 0;
let own: usize = 0;

/** Called once by each thread before anything else; threads count from 0, the main one. Without a BLAS `origin` is 0. */
export function attach(controlAddress: usize, thread: i32, origin: u64, leastProduct: i32): void {
  control = controlAddress;
  own = <usize>thread;
  setBlas(origin, leastProduct);
}

function takeChunks(): void {
  while (true) {
    const seen = atomic.load<i64>(control + TICKET);
    if ((seen & CHUNK_MASK) >= ((seen >> CHUNK_BITS) & CHUNK_MASK)) return;
    const ticket = atomic.add<i64>(control + TICKET, 1);
    const chunk = <i32>(ticket & CHUNK_MASK);
    if (chunk >= <i32>((ticket >> CHUNK_BITS) & CHUNK_MASK)) return;
    const grain = load<i32>(control + GRAIN);
    const from = chunk * grain;
    const to = min(from + grain, load<i32>(control + UNITS));
    setNarrow(load<i32>(control + NARROW) != 0);
    setScratch(<usize>load<u32>(control + SCRATCH) + own * <usize>load<u32>(control + SCRATCH_BYTES));
    call(load<i32>(control + KERNEL), from, to, <usize>load<u32>(control + ARGUMENTS));
    atomic.add<i32>(control + DONE, 1);
  }
}

/**
 * Runs `kernel` over `units` in chunks of `grain` (at most 2^20 - 1 chunks) and returns when all are done. Each thread has
 * `scratchBytes` of its own from `scratch` on; one chunk is run by the main thread. Products take the narrow tile if
 * `narrow` is not 0.
 */
export function run(
  kernel: i32, units: i32, grain: i32, list: usize, threads: i32, scratch: usize, scratchBytes: usize, narrow: i32,
): void {
  const chunks = (units + grain - 1) / grain;
  setNarrow(narrow != 0);
  if (threads == 1 || chunks <= 1) {
    setScratch(scratch);
    if (units > 0) call(kernel, 0, units, list);
    return;
  }
  store<i32>(control + KERNEL, kernel);
  store<i32>(control + UNITS, units);
  store<i32>(control + GRAIN, grain);
  store<u32>(control + ARGUMENTS, <u32>list);
  store<u32>(control + SCRATCH, <u32>scratch);
  store<u32>(control + SCRATCH_BYTES, <u32>scratchBytes);
  store<i32>(control + NARROW, narrow);
  atomic.store<i32>(control + DONE, 0);
  const epoch = (atomic.load<i64>(control + TICKET) >> (2 * CHUNK_BITS)) + 1;
  atomic.store<i64>(control + TICKET, (epoch << (2 * CHUNK_BITS)) | (<i64>chunks << CHUNK_BITS));
  atomic.add<i32>(control + WAKE, 1);
  if (atomic.load<i32>(control + SLEEPERS) > 0) atomic.notify(control + WAKE, threads);
  takeChunks();
  while (atomic.load<i32>(control + DONE) < chunks) {}
}

/** A worker's life: take chunks, spin, sleep, until `quit`. */
export function work(): void {
  while (true) {
    const seen = atomic.load<i32>(control + WAKE);
    takeChunks();
    let spins = SPINS;
    while (spins > 0 && atomic.load<i32>(control + WAKE) == seen) spins--;
    if (spins == 0) {
      atomic.add<i32>(control + SLEEPERS, 1);
      atomic.wait<i32>(control + WAKE, seen, -1);
      atomic.sub<i32>(control + SLEEPERS, 1);
    }
    if (atomic.load<i32>(control + QUIT) != 0) return;
  }
}

export function quit(): void {
  atomic.store<i32>(control + QUIT, 1);
  atomic.add<i32>(control + WAKE, 1);
  atomic.notify(control + WAKE, -1);
}
