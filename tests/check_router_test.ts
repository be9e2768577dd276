// `deno task check:router`: what is broken is said in its author's terms, and what keeps the contract passes.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { findRouter } from "../routers/registry.ts";
import type { Router, Routing } from "../routers/router.ts";
import configuration from "../deno.json" with { type: "json" };
import { breachesOf, describe } from "../tools/check_router.ts";
import { onCpu } from "./place.ts";

const sound = findRouter("switch");
const options = { options: { jitter: 0 } };

/** Switch with another `route`. */
function altered(change: (routing: Routing) => Partial<Routing>) {
  return {
    ...sound,
    create: (...given: Parameters<typeof sound.create>): Router => {
      const router = sound.create(...given);
      return {
        ...router,
        async route(x_TD, step) {
          const routing = await router.route(x_TD, step);
          return { ...routing, ...change(routing) };
        },
      };
    },
  };
}

Deno.test("a router that keeps the contract has no breaches", async () => {
  const { rules, breaches } = await breachesOf(sound, options, onCpu);
  assertEquals(breaches, []);
  assert(rules > 25, `${rules} rules`);
});

Deno.test("breaches name the rule, what was found and what to do, and never two bare values", async () => {
  const cases = [
    [{ ...sound, expertsPerToken: () => 2 }, "choices is 1, and expertsPerToken(options) is 2"],
    [altered(() => ({ losses: {} })), "it has no loss"],
    [{ ...sound, traits: { ...sound.traits, perToken: "exactly K" } }, /^token \d+ has no expert; K = 1$/],
    [altered(({ weight_N }) => ({ token_N: weight_N })), /token_N is f32 \[\d+\]; expected is i32 \[N\]/],
    [{ ...sound, traits: { ...sound.traits, gradient: "none" } }, "a gradient reaches gate"],
    [{
      ...sound,
      create: () => {
        throw new Error("mine");
      },
    }, /^Cannot go on with router "switch": Error: mine \(\/.+:\d+:\d+\)$/],
  ] as const;
  for (const [plugin, found] of cases) {
    const { rules, breaches } = await breachesOf(plugin as typeof sound, options, onCpu);
    const all = breaches.map((breach) => breach.found);
    assert(
      all.some((each) => typeof found === "string" ? each.includes(found) : found.test(each)),
      all.join("\n"),
    );
    for (const breach of breaches) {
      assert(!/Values are not equal|^ *actual|AssertionError/.test(breach.found), breach.found);
      assert(breach.found.length > 5 && breach.means.endsWith("."), JSON.stringify(breach));
    }
    const text = describe("on the CPU", rules, breaches).join("\n");
    assertMatch(text, /^on the CPU: \d+ of \d+ rules kept\n {2}broken: .+\n {4}found: .+\n {4}to do: .+\.$/m);
  }
});

Deno.test("the command checks a file outside the repository, with status 1 where something is broken", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const write = (name: string, more: string) =>
      Deno.writeTextFile(
        `${folder}/${name}.ts`,
        `import { switchRouter } from "${new URL("../mod.ts", import.meta.url)}";\n` +
          `export const mine = { ...switchRouter, name: "${name}", ${more} };\n`,
      );
    await write("sound", "");
    await write("broken", "expertsPerToken: () => 3");
    const run = async (...words: string[]) => {
      const [, ...task] = configuration.tasks["check:router"].command.split(" ");
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: [...task, ...words],
        cwd: new URL("../", import.meta.url),
        env: { INIT_CWD: folder, NO_COLOR: "1" },
      }).output();
      const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
      return { code, out: text(stdout), error: text(stderr) };
    };
    const kept = await run("sound.ts", "--device", "cpu", "--noisy");
    assertEquals(kept.code, 0, kept.out + kept.error);
    assertMatch(kept.out, /^router "sound" \{\}\non the CPU: (\d+) of \1 rules kept\n$/);
    const broken = await run("broken.ts", "--device", "cpu", "--set", "broken.jitter=0");
    assertEquals(broken.code, 1);
    assertStringIncludes(broken.out, 'router "broken" {"jitter":0}');
    assertStringIncludes(broken.out, "found: choices is 1, and expertsPerToken(options) is 3");
    const nothing = await run("none.ts");
    assertEquals([nothing.code, nothing.out], [1, ""]);
    assertMatch(nothing.error, /Cannot load plugin .+none\.ts: Module not found "file:.+none\.ts"\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
