// HTML by tagged template. Whatever is filled in gets escaped unless it is markup already: names come from users'
// plugins, so nothing is trusted by default.

/** A piece of finished HTML. */
export interface Markup {
  readonly html: string;
}

/** What a template takes. */
export type Content = string | number | Markup | null | readonly Content[];

/** Text with HTML's special characters replaced, safe in elements and quoted attributes. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

/** Vouches for text that is HTML already. */
export function trusted(html: string): Markup {
  return { html };
}

function filled(content: Content): string {
  if (content === null) return "";
  if (typeof content === "string") return escape(content);
  if (typeof content === "number") return String(content);
  if ("html" in content) return content.html;
  return content.map(filled).join("");
}

/** Template tag: literal parts stay, filled-in parts are escaped. */
export function markup(parts: TemplateStringsArray, ...contents: readonly Content[]): Markup {
  return trusted(String.raw({ raw: parts }, ...contents.map(filled)));
}

/** A path from the page as a link writes it. */
export function href(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

/** A table that scrolls sideways where it does not fit; the first cell of a row is its header. */
export function table(
  caption: string,
  columns: readonly Content[],
  rows: readonly (readonly Content[])[],
  kind: "numbers" | "text" = "numbers",
): Markup {
  return markup`<div class="scroll" role="group" tabindex="0" aria-label="${caption}"><table class="${kind}">
<caption>${caption}</caption>
<thead><tr>${columns.map((column) => markup`<th scope="col">${column}</th>`)}</tr></thead>
<tbody>${
    rows.map(([first, ...rest]) =>
      markup`<tr><th scope="row">${first}</th>${rest.map((cell) => markup`<td>${cell}</td>`)}</tr>\n`
    )
  }</tbody></table></div>`;
}
