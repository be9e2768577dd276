// The page around the sections: one file, nothing fetched, and no script but one that tells values to pointers. Colours
// switch by the reader's preference, and print always takes the light ones.
import { type Content, type Markup, markup, trusted } from "./markup.ts";
import { pointerScript } from "./pointer.ts";
import { colorVariables, seriesBorders } from "./palette.ts";

export interface Section {
  readonly id: string;
  readonly title: string;
  readonly content: Content;
  /** What several sections are about together; goes before their titles. */
  readonly part?: string | undefined;
}

const light = `${
  colorVariables("light")
} --ink: #1b1e21; --muted: #5a6168; --line: #d5d8da; --grid: #e4e6e6; --card: #ffffff; --stage-0: #123f6b; --stage-1: #4a8ac0; --stage-2: #7fb0d9; --stage-3: #b9d8ee; --rest: #d3d6d9; --good: #14622f; --bad: #9c1c1c;`;
const dark = `${
  colorVariables("dark")
} --ink: #e7e9eb; --muted: #a4abb2; --line: #383d42; --grid: #2b3034; --card: #1d2125; --stage-0: #c4e0f7; --stage-1: #6aa9dc; --stage-2: #3f78a8; --stage-3: #27506f; --rest: #454b51; --good: #7fd69a; --bad: #ff9d96;`;

const style = `
:root { color-scheme: light dark; ${light} }
@media (prefers-color-scheme: dark) { :root { ${dark} } }
@media print { :root { color-scheme: light; ${light} --surface: #ffffff; } }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: var(--surface); color: var(--ink); font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Liberation Sans", sans-serif; }
header, main, footer { max-width: 74rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.5rem; }
h1 { font-size: 2rem; line-height: 1.15; margin: 0 0 .4rem; letter-spacing: -.015em; text-wrap: balance; overflow-wrap: anywhere; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 3.25rem 0 1rem; padding-top: .8rem; border-top: 1px solid var(--line); letter-spacing: -.01em; }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; }
.name { font-size: .9rem; font-weight: 600; margin: 0 0 .25rem; overflow-wrap: anywhere; max-width: none; }
p, .checks { max-width: 70ch; }
.claims { max-width: 92ch; }
a { color: inherit; text-underline-offset: .2em; text-decoration-color: var(--muted); }
:focus-visible { outline: 2px solid var(--series-6); outline-offset: 2px; }
.lead { font-size: 1.1rem; color: var(--muted); margin: 0 0 .6rem; max-width: 65ch; }
.meta { color: var(--muted); font-size: .9rem; margin: 0; }
nav { margin: 1.2rem 0 0; padding: .7rem 0 0; border-top: 1px solid var(--line); font-size: .9rem; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem 1.1rem; margin: 0 0 .35rem; padding: 0; }
.summary { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: 1.1rem 1.4rem; margin-top: 1.6rem; }
.summary h2 { border: 0; margin: 0 0 .5rem; padding: 0; }
.claims { margin: 0; padding-left: 1.1rem; }
.claims li { margin: .35rem 0; }
.claims.warnings { font-weight: 600; margin-bottom: .6rem; }
nav .part { font-weight: 600; min-width: 5rem; }
figure, .grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(max(min(100%, 21rem), calc(50% - 1.25rem)), 1fr)); gap: 1.4rem 2.5rem; align-items: start; margin: 0 0 2.4rem; }
.multiples { grid-template-columns: repeat(auto-fit, minmax(min(100%, 19rem), 1fr)); gap: 1rem 1.6rem; margin: 1.2rem 0; }
.maps { grid-template-columns: repeat(auto-fill, minmax(min(100%, 16.5rem), 1fr)); gap: 1.2rem 1.6rem; }
.small-multiples { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 12rem), 1fr)); gap: .8rem 1.2rem; margin-top: .6rem; align-items: end; }
.small-multiples .name { font-size: .8rem; font-weight: 400; line-height: 1.3; }
.panel.wide { grid-column: 1 / -1; }
.listed { border-top: 1px solid var(--line); margin-top: 1.6rem; padding-top: 1rem; } .listed h2 { border: 0; margin: 0 0 .2rem; padding: 0; overflow-wrap: anywhere; } .listed p { margin: .3rem 0; overflow-wrap: anywhere; }
.tokens { max-width: none; line-height: 2.1; } .token { display: inline-block; border-bottom: .22rem solid transparent; margin-right: .12rem; white-space: pre-wrap; } .token sub { font-size: .68rem; color: var(--muted); vertical-align: -.35em; margin-left: .1rem; }
${
  seriesBorders(".token")
} .token.s1 { border-bottom-style: dotted; } .token.s2 { border-bottom-style: double; } .token.none { text-decoration: line-through; }
.told { position: absolute; z-index: 1; pointer-events: none; white-space: pre; font-size: .8rem; line-height: 1.35; padding: .35rem .55rem; background: var(--card); color: var(--ink); border: 1px solid var(--muted); border-radius: .3rem; }
details { border-top: 1px solid var(--line); } details[open] { padding-bottom: .6rem; }
summary { cursor: pointer; padding: .45rem 0; font-weight: 600; overflow-wrap: anywhere; }
details .maps, details .grid { margin: .6rem 0 1rem; }
.summary .plot { --surface: var(--card); }
.summary h3 { margin: 1.2rem 0 .4rem; } .summary figure > h3 { margin: 0; }
figure > h3, figure > .legend { grid-column: 1 / -1; margin: 0; }
figure > h3 { margin-top: .6rem; }
figcaption { color: var(--muted); font-size: .9rem; max-width: 84ch; }
figcaption.below { grid-column: 1 / -1; }
figcaption.beside { padding-top: 1.6rem; }
.panel { min-width: 0; break-inside: avoid; }
.plot { display: block; width: 100%; height: auto; font-size: 12px; font-family: inherit; --plot-background: var(--surface); overflow: visible; }
.plot text { white-space: pre; }
.legend { list-style: none; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: 0 0 .4rem; padding: 0; font-size: .9rem; }
.legend li { display: flex; align-items: center; gap: .45rem; overflow-wrap: anywhere; }
.legend.heat { gap: .25rem .7rem; font-size: .82rem; }
.sample { flex: none; vertical-align: middle; margin-right: .35rem; }
.legend .sample { margin: 0; }
.cell { width: 1.3rem; height: .8rem; display: inline-block; border: 1px solid var(--line); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
${Array.from({ length: 9 }, (_, at) => `.heat-${at} { background: var(--heat-${at}); }`).join(" ")}
.scroll { overflow-x: auto; max-width: 100%; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; margin: 0 0 1.4rem; min-width: 50%; }
caption { text-align: left; font-weight: 600; padding: 0 0 .3rem; font-size: .9rem; line-height: 1.55; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { font-weight: 600; color: var(--muted); vertical-align: bottom; line-height: 1.3; border-bottom-color: var(--muted); }
tbody th { font-weight: 600; min-width: 9rem; max-width: 15rem; overflow-wrap: break-word; position: sticky; left: 0; background: var(--surface); }
.numbers td, .numbers thead th:not(:first-child) { text-align: right; }
.numbers td { white-space: nowrap; }
.numbers th, .numbers td { padding-inline: .42rem; }
.numbers tr > :first-child, .text tr > :first-child { padding-left: 0; }
.text td { overflow-wrap: break-word; }
.text tbody th { min-width: 3rem; }
.word { white-space: nowrap; }
.notes { color: var(--muted); font-size: .85rem; columns: 22rem 2; column-gap: 2rem; padding: 0; margin: .4rem 0 0; }
.notes + p { margin-top: .8rem; }
.notes div { break-inside: avoid; margin-bottom: .35rem; }
.notes dt { display: inline; font-weight: 600; color: var(--ink); }
.notes dd { display: inline; margin: 0; }
.checks { list-style: none; padding: 0; margin: 0; }
.checks li { margin: .2rem 0; overflow-wrap: anywhere; }
.holds b { color: var(--good); } .fails b { color: var(--bad); }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .4rem; padding: .7rem .9rem; font-size: .875rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; }
code { font-size: .9em; }
footer { color: var(--muted); font-size: .85rem; padding-top: 2rem; padding-bottom: 3rem; }
@media (max-width: 64rem) { .plot { font-size: 14px; } .maps .plot, .small-multiples .plot { font-size: 12px; } }
@media (max-width: 40rem) { h1 { font-size: 1.6rem; } header { padding-top: 1.5rem; } .summary { padding: .9rem 1rem; } tbody th { min-width: 6rem; max-width: 8rem; } .small-multiples .plot { font-size: 13px; } .maps .plot { font-size: 10px; } .small-multiples { grid-template-columns: repeat(auto-fill, minmax(9.4rem, 1fr)); gap: .8rem .7rem; } }
@media print {
  body { font-size: 10pt; } .maps { grid-template-columns: repeat(3, 1fr); } .small-multiples { grid-template-columns: repeat(4, 1fr); } header, main, footer { max-width: none; padding: 0; } nav { display: none; }
  h2, h3, .name, caption, .legend { break-after: avoid; } details::details-content { content-visibility: visible; block-size: auto; } .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .2rem .35rem; }
  tr { break-inside: avoid; } tbody th { position: static; min-width: 4rem; max-width: 8rem; overflow-wrap: anywhere; } .text td { overflow-wrap: anywhere; } pre { white-space: pre-wrap; }
}
`;

function contents(sections: readonly Section[]): Markup | null {
  if (sections.length === 0) return null;
  return markup`<nav aria-label="Sections">${
    [...Map.groupBy(sections, ({ part }) => part)].map(([part, of]) =>
      markup`<ul>${part === undefined ? null : markup`<li class="part">${part}</li>`}${
        of.map(({ id, title }) => markup`<li><a href="#${id}">${title}</a></li>`)
      }</ul>`
    )
  }</nav>
`;
}

/** A whole HTML document; `rest` follows its sections and is in no list of contents. */
export function page(
  about: { readonly title: string; readonly lead: string; readonly meta: string },
  summary: Content,
  sections: readonly Section[],
  rest: Content = null,
): string {
  const { html }: Markup = markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${about.title}</title>
<style>${trusted(style)}</style>
</head>
<body>
<header>
<h1>${about.title}</h1>
<p class="lead">${about.lead}</p>
<p class="meta">${about.meta}</p>
${contents(sections)}</header>
<main>
${
    summary === null
      ? null
      : markup`<section class="summary" aria-labelledby="summary"><h2 id="summary">In short</h2>${summary}</section>`
  }
${
    sections.map(({ id, title, content, part }) =>
      markup`<section aria-labelledby="${id}"><h2 id="${id}">${
        part === undefined ? title : `${part}: ${title.charAt(0).toLowerCase()}${title.slice(1)}`
      }</h2>${content}</section>\n`
    )
  }${rest}
</main>
<footer>Written by Switchyard from recorded runs.</footer>
<script>${trusted(pointerScript)}</script>
</body>
</html>
`;
  return html;
}
