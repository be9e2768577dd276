// Kinds made of other kinds, mixed and nested: what they refuse, how a run names them, and what their parameters are called.
import { assertEquals, assertThrows } from "@std/assert";
import { findExperts, parseExpertOptions } from "../experts/registry.ts";
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
  refuse([{ name: "copy" }, { name: "sero" }], 'Cannot find experts "sero": there are "');
  refuse([{ name: "linear", bais: true }], 'Cannot set bais = true of experts "linear": there are bias,');
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
  refuse({ inner: { name: "sero" } }, 'Cannot find experts "sero": there are "');
  refuse({ inner: { name: "linear", bais: true } }, 'Cannot set bais = true of experts "linear"');
  refuse({ count: 2, k: 3 }, "k = 3: k is more than count");
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
  const options = parseExpertOptions(nested, { count: 2, inner: { name: "low-rank", rank: 1 } });
  const dims = { D: 2, F: 3, E: 3 };
  const { params, owners, shared } = nested.create(dims, options, createInit(exactBackend(), random(0)));
  assertEquals(params.gate.shape, [3, 2, 2]);
  assertEquals(params["inner.inA"].shape, [6, 2, 1]);
  assertEquals(owners!["inner.inA"], [0, 0, 1, 1, 2, 2]);
  assertEquals(Object.keys(shared!), ["inner.in", "inner.out"]);
});
