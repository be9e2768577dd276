// What is looked at while a run trains: held-out tokens of its task, the same ones throughout, or a sentence of the user's.
import { wordsOfPrompt } from "../../data/plain_text.ts";
import type { TaskData } from "../../tasks/task.ts";
import type { SceneKind } from "../tasks.ts";
import type { Scene } from "./messages.ts";

const TOPIC_TOKENS = 512;
const PLANE_POINTS = 1024;
const HELD_OUT_WORDS = 24;
const MOST_WORDS = 64;

/** A scene with its tokens. */
export interface SceneTokens {
  readonly scene: Scene;
  readonly tokenId_T: Int32Array;
}

/** The scene of a task's data. @param sentence For a sentence: the user's, or null. */
export function sceneOf(kind: SceneKind, data: TaskData, sentence: string | null): SceneTokens {
  switch (kind) {
    case "topics": {
      const { tokenId_T, label_T, names } = heldOut(data, TOPIC_TOKENS);
      return { scene: { kind, names, topic_T: label_T }, tokenId_T };
    }
    case "plane": {
      const { tokenId_T, label_T, names } = heldOut(data, PLANE_POINTS);
      const side = Math.round(Math.sqrt(tokenId_T.length));
      return { scene: { kind, side, piece_T: label_T, pieces: names.length }, tokenId_T };
    }
    case "sentence":
      return sentenceOf(data, sentence);
  }
}

/** The first so many held-out tokens with what is known of them. */
function heldOut(data: TaskData, length: number) {
  const [{ tokenId, labels }] = data.evaluationExamples({ batch: 1, length });
  return { tokenId_T: tokenId, label_T: labels[0], names: data.labels[0].names };
}

function sentenceOf(data: TaskData, sentence: string | null): SceneTokens {
  const typed = sentence === null ? [] : wordsOfPrompt(sentence).slice(0, MOST_WORDS);
  if (typed.length === 0) {
    const tokenId_T = mostKnown(data);
    const words = Array.from(tokenId_T, (id) => data.nameOf(id) ?? "");
    return { scene: { kind: "sentence", words, known: words.map(() => true) }, tokenId_T };
  }
  const vocabulary = data.input.kind === "tokens" ? data.input.V : 0;
  const idOf = new Map(Array.from({ length: vocabulary }, (_, id) => [data.nameOf(id), id] as const));
  return {
    scene: { kind: "sentence", words: typed, known: typed.map((word) => idOf.has(word)) },
    tokenId_T: Int32Array.from(typed, (word) => idOf.get(word) ?? UNKNOWN),
  };
}

/** Of the held-out windows the first that has fewest unknown words. */
function mostKnown(data: TaskData): Int32Array {
  const windows = data.evaluationExamples({ batch: 1, length: HELD_OUT_WORDS }).map(({ tokenId }) => tokenId);
  const unknown = windows.map((window) => window.filter((id) => id === UNKNOWN).length);
  return windows[unknown.indexOf(Math.min(...unknown))];
}

/** Number of `<unknown>`. */
const UNKNOWN = 0;
