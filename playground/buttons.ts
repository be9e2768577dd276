// The buttons that train, hold and end runs, and those that share them.
/// <reference lib="dom" />
import { byId } from "./dom.ts";
import { saveRecords } from "./save.ts";
import { isOpen } from "./run/progress.ts";
import type { Session } from "./session.ts";

const COPIED_MILLISECONDS = 2000;

/** The buttons. */
export interface Buttons {
  /** Shows which can be pressed. */
  show(): void;
}

/** What the buttons need of the page. */
export interface ButtonsParts {
  train(): void;
  /** Shows at once what a press has changed. */
  show(): void;
}

/** Makes the buttons work. */
export function createButtons(session: Session, { train, show }: ButtonsParts): Buttons {
  const button = (id: string, press: () => void) => {
    const found = byId<HTMLButtonElement>(id);
    found.addEventListener("click", () => {
      press();
      show();
    });
    return found;
  };
  const isHeld = () => session.runs.some(({ stage }) => stage === "paused");
  button("train", train);
  const pause = button("pause", () => isHeld() ? session.go() : session.pause());
  const step = button("step", () => session.go(1));
  const stop = button("stop", session.stop);
  const save = button("save", () => saveRecords(session.runs));
  const copy = button("copy", () => void copyAddress(copy));
  return {
    show() {
      const open = session.runs.some(isOpen);
      pause.disabled = stop.disabled = !open;
      step.disabled = !open || !isHeld();
      save.disabled = !session.runs.some(({ rows }) => rows.length > 0);
      const text = isHeld() ? "Go on" : "Pause";
      if (pause.textContent !== text) pause.textContent = text;
    },
  };
}

async function copyAddress(button: HTMLButtonElement): Promise<void> {
  const usual = button.textContent;
  try {
    await navigator.clipboard.writeText(location.href);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Copy it from the address bar";
  }
  setTimeout(() => button.textContent = usual, COPIED_MILLISECONDS);
}
