// What the page and the worker of a run say to each other. Everything is plain data.
import type { ThreadStart } from "../../cpu/threads.ts";
import type { TokenLook } from "../../training/look.ts";
import type { RecordRow } from "../../training/record.ts";
import type { RunConfig } from "../../training/run_schema.ts";
import type { RunNames } from "../../training/run_rows.ts";
import type { DeviceName } from "../state.ts";
import type { SceneKind } from "../tasks.ts";

/** A run to train. */
export interface RunStart {
  readonly config: RunConfig;
  readonly names: Partial<RunNames>;
  /** Version of the package, for the record. */
  readonly version: string;
  readonly device: DeviceName;
  /** Threads to compute on, where they are to be had. */
  readonly threads: number;
  /** What to look at while training; null where nobody watches. */
  readonly scene: SceneKind | null;
}

/** To the worker. The first message is `start`. */
export type ToRun =
  | ({ readonly kind: "start" } & RunStart)
  /** Trains so many steps on; turns are counted, so that an answer to an earlier one is known as such. */
  | { readonly kind: "go"; readonly steps: number; readonly turn: number }
  | { readonly kind: "pause" };

/** What is watched: the same tokens throughout a run. */
export interface Scene {
  readonly kind: SceneKind;
  /** For each token its place in `names`. */
  readonly label_T: Int32Array;
  /** What labels are, in the singular: "topic"; and each one's name. */
  readonly label: string;
  readonly names: readonly string[];
}

/** From the worker. */
export type FromRun =
  /** Asks the page to start a thread: not every browser lets a worker start workers. */
  | { readonly kind: "thread"; readonly thread: ThreadStart }
  /** What it computes on, in words, and what falls short of what was asked for. */
  | { readonly kind: "opened"; readonly device: string; readonly notes: readonly string[] }
  | { readonly kind: "scene"; readonly scene: Scene }
  /** Rows of the record that are new, in its order. */
  | { readonly kind: "rows"; readonly rows: readonly RecordRow[] }
  /** Where the scene's tokens go after so many steps. */
  | { readonly kind: "looks"; readonly step: number; readonly tokens: readonly TokenLook[] }
  /** The run has come to rest in a turn. */
  | { readonly kind: "paused"; readonly turn: number }
  | { readonly kind: "done" }
  | { readonly kind: "failed"; readonly message: string };
