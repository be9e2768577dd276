// What a module brings with --plugin beside a sound router: kinds of experts and tasks, used by name like those of the
// package; and routers whose cost is not what their word says, which a comparison measures or stops.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { parseHTML } from "linkedom";
import { costOf } from "../report/cost.ts";
import { comparisons } from "../report/comparison.ts";
import { parseRecord } from "../training/record_text.ts";
import { assertRefused, experiments, filesIn, inFolder, succeed } from "./experiments_command.ts";

const kinds = `
import { affine, type ExpertPlugin, linear, type LinearOptions, recall, type RecallOptions, type TaskPlugin } from "@switchyard/moe";

export const halved: ExpertPlugin<LinearOptions> = {
  ...linear,
  name: "halved-linear",
  about: "Half of x W + b.",
  create(dims, options, init) {
    const { params, apply } = linear.create(dims, options, init);
    return { params, apply: (rows) => affine(apply(rows), 0.5, 0) };
  },
};

export const cities: TaskPlugin<RecallOptions> = { ...recall, name: "cities", about: "Cities and their rivers." };
`;

/** Experts with a positive score take a token, however many they are. */
const spenders = `
import { matmul, normal, relu, reshape, type RouterPlugin, softmax, tensor } from "@switchyard/moe";
import * as z from "zod";

export const reluRouting: RouterPlugin<Record<string, never>> = {
  name: "relu-routing",
  about: "Experts with a positive score.",
  paper: { title: "ReMoE", year: 2024, identifier: "arXiv:2412.14711", equations: "equation 6" },
  traits: { causal: true, balancedBy: "nothing", perToken: "varies", gradient: "through weight" },
  options: z.strictObject({}),
  expertsPerToken: () => 1,
  create({ D, E }, _, init) {
    const gate_DE = init.parameter("gate", [D, E], normal(1 / Math.sqrt(D)));
    return {
      params: { gate: gate_DE },
      async route(x_TD) {
        const [T] = x_TD.shape;
        const score_TE = relu(matmul(x_TD, gate_DE));
        const score = await score_TE.read();
        const whole = (at: (n: number) => number) =>
          tensor(x_TD.backend, Int32Array.from({ length: T * E }, (_, n) => at(n)), [T * E]);
        const expert_N = whole((n) => score[n] > 0 ? n % E : -1);
        const token_N = whole((n) => Math.floor(n / E));
        return { token_N, expert_N, wanted_N: expert_N, weight_N: reshape(score_TE, [T * E]), choices: null, losses: {} };
      },
    };
  },
};

/** Says one expert a token and takes all of them. */
export const greedy: RouterPlugin<Record<string, never>> = {
  ...reluRouting,
  name: "greedy",
  traits: { ...reluRouting.traits, perToken: "exactly K" },
  create({ D, E }, _, init) {
    const gate_DE = init.parameter("gate", [D, E], normal(1 / Math.sqrt(D)));
    return {
      params: { gate: gate_DE },
      route(x_TD) {
        const [T] = x_TD.shape;
        const whole = (at: (n: number) => number) =>
          tensor(x_TD.backend, Int32Array.from({ length: T * E }, (_, n) => at(n)), [T * E]);
        const expert_N = whole((n) => n % E);
        const weight_N = reshape(softmax(matmul(x_TD, gate_DE)), [T * E]);
        return { token_N: whole((n) => Math.floor(n / E)), expert_N, wanted_N: expert_N, weight_N, choices: null, losses: {} };
      },
    };
  },
};
`;

Deno.test("a kind of experts and a task of a module are used by name, in workers too", () =>
  inFolder(async (folder) => {
    const file = `${folder}/kinds.ts`;
    await Deno.writeTextFile(file, kinds);
    const list = await succeed("--list", "--plugin", file);
    assertMatch(list, /^ {2}halved-linear +Half of x W \+ b\.$/m);
    assertMatch(list, /^ {2}cities +Cities and their rivers\.$/m);

    const small = [
      "--plugin",
      file,
      "--routers",
      "switch,hash",
      "--seeds",
      "1",
      "--steps",
      "2",
      "--no-controls",
    ];
    const words = [...small, "--task", "cities", "--size", "tiny", "--experts", "halved-linear"];
    const sized = [...words, "--set", "task.facts=64", "--set", "experts.bias=false"];
    await succeed(...sized, "--jobs", "2", "--out", `${folder}/two`);
    await succeed(...sized, "--jobs", "1", "--out", `${folder}/one`);
    const [one, two] = ["one", "two"].map((out) => filesIn(`${folder}/${out}`).get("records.jsonl")!);
    assertEquals(one, two);
    const { header } = parseRecord(one.split(/(?=^\{"kind":"run")/m)[0], "run");
    assertEquals([header.task!.name, header.task!.about], ["cities", "Cities and their rivers."]);
    assertEquals(header.config!.experts, {
      name: "halved-linear",
      bias: false,
      outDeviation: null,
      dropout: 0,
    });
    // Eight experts of one matrix, D x D, and the norm before the scores.
    assertEquals(header.parameters.total - header.parameters.router, 8 * 32 * 32 + 32);

    const layers = `model.perLayer=[{"expertKind":{"name":"halved-linear"}}]`;
    await succeed(
      ...small,
      "--task",
      "cities",
      "--size",
      "tiny",
      "--set",
      layers,
      "--out",
      `${folder}/layers`,
    );
  }));

Deno.test("what a module brings has to take part, whatever its kind", () =>
  inFolder(async (folder) => {
    const file = `${folder}/kinds.ts`;
    await Deno.writeTextFile(file, kinds);
    const words = ["--plugin", file, "--size", "tiny", "--out", `${folder}/out`];
    const task = await experiments(...words, "--task", "recall", "--experts", "halved-linear");
    assertRefused(task, ['task "cities"', '"recall"', "--task"], "a task left out");
    const bank = await experiments(...words, "--task", "cities");
    assertRefused(bank, ['experts "halved-linear"', '"feed-forward"', "--experts"], "experts left out");
  }));

Deno.test("a router that varies is measured and ranked apart; one that lies is stopped, the others go on", () =>
  inFolder(async (folder) => {
    const file = `${folder}/spenders.ts`;
    await Deno.writeTextFile(file, spenders);
    const words = ["--task", "language", "--text", `${folder}/text.txt`, "--size", "tiny", "--steps", "6"];
    const { code, out, error } = await experiments(
      ...[...words, "--seeds", "2", "--plugin", file, "--routers", "relu-routing,greedy,switch"],
      ...["--out", `${folder}/out`],
    );
    assertEquals([code, error], [1, ""]);
    const files = filesIn(`${folder}/out`);
    const records = files.get("records.jsonl")!.split(/(?=^\{"kind":"run")/m).map((text) =>
      parseRecord(text, "run")
    );
    const [{ routers }] = comparisons(records, []);
    assertEquals(routers.map(({ name }) => name), ["relu-routing", "switch"]);
    const [relu, base] = routers.map((series) => costOf(series)!.experts.mean);
    assert(relu > 1.5 && base <= 1, `${relu} and ${base} experts a token`);

    const { document } = parseHTML(files.get("report.html")!) as unknown as {
      document: { body: { textContent: string } };
    };
    for (const shown of [out, document.body.textContent]) {
      assertMatch(
        shown,
        /relu-routing spends [\d.]+ times \[[\d.]+, [\d.]+\] as much as switch and is ranked apart/,
      );
      assert(!shown.includes("qual FLOPs per token, measured"), "unequal cost is called equal");
      assertMatch(
        shown,
        /Run greedy-seed[01] is left out: Cannot go on with router "greedy": in layer 1 token 0 goes to 4 experts/,
      );
    }
    assertStringIncludes(out, "Experts per token");
  }));
