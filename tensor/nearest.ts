// What was meant: the known name that a mistyped one is nearest to.
import leven from "leven";

/**
 * The known word that a mistyped one is nearest to, or null where none is near: at most two letters apart, and at most half
 * of its letters.
 */
export function nearest(word: string, known: readonly string[]): string | null {
  const distances = known.map((each) => ({ each, distance: leven(word, each) }));
  const [best] = distances.sort((a, b) => a.distance - b.distance);
  const letters = word.replace(/^-+/, "").length;
  return best && best.distance <= Math.min(2, Math.floor(letters / 2)) ? best.each : null;
}

/** What a refusal says before its list of choices: `did you mean "switch"? `, or nothing where no name is near. */
export function hintOf(
  word: string,
  known: readonly string[],
  written = (name: string) => `"${name}"`,
): string {
  const meant = nearest(word, known);
  return meant === null ? "" : `did you mean ${written(meant)}? `;
}
