// The pane of a router of the user's: closed until it is wanted, then an editor, and a button that makes a router of its text.
/// <reference lib="dom" />
import { byId, setText } from "../dom.ts";
import type { Editor } from "./editor.ts";
import { type OwnRouter, readOwnRouter } from "./own_router.ts";
import { type Problem, problemText, ProgramError } from "./problem.ts";

/** What the pane needs of the page. */
export interface PaneParts {
  /** The text to begin with where an address brings none. */
  readonly skeleton: string;
  /** Takes a router that can be trained. */
  use(own: OwnRouter): void;
}

/** The pane. */
export interface Pane {
  /** Opens it with a text, not run yet. */
  offer(source: string): void;
  /** The text as it stands. */
  text(): Promise<string>;
  /** Reads the text as it stands; null where it cannot be used, which the pane then says. */
  read(): Promise<OwnRouter | null>;
  /** Says what a run of it failed with, or that nothing is wrong. */
  tell(problem: Problem | null): void;
}

/** Makes the pane work. */
export function createPane({ skeleton, use }: PaneParts): Pane {
  const details = byId<HTMLDetailsElement>("own");
  const said = byId("own-said");
  const button = byId<HTMLButtonElement>("own-use");
  let offered: string | null = null;
  let editor: Promise<Editor> | null = null;

  function tell(problem: Problem | null): void {
    setText(said, problem ? problemText(problem) : "");
    void editor?.then((open) => open.mark(problem));
  }

  function open(): Promise<Editor> {
    return editor ??= import("./editor.ts").then(({ createEditor }) =>
      createEditor(byId("own-editor"), offered ?? skeleton, () => setText(said, ""))
    );
  }

  const text = async () => editor ? (await editor).text : offered ?? skeleton;

  async function read(): Promise<OwnRouter | null> {
    try {
      const own = await readOwnRouter(await text());
      tell(null);
      return own;
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      details.open = true;
      tell(error);
      return null;
    }
  }

  details.addEventListener("toggle", () => {
    if (details.open) void open();
  });
  button.addEventListener("click", async () => {
    button.disabled = true;
    const own = await read();
    button.disabled = false;
    if (own) use(own);
  });
  return {
    offer(source) {
      offered = source;
      details.open = true;
      void editor?.then((open) => open.fill(source));
    },
    text,
    read,
    tell,
  };
}
