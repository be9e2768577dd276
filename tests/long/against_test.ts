// `deno task bench:against`: a checkout beside itself has the same losses, and a folder that is none is refused.
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));

async function against(...words: string[]): Promise<{ out: string; err: string; code: number }> {
  const permissions = ["--allow-read", "--allow-env", "--allow-run", "--allow-sys=cpus"];
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...permissions, "bench/against.ts", ...words],
    cwd: root,
  }).output();
  const [out, err] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { out, err, code };
}

Deno.test({
  name: "bench:against: a checkout beside itself has the same losses, and figures near 1",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const { out, err, code } = await against(
      root,
      ...["--rounds", "2", "--threads", "1", "--tasks", "recall:tiny"],
    );
    assertEquals(code, 0, err);
    assertMatch(out, /^\| recall:tiny \| 1 \| \d+\.\d\d \| \d+\.\d\d \| same \|$/m);
  },
});

Deno.test("bench:against: says what it needs", async () => {
  const { err, code } = await against();
  assertEquals(code === 0, false);
  assertStringIncludes(err, "Cannot compare with 0 checkouts: name the folder of one");
});
