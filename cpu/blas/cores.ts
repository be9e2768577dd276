// Which loops OpenBLAS should be told to use: it knows processors by number, so one newer than the library gets the loops of
// 2004 without a word. What a processor can do stands in its flags.

/** Loops for wider registers, widest first, and the flags they need. Other names of OpenBLAS's differ in block sizes. */
const CORES: readonly { readonly core: string; readonly needs: readonly string[] }[] = [
  { core: "SkylakeX", needs: ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"] },
  { core: "Haswell", needs: ["avx2", "fma"] },
  { core: "Sandybridge", needs: ["avx"] },
];

/** What OpenBLAS calls loops of 128 bits, of AVX, and of AVX2 with fused multiply-add. */
const NARROW: readonly (readonly string[])[] = [
  [
    ...["Unknown", "Katmai", "Coppermine", "Northwood", "Prescott", "Banias", "Atom", "Core2", "Penryn"],
    ...["Dunnington", "Nehalem", "Athlon", "Opteron", "Opteron_SSE3", "Barcelona", "Nano", "Bobcat"],
  ],
  ["Sandybridge", "Bulldozer"],
  ["Haswell", "Zen", "Piledriver", "Steamroller", "Excavator"],
];

/**
 * Core types worth trying, widest first: those that the processor runs and that are wider than what the library chose.
 * None where its choice is as wide, or goes by a name that is not known here, or where nothing is known of the processor.
 */
export function coresToTry(chosen: string | null, flags: readonly string[] | null): string[] {
  if (chosen === null || flags === null) return [];
  const width = NARROW.findIndex((names) =>
    names.some((name) => name.toLowerCase() === chosen.toLowerCase())
  );
  if (width < 0) return [];
  return CORES.slice(0, CORES.length - width)
    .filter(({ needs }) => needs.every((flag) => flags.includes(flag)))
    .map(({ core }) => core);
}
