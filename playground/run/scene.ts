// What is looked at while a run trains: held-out tokens of its task, the same ones throughout.
import type { TaskData } from "../../tasks/task.ts";
import type { SceneKind } from "../tasks.ts";
import type { Scene } from "./messages.ts";

const TOPIC_TOKENS = 512;

/** A scene with its tokens. */
export interface SceneTokens {
  readonly scene: Scene;
  readonly tokenId_T: Int32Array;
}

/** The scene of a task's data. */
export function sceneOf(kind: SceneKind, data: TaskData): SceneTokens {
  const [examples] = data.evaluationExamples({ batch: 1, length: TOPIC_TOKENS });
  const [{ name, names }] = data.labels;
  return {
    scene: { kind, label: name, names, label_T: examples.labels[0] },
    tokenId_T: examples.tokenId,
  };
}
