// Looks at where a scene's tokens go: now and then while a run trains, and at once for a new sentence where it does not.
import type { TaskData } from "../../tasks/task.ts";
import type { Trainer } from "../../training/trainer.ts";
import type { SceneKind } from "../tasks.ts";
import type { FromRun } from "./messages.ts";
import { sceneOf, type SceneTokens } from "./scene.ts";

const LOOK_MILLISECONDS = 150;

/** Looks of one run. */
export interface Looker {
  /** Looks where it is time, or asked for. */
  look(now: boolean): Promise<void>;
  /** Takes another sentence, which the next look is at. */
  take(sentence: string | null): void;
}

/** A looker at a task's scene. */
export function createLooker(
  trainer: Trainer,
  { kind, data, sentence }: {
    readonly kind: SceneKind;
    readonly data: TaskData;
    readonly sentence: string | null;
  },
  post: (message: FromRun) => void,
): Looker {
  let watched: SceneTokens = sceneOf(kind, data, sentence);
  let last = -Infinity;
  return {
    async look(now) {
      if (!now && performance.now() - last < LOOK_MILLISECONDS) return;
      const { scene, tokenId_T } = watched;
      post({ kind: "looks", step: trainer.steps, scene, tokens: await trainer.look(tokenId_T) });
      last = performance.now();
    },
    take(next) {
      if (kind !== "sentence") return;
      watched = sceneOf(kind, data, next);
      last = -Infinity;
    },
  };
}
