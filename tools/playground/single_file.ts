// The page as one HTML file that runs from a disk: scripts, style and corpus are in it, and workers start from its text.
import { CORPUS_FILE } from "../../playground/assets.ts";

/** What the file is made of. */
export interface SingleFileParts {
  /** The page with its skeleton and version. */
  readonly html: string;
  readonly style: string;
  /** One classic script for page and workers. */
  readonly program: string;
  readonly corpus: string;
}

/** The file's text. */
export async function singleFile({ html, style, program, corpus }: SingleFileParts): Promise<string> {
  const script = program.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--");
  const policy = [
    "default-src 'none'",
    "img-src data:",
    "style-src 'unsafe-inline'",
    `script-src '${await digestOf(script)}' 'wasm-unsafe-eval'`,
    "worker-src blob:",
    "connect-src data:",
  ].join("; ");
  const text = corpus.replaceAll("<", "\\u003c");
  const inside = `<script type="application/json" id="${CORPUS_FILE}">${text}</script>` +
    `<script id="program">${script}</script>`;
  return html
    .replace(/(?<=http-equiv="Content-Security-Policy"\s+content=")[^"]*/, () => policy)
    .replace(/<link rel="stylesheet"[^>]*>/, () => `<style>${style}</style>`)
    .replace(/\s*<script type="module"[^>]*><\/script>/, "")
    .replace("</body>", () => `${inside}</body>`);
}

/** As a policy names a script. */
async function digestOf(script: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(script)));
  return `sha256-${digest.toBase64()}`;
}
