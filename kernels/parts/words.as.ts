// Copies of rows as words, so that floats and whole numbers take one path. Past a kilobyte the engine's own copy is faster.

// @ts-ignore: decorator
@inline
export function copyWords(target: usize, source: usize, bytes: usize): void {
  if (bytes >= 1024) {
    memory.copy(target, source, bytes);
    return;
  }
  const whole = bytes & ~15;
  for (let at: usize = 0; at < whole; at += 16) v128.store(target + at, v128.load(source + at));
  for (let at = whole; at < bytes; at += 4) store<u32>(target + at, load<u32>(source + at));
}
