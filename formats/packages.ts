// Packages that few programs need, loaded when they are asked for. Their names are put together while running, so that no
// bundler draws them in and no module fails to load where they are missing.

/** Packages with the versions that they are tested at; deno.json names the same, for tests to fetch. */
export const packages = {
  "@huggingface/tokenizers": "0.2.0",
  "@huggingface/jinja": "0.5.11",
  "onnxruntime-web": "1.30.0",
} as const;

/**
 * Loads a package: in Deno under its version, elsewhere as an installation or a page's import map gives it.
 * @throws {Error} when it can be neither found nor downloaded, saying why.
 */
export async function loadPackage<Module>(name: keyof typeof packages): Promise<Module> {
  const versioned = `npm:${name}@${packages[name]}`;
  try {
    return await import(versioned);
  } catch (cause) {
    try {
      return await import(name);
    } catch {
      const reason = cause instanceof Error ? cause.message.split("\n")[0] : String(cause);
      throw new Error(`Cannot load ${versioned}: ${reason}`, { cause });
    }
  }
}
