// A copy of the repository, for tests that add to it what a user would, and commands there.
import { assertEquals } from "@std/assert";

const root = new URL("../", import.meta.url);

/** Runs Deno in a folder, expects it to end well, and returns what it prints. */
export async function deno(cwd: string | URL, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd,
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** Copies the files of the repository, as they are now, to a folder. */
export async function copyRepository(to: string): Promise<void> {
  const { stdout } = await new Deno.Command("git", {
    args: ["ls-files", "--cached", "--others", "--exclude-standard", "-z"],
    cwd: root,
  }).output();
  for (const path of new TextDecoder().decode(stdout).split("\0").filter((path) => path !== "")) {
    await Deno.mkdir(`${to}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await Deno.copyFile(new URL(path, root), `${to}/${path}`).catch((error) => {
      // Taken away but not yet from git.
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    });
  }
}
