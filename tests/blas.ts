// The system's BLAS for tests. Where there is none, what is skipped is said once; a library that is there and cannot be
// used is a failure on a machine that calls itself CI, which installs one where it can.
import { type Blas, findBlas } from "../cpu/blas.ts";

const found = findBlas();

/** What `auto` finds; null when there is none. */
export const blas: Blas | null = "why" in found ? null : found;

if ("why" in found) {
  const missing =
    `Products are not tested on a system's BLAS: ${found.why}. Debian: apt-get install libopenblas0-pthread`;
  if (Deno.env.get("CI") === "true" && (found.opened || /permitted/.test(found.why))) {
    throw new Error(missing);
  }
  console.log(missing);
}
