// A folder for one test.

/** Runs a test with a temporary folder, which is removed afterwards; `prefix` begins its name. */
export async function inOwnFolder(test: (folder: string) => Promise<void>, prefix = ""): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
