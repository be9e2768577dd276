// Marks in loops, so that one that never ends can be named: each turn calls $loop with its line. Lines stay where they are.
import { parser } from "@lezer/javascript";
import type { SyntaxNode } from "@lezer/common";

const typescript = parser.configure({ dialect: "ts" });

/** The same program with a call of `$loop(LINE)` at the start of every loop's body. */
export function withGuards(source: string): string {
  const insertions: [at: number, text: string][] = [];
  typescript.parse(source).iterate({
    enter({ node }) {
      const body = bodyOf(node);
      if (!body) return;
      const line = source.slice(0, node.from).split("\n").length;
      insertions.push([body.from, `{$loop(${line});`], [body.to, "}"]);
    },
  });
  // Of several at one place the outermost opens first and closes last.
  const opening = insertions.filter(([, text]) => text !== "}");
  const closing = insertions.filter(([, text]) => text === "}").reverse();
  const sorted = [...closing, ...opening].sort(([a], [b]) => a - b);
  let made = "";
  let last = 0;
  for (const [at, text] of sorted) {
    made += source.slice(last, at) + text;
    last = at;
  }
  return made + source.slice(last);
}

/** The statement that a loop repeats. */
function bodyOf(node: SyntaxNode): SyntaxNode | null {
  if (node.name === "DoStatement") return node.firstChild?.nextSibling ?? null;
  return node.name === "ForStatement" || node.name === "WhileStatement" ? node.lastChild : null;
}
