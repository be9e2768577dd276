// npm packages for a bundler: Deno keeps them in its cache under folders of its own naming, bundlers look for node_modules.
import { reasonOf } from "../../formats/files.ts";

interface NpmPackage {
  readonly name: string;
  readonly localPath: string;
}

/**
 * Fills a folder with a link for each npm package that a module needs, named as bundlers look for them.
 * @throws {Error} when Deno cannot tell which there are.
 */
export async function linkPackages(module: URL, folder: string): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", module.href],
    stdin: "null",
  }).output();
  if (!success) throw new Error(`Cannot find the page's packages: ${new TextDecoder().decode(stderr)}`);
  const { npmPackages } = JSON.parse(new TextDecoder().decode(stdout));
  for (const { name, localPath } of Object.values(npmPackages as Record<string, NpmPackage>)) {
    const link = `${folder}/${name}`;
    await Deno.mkdir(link.slice(0, link.lastIndexOf("/")), { recursive: true });
    try {
      await Deno.symlink(localPath, link, { type: "dir" });
    } catch (error) {
      // Of two versions of one package the first is taken: none that the page uses has two.
      if (!(error instanceof Deno.errors.AlreadyExists)) {
        throw new Error(`Cannot link ${name}: ${reasonOf(error)}`, { cause: error });
      }
    }
  }
}
