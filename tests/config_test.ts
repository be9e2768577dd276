// A run's config: one schema gives defaults, refusals, settings by path and a digest over everything; what goes out as
// JSON comes back the same.
import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { cpu } from "../cpu/backend.ts";
import { experts, parseExpertOptions } from "../experts/registry.ts";
import { controls } from "../models/controls.ts";
import { sizeOfDepth, sizes } from "../models/sizes.ts";
import { moeLayers } from "../models/spec.ts";
import { parseOptions, routers } from "../routers/registry.ts";
import { parseTaskOptions, tasks } from "../tasks/registry.ts";
import {
  configDigest,
  configOf,
  flatten,
  parseConfig,
  settingList,
  withSetting,
} from "../training/config.ts";
import { specOf } from "../training/spec_of.ts";
import { train } from "../training/train.ts";
import { least, madeUpData, tinyConfig } from "./run_configs.ts";

Deno.test("a run of nothing has every default, plugins' options included", () => {
  const config = parseConfig({});
  assertEquals(parseConfig(undefined), config);
  assertEquals(configOf(), config);
  for (const { path, default: value, description, range } of settingList()) {
    assertEquals(flatten(config)[path], value, path);
    assert(description.length > 3 && range.length > 3, `${path}: ${description}, ${range}`);
  }
  const chosen = [config.task, config.experts, config.router].map(({ name }) => name);
  assertEquals(chosen, ["language", "feed-forward", "switch"]);
  assertEquals(config.router, { name: "switch", ...parseOptions(routerOf("switch")) });
  // Every value of the config is a setting of the list or an option of a plugin.
  const listed = new Set(settingList().map(({ path }) => path));
  const unlisted = Object.keys(flatten(config)).filter((path) => !listed.has(path));
  assertEquals(unlisted.filter((path) => !/^(task|experts|router)\./.test(path)), []);
});

function routerOf(name: string) {
  return routers().find((router) => router.name === name)!;
}

Deno.test("JSON in is JSON out, for every router, kind of expert, task, size and control", () => {
  const all = [
    ...routers().map((router) => ({ router: { name: router.name, ...parseOptions(router) } })),
    ...experts().map((kind) => ({ experts: { name: kind.name, ...parseExpertOptions(kind) } })),
    ...tasks().map((task) => ({ task: { name: task.name, ...parseTaskOptions(task) }, ...task.defaults })),
    ...tasks().flatMap(({ name, defaults, sizes }) =>
      Object.values(sizes).map((size) => ({ "task.name": name, ...defaults, ...size }))
    ),
    ...Object.values(sizes),
    ...[2, 7, 64].map(sizeOfDepth),
    ...controls.map((control) => ({ control })),
    {
      "model.layers": 3,
      "model.perLayer": [{ router: { name: "gshard" } }, { expertKind: { name: "swiglu" } }],
    },
  ];
  for (const settings of all) {
    const config = configOf(settings);
    const text = JSON.stringify(config);
    const back = parseConfig(JSON.parse(text));
    assertEquals(back, config, text);
    assertEquals(JSON.stringify(back), text);
    assertEquals(configOf(flatten(config)), config, text);
  }
});

Deno.test("options of a layer's own plugins are filled in and checked like those of the model", () => {
  const layers = (perLayer: unknown[]) => parseConfig({ model: { perLayer } }).model.perLayer;
  const [first, second] = layers([{ router: { k: 2, name: "deepseek" } }, {
    expertKind: { name: "swiglu" },
  }]);
  assertEquals(first.router, { name: "deepseek", ...parseOptions(routerOf("deepseek"), { k: 2 }) });
  const swiglu = experts().find(({ name }) => name === "swiglu")!;
  assertEquals(second.expertKind, { name: "swiglu", ...parseExpertOptions(swiglu) });
  assertThrows(() => layers([{ router: { name: "switch", jitter: -1 } }]), RangeError, "jitter = -1");
  assertThrows(() => layers([{ router: { name: "swich" } }]), RangeError, 'Cannot find router "swich"');
});

Deno.test("a refusal names path, value and choices", () => {
  const refusals: readonly (readonly [unknown, string])[] = [
    [
      { train: { stpes: 5 } },
      "Cannot set train.stpes = 5: did you mean steps? train has steps, batch, length,",
    ],
    [
      { trian: {} },
      "Cannot set trian = {}: did you mean train? a run has task, model, experts, router, control, train,",
    ],
    [
      { model: { perLayer: [{ width: 3 }] } },
      "Cannot set model.perLayer.0.width = 3: model.perLayer.0 has attention,",
    ],
    [{ train: { steps: 0 } }, "Cannot use train.steps = 0: Too small: expected number to be >=1"],
    [{ train: { steps: "many" } }, 'Cannot use train.steps = "many": Invalid input: expected number'],
    [
      { control: "nothing" },
      'Cannot use control = "nothing": Invalid option: expected one of "no experts"|"random',
    ],
    [5, "Cannot use as a run 5: Invalid input: expected object"],
    [{ router: { name: "swich" } }, 'Cannot find router "swich": did you mean "switch"? there are "base", '],
    [{ router: { k: 2 } }, 'Cannot set k = 2 of router "switch": there are '],
    [
      { experts: { name: "feedforward" } },
      'Cannot find experts "feedforward": did you mean "feed-forward"? there are ',
    ],
    [{ task: { name: "recall", facts: 0 } }, "facts = 0"],
    [
      { model: { width: 30, heads: 4 } },
      "Cannot use model.heads = 4: model.width 30 does not split into heads",
    ],
    [
      { model: { width: 6, heads: 2 } },
      "Cannot use model.heads = 2: model.width 6 does not split into heads",
    ],
    [
      { model: { heads: 4, keyValueHeads: 3 } },
      "Cannot use model.keyValueHeads = 3: choose a number that divides the 4 of model.heads",
    ],
    [
      { model: { heads: 0, rotaryWidth: 2 } },
      "Cannot use model.rotaryWidth = 2: model.heads is 0, so there is no attention; choose null",
    ],
    ...[15, 34].map((rotaryWidth): [unknown, string] => [
      { model: { heads: 2, rotaryWidth } },
      `Cannot use model.rotaryWidth = ${rotaryWidth}: choose an even number up to the heads' width 32`,
    ]),
    [
      { model: { layers: 1, perLayer: [{}, {}] } },
      "Cannot use model.perLayer: it has 2 entries, and model.layers is 1",
    ],
    [
      { placement: { ranks: 3, sharded: true } },
      "Cannot use placement.sharded with placement.ranks = 3: choose ranks",
    ],
  ];
  for (const [given, message] of refusals) {
    const { message: found } = assertThrows(() => parseConfig(given), RangeError, message);
    assertMatch(found, /^Cannot [^\n]+$/);
  }
});

Deno.test("a plugin's name drops the options of another plugin, and keeps those of its own", () => {
  const json = { router: { name: "switch", jitter: 0.5 }, train: { steps: 3 } };
  assertEquals(withSetting(json, "router.name", "hash"), { router: { name: "hash" }, train: { steps: 3 } });
  assertEquals(withSetting(json, "router.name", "switch"), json);
  assertEquals(json.router.jitter, 0.5);
  // Names come first within one list of settings, whatever their order; later lists go over earlier ones.
  const written = configOf({ "router.key": "position", "router.name": "hash" });
  assertEquals([written.router.name, written.router.key], ["hash", "position"]);
  assertEquals(configOf({ "router.jitter": 0.5 }, { "router.name": "switch" }).router.jitter, 0.5);
  assertEquals(configOf({ "router.jitter": 0.5 }, { "router.name": "gshard" }).router.jitter, undefined);
  assertEquals(
    configOf({ "task.name": "recall", "task.facts": 9 }, { "task.name": "regimes" }).task.facts,
    undefined,
  );
});

/** Another value that a setting takes. */
function another(path: string, value: unknown): unknown {
  if (path === "model.sharedExpertMix") return "learned";
  if (path === "model.perLayer") return [{ feedForward: "none" }];
  if (path.endsWith(".name")) {
    return { task: "recall", experts: "swiglu", router: "hash" }[path.split(".")[0]];
  }
  if (path === "control") return "no experts";
  if (path === "train.evaluationPart") return "even";
  if (path === "train.checkpointActivations") return "recompute";
  if (path === "train.from" || path === "train.teacher") return "kept.model.safetensors";
  if (path === "train.conversion") return "copy";
  if (path === "model.residualScale") return 0.5;
  if (path === "model.width") return 128;
  if (path === "model.rotaryWidth") return 16;
  if (typeof value === "boolean") return !value;
  if (path === "train.beta1" || path === "train.beta2" || path.endsWith("Share")) return 0.75;
  return (value as number) * 2 || 1;
}

Deno.test("the digest changes with every setting, every option and the task's content", async () => {
  const config = configOf();
  const digests = new Map([[await configDigest(config, "a"), "defaults"]]);
  const note = async (what: string, digest: Promise<string>) => {
    const found = await digest;
    assertMatch(found, /^[0-9a-f]{64}$/);
    assertEquals(digests.get(found), undefined, `${what} has the digest of ${digests.get(found)}`);
    digests.set(found, what);
  };
  for (const { path, default: value } of settingList()) {
    const beside = path === "train.conversion" ? { "train.from": "dense.model.safetensors" } : {};
    await note(path, configDigest(configOf(beside, { [path]: another(path, value) }), "a"));
  }
  await note("router.jitter", configDigest(configOf({ "router.jitter": 0.3 }), "a"));
  await note("task.corpus", configDigest(configOf({ "task.corpus": "elsewhere" }), "a"));
  await note("experts.dropout", configDigest(configOf({ "experts.dropout": 0.3 }), "a"));
  await note("the task's content", configDigest(config, "b"));
  // What is said twice is not another run.
  const said = configOf(flatten(config));
  assertEquals(digests.get(await configDigest(said, "a")), "defaults");
});

Deno.test("a model of a dense layer, two mixtures with routers of their own, and a layer of nothing trains", async () => {
  using backend = await cpu({ threads: 1 });
  const data = await madeUpData();
  const config = tinyConfig("switch", {}, least, {
    "model.layers": 4,
    "train.steps": 30,
    "model.perLayer": [
      { feedForward: "dense", feedForwardWidth: 24 },
      { feedForward: "moe", experts: 3, router: { name: "expert-choice" }, expertKind: { name: "swiglu" } },
      { feedForward: "none", attention: true },
      { attention: false, expertWidth: 8 },
    ],
  });
  const spec = specOf(config, data);
  assertEquals(spec.layers.map(({ feedForward }) => feedForward.kind), ["dense", "moe", "none", "moe"]);
  assertEquals(spec.layers.map(({ attention }) => attention !== null), [true, true, true, false]);
  // Expert choice gives a token to two experts on average, so its own are cut in two.
  assertEquals(moeLayers(spec).map(({ moe }) => [moe.router.name, moe.experts.name, moe.E, moe.F]), [
    ["expert-choice", "swiglu", 6, 8],
    ["switch", "feed-forward", 4, 8],
  ]);
  using run = await train(config, { backend, data });
  const { params } = run.trainer!.model;
  assertEquals(params["blocks.0.in"].shape, [16, 24]);
  assertEquals(Object.keys(params).filter((name) => name.startsWith("blocks.2.")).sort(), [
    "blocks.2.attentionNorm",
    "blocks.2.attentionOut",
    "blocks.2.qkv",
  ]);
  assertEquals(Object.keys(run.trainer!.model.routers), ["blocks.1.router", "blocks.3.router"]);
  const [first, last] = [run.record.evaluations[0].loss, run.record.end!.loss];
  assert(last < first - 0.2, `from ${first} to ${last}`);
  assertEquals(run.record.steps[0].layers.map(({ layer }) => layer), [1, 3]);
  assertEquals(run.record.steps[0].layers.map(({ wanted }) => wanted.length), [6, 4]);
});
