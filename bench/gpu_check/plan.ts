// How large everything is and when it must end: on hardware as large as a GPU is worth, on a software adapter as small as
// shows that all of it works.
import { vocabularies } from "../../models/sizes.ts";
import { routers } from "../../routers/registry.ts";
import { type LayerSize, referenceLayer } from "../layer.ts";
import type { ProductShape } from "../products.ts";
import type { Part } from "./schema.ts";
import { namedSize, type Size } from "./training.ts";

/** What a check does. */
export interface Plan {
  readonly parts: readonly Part[];
  readonly python: string;
  /** Cases of each kernel's contract that are run. */
  readonly casesOfKernel: number;
  /** The most operations of a call that is compared with its reference, which is plain loops. */
  readonly checkedFlop: number;
  /** The most bytes that a kept call reads. */
  readonly timedBytes: number;
  /** Routers whose steps are run for the largest calls of kernels. */
  readonly routers: readonly string[];
  /** The model of such a step. */
  sizeOf(router: string): Size;
  readonly products: readonly ProductShape[];
  /** The block whose loss is compared with the CPU's. */
  readonly compared: LayerSize;
  /** Blocks that are timed. */
  readonly blocks: readonly LayerSize[];
  /** Models that are trained on both processors, and for how many steps. */
  readonly sizes: readonly Size[];
  readonly steps: number;
  /** Whether the time is up. */
  isLate(): boolean;
  /** Notes what is not done. */
  leaveOut(what: string): void;
  /** Notes what failed: an adapter that refuses a program, loses its device or runs out of memory. */
  fail(what: string, error: unknown): void;
  say(text: string): void;
}

const square = (name: string, side: number): ProductShape => ({
  name,
  M: side,
  N: side,
  K: side,
  params: { transposeA: false, transposeB: false },
});

/** A model worth a GPU, whose logits just fit the smallest largest array that WebGPU promises (128 MiB). */
const large: Size = {
  name: "large",
  V: 8192,
  settings: {
    "model.width": 1024,
    "model.heads": 16,
    "model.layers": 2,
    "model.moeEvery": 2,
    "model.feedForwardWidth": 4096,
    "model.experts": 16,
    "model.expertWidth": 4096,
    "train.length": 1024,
    "train.batch": 4,
  },
};

/** As many tokens in a narrower model: for what routers do of their own, which depends on tokens and experts alone. */
const wide: Size = {
  name: "wide",
  V: 8192,
  settings: {
    ...large.settings,
    "model.width": 256,
    "model.heads": 4,
    "model.feedForwardWidth": 256,
    "model.expertWidth": 256,
  },
};

/** The block that a GPU is held to, beside PyTorch on the same one. */
const largeLayer: LayerSize = { T: 16384, D: 1024, F: 4096, E: 16, K: 2 };
const smallLayer: LayerSize = { T: 64, D: 32, F: 64, E: 4, K: 2 };

type Bounds = Omit<Plan, "parts" | "python" | "isLate" | "leaveOut" | "fail" | "say">;

/** What is run on a GPU. */
export const onHardware: Bounds = {
  casesOfKernel: Infinity,
  checkedFlop: 2 ** 30,
  timedBytes: 2 ** 29,
  routers: routers().map(({ name }) => name),
  sizeOf: (router) => router === "switch" || router === "gshard" ? large : wide,
  products: [square("1024 x 1024 x 1024", 1024), square("4096 x 4096 x 4096", 4096)],
  compared: referenceLayer,
  blocks: [referenceLayer, largeLayer],
  sizes: [
    namedSize("tiny", vocabularies.tiny),
    namedSize("small", vocabularies.small),
    namedSize("base", vocabularies.base),
  ],
  steps: 5,
};

/** What is run on an adapter that computes on the CPU. */
export const onSoftware: Bounds = {
  casesOfKernel: 1,
  checkedFlop: 2 ** 24,
  timedBytes: 2 ** 22,
  routers: ["switch"],
  sizeOf: () => namedSize("tiny", 64),
  products: [square("64 x 64 x 64", 64)],
  compared: smallLayer,
  blocks: [smallLayer],
  sizes: [namedSize("tiny", 64)],
  steps: 2,
};
