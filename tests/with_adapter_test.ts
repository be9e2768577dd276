// What every test is started through: it passes on arguments and exit code, and keeps the driver's complaints about a
// missing folder for sockets out of the output.
import { assertEquals } from "@std/assert";

const linux = Deno.build.os === "linux";

/** Runs a program through it, for a user whose session has that folder for sockets; none when empty. */
async function started(
  program: string,
  sockets: string,
): Promise<{ code: number; out: string; error: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("../tools/with_adapter.ts", import.meta.url).pathname, "eval", program],
    env: { NO_COLOR: "1", XDG_RUNTIME_DIR: sockets },
    stdin: "null",
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, out: text(stdout).trim(), error: text(stderr) };
}

Deno.test({
  name: "a user without a folder for sockets gets one for the time of the run, and no complaint",
  ignore: !linux,
  fn: async () => {
    const { code, out, error } = await started(
      `await navigator.gpu?.requestAdapter();
       const folder = Deno.env.get("XDG_RUNTIME_DIR");
       console.log(folder, (Deno.statSync(folder).mode & 0o777).toString(8));
       Deno.exit(3);`,
      "",
    );
    assertEquals(code, 3, error);
    const [folder, mode] = out.split(" ");
    assertEquals(mode, "700");
    assertEquals(await Deno.stat(folder).then(() => "there", () => "gone"), "gone");
    // One line says which adapter there is, or why there is none; a complaint would be another.
    assertEquals(error.trim().split("\n").map((line) => /adapter: /.test(line)), [true], error);
  },
});

Deno.test({
  name: "a user's own folder for sockets is left as it is",
  ignore: !linux,
  fn: async () => {
    const folder = await Deno.makeTempDir();
    try {
      const { code, out, error } = await started(`console.log(Deno.env.get("XDG_RUNTIME_DIR"))`, folder);
      assertEquals([code, out], [0, folder], error);
      assertEquals((await Deno.stat(folder)).isDirectory, true);
    } finally {
      await Deno.remove(folder);
    }
  },
});
