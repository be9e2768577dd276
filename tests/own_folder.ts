// Folders for tests.
import { cpu } from "../cpu/backend.ts";

/** Runs a test with a temporary folder, which is removed afterwards; `prefix` begins its name. */
export async function inOwnFolder(test: (folder: string) => Promise<void>, prefix = ""): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A backend on one thread and a temporary folder for all tests of a file; both go when the file ends. */
export async function cpuAndFolder() {
  const backend = await cpu({ threads: 1 });
  const folder = await Deno.makeTempDir();
  addEventListener("unload", () => {
    backend.close();
    Deno.removeSync(folder, { recursive: true });
  });
  return { backend, folder };
}
