// Programs of the machine that some tests want.

/** Where the first of some programs is that there is; null where there is none. */
export function programOf(...names: readonly string[]): string | null {
  for (const folder of (Deno.env.get("PATH") ?? "").split(":").filter((each) => each !== "")) {
    for (const name of names) {
      try {
        if (Deno.statSync(`${folder}/${name}`).isFile) return `${folder}/${name}`;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    }
  }
  return null;
}
