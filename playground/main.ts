// The page: state in the address, the form, the buttons, and views that are drawn anew when runs have something new.
/// <reference lib="dom" />
import { addressOf, stateOf } from "./address.ts";
import { createButtons } from "./buttons.ts";
import { createChoices } from "./choices/choices.ts";
import { byId, setText } from "./dom.ts";
import { createSession } from "./session.ts";
import { initialState, type PageState, routersOf, runConfigOf } from "./state.ts";
import { findPageTask } from "./tasks.ts";
import { createSentenceField } from "./views/scene/scenes.ts";
import { createViews } from "./views/views.ts";

const SHOW_MILLISECONDS = 80;

/** What `work` refuses, as a sentence under the buttons; null where it refuses nothing. */
function told(work: () => void): string | null {
  const problem = byId("problem");
  try {
    work();
    setText(problem, "");
    return null;
  } catch (error) {
    const sentence = error instanceof Error ? error.message : String(error);
    setText(problem, sentence);
    return sentence;
  }
}

function openPage(): void {
  let state = initialState;
  let asked = false;

  function show(): void {
    asked = false;
    views.show();
    buttons.show();
    sentence.show(state.sentence, findPageTask(state.task).scene === "sentence");
  }

  /** Many changes are shown once, so that drawing takes little from training. */
  function changed(): void {
    if (asked) return;
    asked = true;
    setTimeout(show, SHOW_MILLISECONDS);
  }

  function set(next: PageState): string | null {
    return told(() => {
      for (const choice of routersOf(next)) runConfigOf(next, choice);
      const restarts = session.runs.length > 0 && next.task === state.task &&
        JSON.stringify([next.router, next.beside]) !== JSON.stringify([state.router, state.beside]);
      state = next;
      history.replaceState(null, "", `#${addressOf(state)}`);
      choices.show();
      changed();
      if (restarts) session.train(state);
    });
  }

  const read = () => told(() => state = stateOf(location.hash.slice(1)));
  read();
  const session = createSession(document.documentElement.dataset.version ?? "", changed);
  const views = createViews(session, changed);
  const choices = createChoices(byId("choices"), { state: () => state, set });
  const sentence = createSentenceField((text) => {
    set({ ...state, sentence: text });
    session.watch(text);
  });
  byId("sentence-field").replaceChildren(sentence.root);
  const buttons = createButtons(session, { train: () => told(() => session.train(state)), show });
  addEventListener("hashchange", () => {
    read();
    choices.show();
    changed();
  });
  show();
}

openPage();
