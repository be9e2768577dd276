// A function of D and F as text: "4 D F". Tables read formulas off the functions themselves, so no text can be wrong.

/** Names of what is summed, with their values. */
const terms: readonly (readonly [string, (D: number, F: number) => number])[] = [
  ["D F", (D, F) => D * F],
  ["D^2", (D) => D * D],
  ["F^2", (_, F) => F * F],
  ["D", (D) => D],
  ["F", (_, F) => F],
  ["", () => 1],
];

/** A polynomial of degree two in D and F as text; null where the function is none. */
export function formula(f: (D: number, F: number) => number): string | null {
  const constant = f(0, 0);
  const [d, d2, e, e2] = [f(1, 0), f(2, 0), f(0, 1), f(0, 2)].map((value) => value - constant);
  const [D2, F2] = [(d2 - 2 * d) / 2, (e2 - 2 * e) / 2];
  const factors = [f(1, 1) - constant - d - e, D2, F2, d - D2, e - F2, constant];
  const sum = (D: number, F: number) =>
    terms.reduce((sum, [, term], at) => sum + factors[at] * term(D, F), 0);
  for (const [D, F] of [[7, 5], [64, 100], [100, 64]]) if (sum(D, F) !== f(D, F)) return null;
  const shown = terms.flatMap(([name], at) => {
    const factor = factors[at];
    if (factor === 0) return [];
    return [name === "" ? `${factor}` : factor === 1 ? name : `${factor} ${name}`];
  });
  return shown.length === 0 ? "0" : shown.join(" + ").replaceAll("+ -", "- ");
}
