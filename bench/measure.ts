// One run of `deno task bench`: everything is checked, warmed up and timed in rounds that take turns.
import { rowsOf } from "../models/spec.ts";
import type { AnyRouterPlugin } from "../routers/registry.ts";
import {
  type BlasChoice,
  type Device,
  type DeviceKind,
  openCpu,
  openDevices,
  openWebgpu,
} from "./devices.ts";
import { readGpuRoofs } from "./roofs/gpu_roof.ts";
import { checkLayer, createLayerSubject, type LayerSize } from "./layer.ts";
import { skews } from "./loads.ts";
import { createPeak } from "./roofs/peak.ts";
import { groupedSubject, type KernelSubject, productShapes, productSubject } from "./products.ts";
import { profileStep } from "./profile.ts";
import { secondsPerCall, timePerCall } from "./repeat.ts";
import { readRoofs, type Roof, roofOf } from "./roofs/roof.ts";
import { scaled } from "./rounds.ts";
import { createRows, type Row, type Rows, type Subject } from "./rows.ts";
import { benchConfig, benchData, type StepSubject, timeStep, trainSteps } from "./step.ts";
import { flopOfStep, smallSteps, timeSmallStep } from "./small_steps.ts";
import { verified } from "./verify.ts";

/** What to measure. */
export interface Choice {
  readonly rounds: number;
  /** Steps counted in a round. */
  readonly steps: number;
  readonly sizeName: string;
  readonly layer: LayerSize;
  readonly routers: readonly AnyRouterPlugin[];
  /** The one of them whose step's kernels are profiled. */
  readonly profiled: AnyRouterPlugin;
  readonly device: DeviceKind;
  readonly threads: readonly number[];
  readonly blas: BlasChoice;
}

/** What was measured. */
export interface Measured {
  /** Names of the kernels that were checked in a step. */
  readonly checked: readonly string[];
  readonly rows: readonly Row[];
}

const WINDOW_SECONDS = 0.1;

/** One subject, timed once a round. */
interface Turn extends Subject {
  time(): Promise<Record<string, number>>;
}

/** @param say Told what is going on. */
export async function measure(choice: Choice, say: (text: string) => void): Promise<Measured> {
  const { sizeName, routers, layer } = choice;
  using stack = new DisposableStack();
  const devices = await openDevices(choice.device, choice.threads, choice.blas);
  for (const device of devices) stack.use(device);
  const data = await benchData(sizeName);
  const peak = choice.device === "cpu" ? stack.use(await createPeak(Math.max(...choice.threads))) : null;
  const stepOf = (router: AnyRouterPlugin, { threads }: Device): StepSubject => ({
    router,
    sizeName,
    data,
    threads,
  });

  say("Checking ...");
  const checked = new Set<string>();
  const turns: Turn[] = [];
  for (const device of devices) {
    const { backend } = device;
    const names = await verified(backend, async (watching) => {
      for (const router of routers) await trainSteps(watching, stepOf(router, device), 1);
    });
    for (const name of names) checked.add(name);
    if (choice.device === "cpu") turns.push(...await smallTurns(device, choice));
    turns.push(...await productTurns(stack, device, choice, rowsOf(data.input)));
    for (const skew of skews) {
      await checkLayer(backend, layer, { skew });
      const { run, flop } = stack.use(createLayerSubject(backend, layer, { skew }));
      turns.push({
        group: "layer" as const,
        name: `skew ${skew}`,
        on: device.name,
        time: async () => {
          const time = await timePerCall(backend, run, WINDOW_SECONDS);
          return { ...time, flopPerSecond: flop / time.seconds };
        },
      });
    }
  }
  for (const router of routers) {
    for (const device of devices) {
      turns.push({
        group: "step" as const,
        name: router.name,
        on: device.name,
        time: () => timeStep(device.backend, stepOf(router, device), choice.steps),
      });
    }
  }

  const rows = createRows();
  say("Warming up ...");
  for (const turn of turns) if (turn.group !== "step" && turn.group !== "small") await turn.time();
  for (let round = 0; round < choice.rounds; round++) {
    say(`Round ${round + 1} of ${choice.rounds} ...`);
    for (const { name: on, threads, backend } of devices) {
      const read = peak ? readRoofs(peak, threads) : await readGpuRoofs(backend);
      for (const [name, found] of Object.entries(read)) {
        rows.add({ group: "roof", name, on }, found);
      }
    }
    for (const turn of turns) rows.add(turn, await turn.time());
  }
  say("Profiling ...");
  for (const device of devices) {
    const roof = roofOf(rows.all(), device.name);
    for (const router of routers) {
      await profile(rows, device, stepOf(router, device), choice, roof, router === choice.profiled);
    }
  }
  return { checked: [...checked].sort(), rows: withShares(rows.all()) };
}

/** Steps of small models. A GPU queues them: its kernels' time is not the program's. */
async function smallTurns({ backend, name: on }: Device, { steps }: Choice): Promise<Turn[]> {
  const turns: Turn[] = [];
  for (const subject of await smallSteps()) {
    const flop = await flopOfStep(backend, subject);
    const time = () => timeSmallStep(backend, subject, flop, steps);
    turns.push({ group: "small", name: subject.name, on, time });
  }
  return turns;
}

/** Products of a step, and grouped ones beside the plain one of as many rows. */
async function productTurns(
  stack: DisposableStack,
  device: Device,
  { sizeName, profiled, layer: { T, D, F, E, K } }: Choice,
  V: number,
): Promise<Turn[]> {
  const { backend, name: on } = device;
  const { model, train } = benchConfig(sizeName, profiled, 1);
  const shapes = productShapes({ T: train.batch * train.length, D: model.width, F: model.expertWidth, V });
  const dense = {
    name: `all ${T * K} rows, one matrix`,
    M: T * K,
    N: F,
    K: D,
    params: { transposeA: false, transposeB: false },
  };
  const subjects: (Pick<Subject, "group" | "name"> & { subject: KernelSubject })[] = [
    ...shapes.map((shape) => ({
      group: "product" as const,
      name: shape.name,
      subject: productSubject(backend, shape),
    })),
    { group: "grouped" as const, name: dense.name, subject: productSubject(backend, dense) },
    ...skews.map((skew) => ({
      group: "grouped" as const,
      name: `${E} matrices, skew ${skew}`,
      subject: groupedSubject(backend, { T, E, K, skew }, { K: D, M: F }),
    })),
  ];
  for (const { subject } of subjects) {
    stack.use(subject);
    await subject.check();
  }
  return subjects.map(({ group, name, subject: { flop, bytes, run } }) => ({
    group,
    name,
    on,
    time: async () => {
      const seconds = await secondsPerCall(backend, run, WINDOW_SECONDS);
      return { seconds, flopPerSecond: flop / seconds, bytesPerSecond: bytes / seconds };
    },
  }));
}

async function profile(
  rows: Rows,
  device: Device,
  subject: StepSubject,
  { steps, device: kind, blas }: Choice,
  roof: Roof | null,
  withKernels: boolean,
): Promise<void> {
  // A fresh device knows its own peak; on a GPU it also keeps time by kernel.
  using fresh = await (kind === "cpu" ? openCpu(device.threads, blas) : openWebgpu(true));
  const { kernels, ...bytes } = await profileStep(fresh, subject, steps, roof);
  rows.add({ group: "step", name: subject.router.name, on: device.name }, { ...bytes });
  if (!withKernels) return;
  const all = [...kernels.values()].reduce((sum, { seconds }) => sum + seconds, 0);
  const byTime = [...kernels].sort(([, a], [, b]) => b.seconds - a.seconds);
  for (const [name, { calls, seconds, flop, bytes, leastSeconds }] of byTime) {
    rows.add({ group: "kernel", name, on: device.name }, {
      calls,
      // An adapter without timestamps knows no seconds.
      ...(seconds > 0
        ? { seconds, share: seconds / all, flopPerSecond: flop / seconds, bytesPerSecond: bytes / seconds }
        : {}),
      ...(seconds > 0 && roof ? { ofRoof: leastSeconds / seconds } : {}),
    });
  }
}

/** Rows with `ofPeak` and `ofBandwidth`, shares of what as many threads were seen to do; the last of memory's own. */
function withShares(rows: readonly Row[]): Row[] {
  return rows.map((row) => {
    const roof = row.group === "roof" ? null : roofOf(rows, row.on);
    if (!roof) return row;
    const { flopPerSecond, bytesPerSecond } = row.figures;
    const memory = roof.bandwidths[roof.bandwidths.length - 1].bytesPerSecond;
    return {
      ...row,
      figures: {
        ...row.figures,
        ...(flopPerSecond ? { ofPeak: scaled(flopPerSecond, 1 / roof.flopPerSecond) } : {}),
        ...(bytesPerSecond ? { ofBandwidth: scaled(bytesPerSecond, 1 / memory) } : {}),
      },
    };
  });
}
