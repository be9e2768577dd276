// How every program reads its arguments: 32-bit words, first the addresses of inputs and outputs, then whole
// numbers, then floats, in the order of `CpuLaunch`.

// @ts-ignore: decorator
@inline
export function address(list: usize, at: i32): usize {
  return load<u32>(list + (<usize>at << 2));
}

// @ts-ignore: decorator
@inline
export function integer(list: usize, at: i32): i32 {
  return load<i32>(list + (<usize>at << 2));
}

// @ts-ignore: decorator
@inline
export function float(list: usize, at: i32): f32 {
  return load<f32>(list + (<usize>at << 2));
}

/** Memory of the running thread alone, as long as the launch says; nothing in it outlives a program. */
export let scratch: usize = 0;

export function setScratch(at: usize): void {
  scratch = at;
}
