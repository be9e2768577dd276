// What the page and the worker of a run say to each other. Everything is plain data.
import type { ThreadStart } from "../../cpu/threads.ts";
import type { TokenLook } from "../../training/look.ts";
import type { RecordRow } from "../../training/record.ts";
import type { JsonSchema, Settings } from "../../training/config.ts";
import type { RunNames } from "../../training/run_rows.ts";
import type { SceneKind } from "../tasks.ts";

/** Where runs compute. */
export type DeviceName = "cpu" | "webgpu";

/** A run to train. */
export interface RunStart {
  /** Of the run, by path, later ones over earlier ones. */
  readonly settings: readonly Settings[];
  readonly names: Partial<RunNames>;
  /** Version of the package, for the record. */
  readonly version: string;
  readonly device: DeviceName;
  /** Threads to compute on, where they are to be had. */
  readonly threads: number;
  /** What to look at while training; null where no page watches. */
  readonly scene: SceneKind | null;
  /** A sentence of the user's, where the scene is one; null for a held-out one. */
  readonly sentence: string | null;
  /** Address of the corpus for tasks of text. */
  readonly corpus: string;
}

/** To the worker. The first message is `start`, or `describe`. */
export type ToRun =
  /** Asks what the user's router is. */
  | { readonly kind: "describe" }
  | ({ readonly kind: "start" } & RunStart)
  /** Trains so many steps on; turns are counted, so that an answer to an earlier one is known as such. */
  | { readonly kind: "go"; readonly steps: number; readonly turn: number }
  | { readonly kind: "pause" }
  | { readonly kind: "sentence"; readonly sentence: string | null };

/** What is watched, token by token. */
export type Scene =
  /** Held-out inputs, each with its topic's place in `names`. */
  | { readonly kind: "topics"; readonly names: readonly string[]; readonly topic_T: Int32Array }
  /** Words in order, and whether the model's vocabulary has them. */
  | { readonly kind: "sentence"; readonly words: readonly string[]; readonly known: readonly boolean[] }
  /** A square of so many points a side, row by row, with the piece of the function that each lies in. */
  | { readonly kind: "plane"; readonly side: number; readonly piece_T: Int32Array; readonly pieces: number };

/** Where the tokens of a scene go. */
export interface Looks {
  /** Steps that have been taken. */
  readonly step: number;
  readonly scene: Scene;
  readonly tokens: readonly TokenLook[];
}

/** What a router of the user's says of itself. */
export interface Described {
  readonly kind: "described";
  readonly name: string;
  readonly about: string;
  /** Of its options. */
  readonly schema: JsonSchema;
  readonly defaults: Readonly<Record<string, unknown>>;
}

/** From the worker. */
export type FromRun =
  /** It takes messages from now on. */
  | { readonly kind: "ready" }
  | Described
  /** Asks the page to start a thread: not every browser lets a worker start workers. */
  | { readonly kind: "thread"; readonly thread: ThreadStart }
  /** What it computes on, in words, and what falls short of what was asked for. */
  | { readonly kind: "opened"; readonly device: string; readonly notes: readonly string[] }
  /** Rows of the record that are new, in its order. */
  | { readonly kind: "rows"; readonly rows: readonly RecordRow[] }
  | ({ readonly kind: "looks" } & Looks)
  /** The run has come to rest in a turn. */
  | { readonly kind: "paused"; readonly turn: number }
  | { readonly kind: "done" }
  /** Why it cannot go on, and where in the user's program, if there. */
  | { readonly kind: "failed"; readonly message: string; readonly line: number | null };
