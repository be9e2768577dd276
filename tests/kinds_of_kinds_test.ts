// Kinds made of other kinds, mixed and nested: what they refuse, how a run names them, and what their parameters are called.
import { assertEquals, assertThrows } from "@std/assert";
import * as z from "zod";
import { mixedExperts } from "../experts/mixed.ts";
import { experts, findExperts, parseExpertOptions, registerExperts } from "../experts/registry.ts";
import { optionNames } from "../tensor/plugins.ts";
import { createInit } from "../tensor/init.ts";
import { random } from "../tensor/random.ts";
import { configOf, parseConfig } from "../training/config.ts";
import { exactBackend } from "./exact_backend.ts";

const mixed = findExperts("mixed");
const nested = findExperts("nested");

Deno.test("a part that cannot be is refused by its place, with the words of its own kind", () => {
  const refuse = (parts: unknown, message: string) =>
    assertThrows(() => parseExpertOptions(mixed, { parts }), RangeError, message);
  refuse([], 'Cannot use options of experts "mixed": parts = []');
  refuse(
    [{ name: "copy" }, { name: "sero" }],
    'Cannot find experts "sero": did you mean "zero"? there are "',
  );
  refuse(
    [{ name: "linear", bais: true }],
    'Cannot set bais = true of experts "linear": did you mean bias? there are bias,',
  );
  refuse([{ name: "linear", count: 0 }], "parts.0.count = 0");
  refuse([{ count: 2 }], "parts.0.name = undefined");
});

Deno.test("a bank that its parts do not divide is refused", () => {
  const options = parseExpertOptions(mixed, { parts: [{ name: "linear", count: 2 }, { name: "zero" }] });
  assertThrows(
    () => mixed.create({ D: 4, F: 4, E: 8 }, options, createInit(exactBackend(), random(0))),
    RangeError,
    'Cannot make experts "mixed": 8 experts are no multiple of the 3 that its parts list',
  );
});

Deno.test("a run writes its parts out in full, and reads them again", () => {
  const parts = [{ name: "swiglu", count: 2 }, { name: "linear", bias: true }];
  const config = parseConfig({ experts: { name: "mixed", parts } });
  const [first, second] = config.experts.parts as Record<string, unknown>[];
  assertEquals([first.count, first.dropout, second], [
    2,
    0,
    { name: "linear", count: 1, bias: true, outDeviation: null, dropout: 0 },
  ]);
  assertEquals(parseConfig(JSON.parse(JSON.stringify(config))), config);
});

Deno.test("parameters are named by part, and whose they are is said; a bank of banks is one too", () => {
  const inner = { name: "mixed", count: 2, parts: [{ name: "linear" }, { name: "zero" }] };
  const options = parseExpertOptions(mixed, { parts: [inner, { name: "low-rank", rank: 1 }] });
  const { params, owners, shared } = mixed.create(
    { D: 2, F: 3, E: 6 },
    options,
    createInit(exactBackend(), random(0)),
  );
  assertEquals(Object.keys(params), [
    "parts.0.parts.0.out",
    ...["inA", "inB", "outA", "outB"].map((name) => `parts.1.${name}`),
  ]);
  // Experts 0, 1, 3 and 4 are the inner bank's, whose first and third are linear.
  assertEquals([owners!["parts.0.parts.0.out"], owners!["parts.1.inA"]], [[0, 3], [2, 5]]);
  assertEquals(Object.keys(shared!), ["parts.1.in", "parts.1.out"]);
});

Deno.test("inner experts that cannot be are refused in the words of their own kind, and so is a k above their number", () => {
  const refuse = (options: unknown, message: string) =>
    assertThrows(() => parseExpertOptions(nested, options), RangeError, message);
  refuse({ inner: { name: "sero" } }, 'Cannot find experts "sero": did you mean "zero"? there are "');
  refuse({ inner: { name: "linear", bais: true } }, 'Cannot set bais = true of experts "linear"');
  refuse({ innerCount: 2, k: 3 }, "k = 3: k is more than innerCount");
});

Deno.test("inner experts are set by path, and another inner kind drops the options of the one before", () => {
  const first = configOf({
    "experts.name": "nested",
    "experts.inner.name": "swiglu",
    "experts.inner.limit": 7,
  });
  assertEquals(first.experts.name, "nested");
  assertEquals((first.experts.inner as Record<string, unknown>).limit, 7);
  const second = configOf({ experts: { name: "nested", inner: { name: "swiglu", limit: 7 } } }, {
    "experts.inner.name": "linear",
  });
  assertEquals(second.experts.inner, { name: "linear", bias: false, outDeviation: null, dropout: 0 });
});

Deno.test("a nested bank's parameters are its gates and its inner experts, each owned by the expert they are in", () => {
  const options = parseExpertOptions(nested, { innerCount: 2, inner: { name: "low-rank", rank: 1 } });
  const dims = { D: 2, F: 3, E: 3 };
  const { params, owners, shared } = nested.create(dims, options, createInit(exactBackend(), random(0)));
  assertEquals(params.gate.shape, [3, 2, 2]);
  assertEquals(params["inner.inA"].shape, [6, 2, 1]);
  assertEquals(owners!["inner.inA"], [0, 0, 1, 1, 2, 2]);
  assertEquals(Object.keys(shared!), ["inner.in", "inner.out"]);
});

Deno.test("every kind is a part of a mixed bank, and its options are its own", () => {
  for (const { name } of experts()) {
    if (name === "onnx") continue; // has no default network
    const options = parseExpertOptions(mixed, { parts: [{ name, count: 2 }] });
    const { parts: [{ count, name: kept, ...own }] } = options as { parts: Record<string, unknown>[] };
    assertEquals([kept, count, own], [name, 2, parseExpertOptions(findExperts(name))]);
  }
  const parts = [{ name: "nested", count: 1, innerCount: 2, k: 2, inner: { name: "linear" } }, {
    name: "copy",
  }];
  const options = parseExpertOptions(mixed, { parts });
  const { params } = mixed.create({ D: 4, F: 8, E: 4 }, options, createInit(exactBackend(), random(0)));
  assertEquals(params["parts.0.gate"].shape, [2, 4, 2]);
  assertEquals(params["parts.0.inner.out"].shape, [4, 4, 4]);
});

Deno.test("options that share a name with what stands beside them are refused", () => {
  const plain = findExperts("linear");
  const withOption = (name: string, option: string) => ({
    ...plain,
    name,
    options: z.strictObject({ [option]: z.number().default(4) }),
  });
  const counting = withOption("counting", "count");
  const found = mixedExperts({ find: () => counting, parse: parseExpertOptions });
  assertThrows(
    () => found.options.parse({ parts: [{ name: "counting" }] }),
    z.ZodError,
    'Cannot use experts \\"counting\\" as a part: count is an option of theirs and of the part; rename theirs',
  );
  assertThrows(
    () => registerExperts(withOption("named", "name")),
    RangeError,
    'Cannot register experts "named": it has an option called name, which in a config chooses the plugin',
  );
  assertEquals(experts().filter((kind) => optionNames(kind)?.includes("count")).map(({ name }) => name), []);
  assertThrows(
    () => parseExpertOptions(nested, { count: 2 }),
    RangeError,
    'Cannot set count = 2 of experts "nested": count is called innerCount now',
  );
});
