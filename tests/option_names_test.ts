// Options have one name for one idea: a setting of an old name is refused with the new one, on every way in.
import { assert, assertEquals, assertThrows } from "@std/assert";
import { experts } from "../experts/registry.ts";
import { optionNames, parseOptions, routers } from "../routers/registry.ts";
import { optionVocabulary } from "../routers/parts/option_names.ts";
import { configOf } from "../training/config.ts";

const renamed = routers().flatMap((router) =>
  Object.entries(router.renamed ?? {}).map(([old, name]) => ({ router, old, name }))
);

Deno.test("old names lead to options there are", () => {
  assert(renamed.length >= 10);
  for (const { router, old, name } of renamed) {
    const names = optionNames(router)!;
    assertEquals([names.includes(old), names.includes(name)], [false, true], `${router.name}.${old}`);
  }
});

for (const { router, old, name } of renamed) {
  Deno.test(`${router.name}.${old} is refused and told ${name}`, () => {
    const message = `Cannot set ${old} = 2 of router "${router.name}": ${old} is called ${name} now`;
    assertThrows(() => parseOptions(router, { [old]: 2 }), RangeError, message);
    assertThrows(
      () => configOf({}, { "router.name": router.name, [`router.${old}`]: 2 }),
      RangeError,
      message,
    );
  });
}

const renamedValues = routers().flatMap((router) =>
  Object.entries(router.renamedValues ?? {}).flatMap(([option, values]) =>
    Object.entries(values).map(([old, value]) => ({ router, option, old, value }))
  )
);

Deno.test("old names of values lead to values there are, and are told them", () => {
  assert(renamedValues.length >= 4);
  for (const { router, option, old, value } of renamedValues) {
    assertEquals((parseOptions(router, { [option]: value }) as Record<string, unknown>)[option], value);
    const message = `Cannot use options of router "${router.name}": ${option} = "${old}": ` +
      `"${old}" is called "${value}" now`;
    assertThrows(() => parseOptions(router, { [option]: old }), RangeError, message);
    assertThrows(
      () => configOf({}, { "router.name": router.name, [`router.${option}`]: old }),
      RangeError,
      message,
    );
  }
});

Deno.test("every name of the vocabulary is in use, and none of those it forbids", () => {
  const used = new Set([...routers(), ...experts()].flatMap((plugin) => optionNames(plugin) ?? []));
  assertEquals(Object.keys(optionVocabulary).filter((name) => !used.has(name)), []);
  const forbidden = Object.values(optionVocabulary).flatMap(({ not }) => not);
  assertEquals(forbidden.filter((name) => used.has(name) || name in optionVocabulary), []);
});

Deno.test("the page on routers shows the vocabulary", async () => {
  const page = await Deno.readTextFile(new URL("../docs/write_a_router.md", import.meta.url));
  const missing = Object.entries(optionVocabulary).filter(([name, { about }]) =>
    !page.split("\n").some((line) => line.startsWith(`| \`${name}\``) && line.includes(about))
  );
  assertEquals(missing.map(([name]) => name), []);
});
