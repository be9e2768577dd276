// `deno task bench:routing`: what routing costs of a layer's forward and backward pass, router by router. All share one bank
// of experts and take turns; a router's time is its own ops, forward and backward, and whatever it waits for.
import Table from "cli-table3";
import { cpu } from "../cpu/backend.ts";
import { feedForward } from "../experts/feed_forward.ts";
import type { Backend } from "../kernels/kernel.ts";
import { createMoeLayer, type MoeLayer } from "../moe/layer.ts";
import { type AnyRouterPlugin, parseOptions, routers } from "../routers/registry.ts";
import type { RouteStep, Routing } from "../routers/router.ts";
import { multiply } from "../tensor/arithmetic.ts";
import { gradients } from "../tensor/gradients.ts";
import { createInit } from "../tensor/init.ts";
import { memory } from "../tensor/memory.ts";
import { random } from "../tensor/random.ts";
import { sumAll } from "../tensor/reduce.ts";
import { equalSequences } from "../tensor/sequences.ts";
import { takeStageSeconds } from "../tensor/stage.ts";
import { parameter, type Tensor, tensor } from "../tensor/tensor.ts";
import { trainingLoss } from "../training/training_loss.ts";
import { counted } from "../report/numbers.ts";
import { machineText } from "./machine.ts";
import { type CommandLine, runTask, wholeNumberOf, type Words } from "../cli/options.ts";
import { jsonFlag, roundsOption, routersOf, routersOption } from "./options.ts";
import { captionOf, createFigures } from "./rounds.ts";
import { verified } from "./verify.ts";

/** Options whose cost differs from the defaults', by router. */
const variants: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  "gumbel-matching": [{ proposal: "sinkhorn" }],
  "locmoe-plus": [{ mode: "ecr" }],
  "noisy-top-k": [{ gating: "strict" }],
};

interface Sizes {
  readonly tokens: number;
  readonly width: number;
  readonly hidden: number;
  readonly experts: number;
}

interface Subject {
  readonly name: string;
  readonly choices: number;
  readonly layer: MoeLayer;
}

const LENGTH = 256;
const V = 1024;

/** The layer on one batch with one bank of experts, whatever the router. */
function createSubjects(backend: Backend, sizes: Sizes, plugins: readonly AnyRouterPlugin[]) {
  const { tokens: T, width: D, hidden: F, experts: E } = sizes;
  const init = createInit(backend, random(0));
  const experts = feedForward.create({ D, F, E }, feedForward.options.parse({}), init.part("experts"));
  const tokenCount_V = Int32Array.from({ length: V }, (_, id) => Math.floor(1e6 / (id + 1)));
  const subjects = plugins.flatMap((plugin) =>
    [{}, ...variants[plugin.name] ?? []].map((given): Subject => {
      const options = parseOptions(plugin, given);
      const dims = { D, E, V, tokenCount_V, length: LENGTH };
      const router = plugin.create(dims, options, init.part(plugin.name));
      const words = Object.entries(given).map(([name, value]) => ` ${name}=${value}`);
      return {
        name: plugin.name + words.join(""),
        choices: plugin.expertsPerToken(options),
        layer: createMoeLayer({ D, E, router, experts }),
      };
    })
  );
  const x_TD = parameter(backend, random(1).normal(T * D), [T, D]);
  const direction = random(2).normal(T * D);
  const ids = Int32Array.from(random(3).uniform(T), (u) => Math.floor(V * u * u));
  return { subjects, x_TD, direction, ids };
}

type Bench = ReturnType<typeof createSubjects>;

/** One forward and backward pass; seconds by stage. `look` sees the result before it goes. */
async function pass(
  { layer }: Subject,
  { x_TD, direction, ids }: Bench,
  look: (y_TD: Tensor, routing: Routing) => Promise<void> = () => Promise.resolve(),
): Promise<Record<string, number>> {
  const { backend, shape } = x_TD;
  using _scope = memory(backend);
  const step: RouteStep = {
    training: true,
    step: 0,
    random: random(4),
    tokenId_T: tensor(backend, ids, [ids.length]),
    sequences: equalSequences(ids.length / LENGTH, LENGTH),
  };
  const direction_TD = tensor(backend, direction, shape);
  takeStageSeconds(backend);
  const { y_TD, routing } = await layer.apply(x_TD, step);
  const loss_T = tensor(backend, new Float32Array(ids.length).fill(1), [ids.length]);
  const loss = trainingLoss({
    loss: sumAll(multiply(y_TD, direction_TD)),
    loss_T,
    losses: routing.losses,
    layers: [{ routing }],
  });
  await gradients(loss, [x_TD, ...Object.values(layer.params)]);
  const stages = takeStageSeconds(backend);
  await look(y_TD, routing);
  return stages;
}

/**
 * Every kernel of a pass by its reference, forward and backward, on one sequence, on a backend of its own that goes with
 * all it holds.
 */
async function verifyKernels({ plugins, threads, ...sizes }: Choice): Promise<void> {
  using backend = await cpu({ threads });
  await verified(backend, async (watching) => {
    const few = createSubjects(watching, { ...sizes, tokens: LENGTH }, plugins);
    for (const subject of few.subjects) await pass(subject, few);
  });
}

/** Three tokens' results against plain sums over what their assignments say; soft routing has no assignments. */
async function verifyTokens(
  subject: Subject,
  bench: Bench,
  { width: D, hidden: F, tokens: T }: Sizes,
): Promise<void> {
  await pass(subject, bench, async (y_TD, { token_N, expert_N, weight_N, mixture }) => {
    if (mixture) return;
    const { in: in_EDF, out: out_EFD } = subject.layer.experts.params;
    const [y, x, into, out, token, expert, weight] = await Promise.all(
      [y_TD, bench.x_TD, in_EDF, out_EFD, token_N, expert_N, weight_N].map((values) => values.read()),
    );
    for (const t of [0, Math.floor(T / 2), T - 1]) {
      const [sum, size] = [new Float64Array(D), new Float64Array(D)];
      token.forEach((owner, n) => {
        if (owner !== t || expert[n] < 0) return;
        for (let f = 0; f < F; f++) {
          let hidden = 0;
          for (let d = 0; d < D; d++) hidden += x[t * D + d] * into[(expert[n] * D + d) * F + f];
          for (let d = 0; d < D && hidden > 0; d++) {
            const term = weight[n] * hidden * out[(expert[n] * F + f) * D + d];
            sum[d] += term;
            size[d] += Math.abs(term);
          }
        }
      });
      // D + F roundings of at most 2^-24 each on the way, of numbers as large as their terms together.
      const wrong = sum.findIndex((value, d) =>
        Math.abs(y[t * D + d] - value) > (D + F) * 2 ** -24 * size[d]
      );
      if (wrong < 0) continue;
      throw new Error(
        `Cannot time ${subject.name}: token ${t} got ${y[t * D + wrong]}; expected is ${sum[wrong]}`,
      );
    }
  });
}

interface Choice extends Sizes {
  readonly rounds: number;
  readonly threads: number;
  readonly plugins: readonly AnyRouterPlugin[];
}

/** Its command line. */
export const line: CommandLine = {
  task: "bench:routing",
  about: "What routing costs of a layer's forward and backward pass, router by router.",
  options: {
    rounds: { ...roundsOption, default: "5" },
    threads: { about: "CPU threads", value: "N", default: "2" },
    tokens: { about: `tokens of a batch, a multiple of ${LENGTH}`, value: "N", default: "4096" },
    width: { about: "model width D", value: "N", default: "256" },
    hidden: { about: "hidden units F of an expert", value: "N", default: "1024" },
    experts: { about: "experts E", value: "N", default: "64" },
    routers: routersOption,
    json: jsonFlag,
  },
};

function readChoice(words: Words): { choice: Choice; json: boolean } {
  const numbers = {
    rounds: wholeNumberOf(words, "rounds", 1) ?? 5,
    threads: wholeNumberOf(words, "threads", 1, 64) ?? 2,
    tokens: wholeNumberOf(words, "tokens", 1) ?? 4096,
    width: wholeNumberOf(words, "width", 1) ?? 256,
    hidden: wholeNumberOf(words, "hidden", 1) ?? 1024,
    experts: wholeNumberOf(words, "experts", 1) ?? 64,
  };
  if (numbers.tokens % LENGTH !== 0) {
    throw new RangeError(`Cannot use --tokens ${numbers.tokens}: choose a multiple of ${LENGTH}`);
  }
  return { choice: { ...numbers, plugins: routersOf(words) ?? routers() }, json: words.flags.json };
}

async function main(words: Words): Promise<void> {
  const { choice, json } = readChoice(words);
  await verifyKernels(choice);
  using backend = await cpu({ threads: choice.threads });
  const bench = createSubjects(backend, choice, choice.plugins);
  const figures = createFigures();
  for (const subject of bench.subjects) await verifyTokens(subject, bench, choice);
  for (let round = 0; round < choice.rounds; round++) {
    for (const subject of bench.subjects) {
      const stages = await pass(subject, bench);
      const seconds = Object.values(stages).reduce((sum, part) => sum + part);
      const routeSeconds = stages.route ?? 0;
      figures.add(subject.name, { seconds, routeSeconds, routeShare: routeSeconds / seconds });
    }
  }
  const found = figures.all();
  const [machine, date] = [machineText(), new Date().toISOString().slice(0, 10)];
  const { plugins: _, ...settings } = choice;
  if (json) {
    console.log(JSON.stringify({ machine, date, ...settings, figures: found }, null, 1));
    return;
  }
  const { tokens, width, hidden, experts, threads, rounds } = settings;
  const plain = { mid: "", "left-mid": "", "mid-mid": "", "right-mid": "" };
  const head = ["router", "K", "layer ms", "routing ms", "share", "least to most"];
  const table = new Table({ head, chars: plain, style: { head: [], border: [] } });
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  for (const { name, choices } of bench.subjects) {
    const { seconds, routeSeconds, routeShare } = found[name];
    const milliseconds = [seconds, routeSeconds].map(({ median }) => (1e3 * median).toFixed(1));
    const { least, most } = routeShare;
    const range = rounds === 1 ? "-" : `${percent(least)} to ${percent(most)}`;
    table.push([name, choices, ...milliseconds, percent(routeShare.median), range]);
  }
  console.log(`${machine}, ${counted(threads, "thread")}, ${date}`);
  console.log(
    `${table}\nForward and backward of one layer: T=${tokens}, D=${width}, F=${hidden}, E=${experts}.`,
  );
  console.log(
    `${captionOf(rounds, false)}; a token passes K experts of F hidden units each.`,
  );
}

if (import.meta.main) await runTask(line, main);
