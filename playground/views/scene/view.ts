// What a view of a kind of scene is: topics, a sentence, a plane.
/// <reference lib="dom" />
import type { Scene } from "../../run/messages.ts";
import type { ExpertsOf } from "./look.ts";

/** A view of a kind of scene. */
export interface SceneView {
  readonly root: HTMLElement;
  show(scene: Scene, experts: ExpertsOf): void;
  /** Tokens under the pointer or at the focus, and what to call them; null where none are. */
  selection(scene: Scene): { readonly label: string; readonly tokens: readonly number[] } | null;
}
