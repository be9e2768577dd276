// A BLAS for tests: the fastest there is, slower than WebAssembly or not. Where there is none, what is skipped is said once;
// a library that is there and cannot be used is a failure on a machine that calls itself CI, which installs one.
import { choose } from "../cpu/blas/choose.ts";
import { findBlas, surveyBlas } from "../cpu/blas/find.ts";
import type { Blas, NoBlas, Survey } from "../cpu/blas/measurement.ts";

async function find(survey: Survey | { readonly why: string }): Promise<Blas | NoBlas> {
  if ("why" in survey) return { ...survey, opened: false };
  const chosen = choose(survey, { threads: 2, mayTell: true, named: true });
  return "why" in chosen ? chosen : await findBlas({ library: chosen.library });
}

const survey = await surveyBlas({ library: "auto" });
const found = await find(survey);

const right = "why" in survey
  ? []
  : survey.measured.filter(({ wrong, singleThreaded }) => wrong === null && !singleThreaded);

/** All libraries that multiply rightly here, for any number of threads. */
export const libraries: readonly string[] = [...new Set(right.map(({ library }) => library))];

/** One of them that is OpenBLAS, which can be told a core type; null when there is none. */
export const openblas: string | null = right.find(({ core }) => core !== null)?.library ?? null;

/** The fastest of them; null when there is none. */
export const blas: Blas | null = "why" in found ? null : found;

if ("why" in found) {
  const missing =
    `Products are not tested on a BLAS: ${found.why}. Debian: apt-get install libopenblas0-pthread`;
  if (Deno.env.get("CI") === "true" && (found.opened || /permitted/.test(found.why))) {
    throw new Error(missing);
  }
  console.log(missing);
}
