// The editor of a router's text, loaded when it is first wanted.
/// <reference lib="dom" />
import { javascript } from "@codemirror/lang-javascript";
import { syntaxHighlighting } from "@codemirror/language";
import { setDiagnostics } from "@codemirror/lint";
import { EditorView } from "@codemirror/view";
import { classHighlighter } from "@lezer/highlight";
import { basicSetup } from "codemirror";
import type { Problem } from "./problem.ts";

/** An editor in the page. */
export interface Editor {
  readonly text: string;
  /** Puts another text in its place. */
  fill(text: string): void;
  /** Marks the line that a problem is about, or none. */
  mark(problem: Problem | null): void;
}

/** An editor. @param changed Called with every change of its text. */
export function createEditor(parent: HTMLElement, text: string, changed: () => void): Editor {
  const view = new EditorView({
    parent,
    doc: text,
    extensions: [
      basicSetup,
      javascript({ typescript: true }),
      syntaxHighlighting(classHighlighter),
      EditorView.contentAttributes.of({ "aria-label": "Program of the router" }),
      EditorView.updateListener.of(({ docChanged }) => docChanged && changed()),
    ],
  });
  view.scrollDOM.tabIndex = 0;
  return {
    get text() {
      return view.state.doc.toString();
    },
    fill(next) {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    mark(problem) {
      const { doc } = view.state;
      const line = problem?.line != null && problem.line <= doc.lines ? doc.line(problem.line) : null;
      const diagnostics = problem && line
        ? [{ from: line.from, to: line.to, severity: "error" as const, message: problem.message }]
        : [];
      view.dispatch(setDiagnostics(view.state, diagnostics));
      if (line) view.dispatch({ effects: EditorView.scrollIntoView(line.from, { y: "center" }) });
    },
  };
}
