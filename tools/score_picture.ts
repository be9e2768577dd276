// `deno task picture`: the first picture of a report as one SVG file, for README: the panels of its chart of routing scores
// side by side, with the report's own colours.
import { parseHTML } from "linkedom";
import { type CommandLine, runTask, type Words } from "../cli/options.ts";
import { elsewhere, operandsFromWhereTheUserStands } from "../cli/paths.ts";
import { reasonOf } from "../formats/files.ts";

const COLUMNS = 3;
const [WIDTH, GAP, TITLE] = [380, 16, 24];

interface Found {
  readonly textContent: string;
  readonly outerHTML: string;
  getAttribute(name: string): string | null;
  querySelector(selectors: string): Found | null;
  querySelectorAll(selectors: string): Iterable<Found>;
}

/** Panels of the chart in a report's page, with their heights. */
function panelsOf(page: string): { readonly title: string; readonly svg: string; readonly height: number }[] {
  const { document } = parseHTML(page) as unknown as { document: Found };
  return [...document.querySelectorAll("figure.multiples .panel")].flatMap((panel) => {
    const drawing = panel.querySelector("svg");
    const height = Number(drawing?.getAttribute("viewBox")?.split(" ")[3]);
    if (!drawing || !(height > 0)) return [];
    return [{ title: panel.querySelector(".name")?.textContent ?? "", svg: drawing.outerHTML, height }];
  });
}

/** Custom properties of the report's style, light and dark. */
function colours(page: string): string {
  const style = page.match(/<style>([\s\S]*?)<\/style>/)?.[1] ?? "";
  const rules = style.match(/:root\s*\{[^}]*\}/g) ?? [];
  const [light, dark] = rules;
  return `${light}${
    dark ? ` @media (prefers-color-scheme: dark) { ${dark} }` : ""
  } text { fill: var(--ink); } ` +
    "svg { color: var(--ink); }";
}

/** The picture. @throws {RangeError} when the report has no such chart. */
export function scorePicture(page: string): string {
  const panels = panelsOf(page);
  if (panels.length === 0) {
    throw new RangeError("Cannot draw routing scores: the report has no chart of them");
  }
  const rows = Array.from(
    { length: Math.ceil(panels.length / COLUMNS) },
    (_, row) => panels.slice(row * COLUMNS, (row + 1) * COLUMNS),
  );
  let top = 0;
  const placed = rows.flatMap((row) => {
    const y = top;
    top += TITLE + Math.max(...row.map(({ height }) => height)) + GAP;
    return row.map(({ title, svg, height }, column) => {
      const x = column * (WIDTH + GAP);
      const name = title.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      const inner = svg.replace(
        /^<svg[^>]*>/,
        (tag) =>
          tag.replace(/ (width|class|role|aria-label)="[^"]*"/g, "")
            .replace("<svg", `<svg x="${x}" y="${y + TITLE}" width="${WIDTH}" height="${height}"`),
      );
      return `<text x="${x + 9}" y="${y + 16}" font-size="13" font-weight="bold">${name}</text>${inner}`;
    });
  });
  const width = Math.min(COLUMNS, panels.length) * (WIDTH + GAP) - GAP;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${top}" font-family="system-ui, sans-serif">` +
    `<style>${colours(page)}</style>${placed.join("")}</svg>\n`;
}

/** Its command line. */
export const line: CommandLine = {
  task: "picture",
  about: "Takes the chart of routing scores out of a report, as a picture for the README.",
  operands: "[FOLDER [FILE]]",
  options: {},
  notes: [
    "FOLDER holds the report (default results/compare); FILE is written (default docs/pictures/routing_score.svg).",
  ],
};

async function main(given: Words): Promise<void> {
  const stands = elsewhere(Deno.env.get("INIT_CWD"), Deno.cwd());
  const { names } = operandsFromWhereTheUserStands(given, line, stands);
  const [folder = "results/compare", to = "docs/pictures/routing_score.svg", ...more] = names;
  if (more.length > 0) throw new RangeError(`Cannot use "${more[0]}": give a folder and a file, or neither`);
  const path = `${folder}/report.html`;
  const report = await Deno.readTextFile(path).catch((cause) => {
    throw new RangeError(`Cannot read ${path}: ${reasonOf(cause)}`, { cause });
  });
  await Deno.mkdir(to.slice(0, to.lastIndexOf("/")), { recursive: true });
  await Deno.writeTextFile(to, scorePicture(report));
  console.log(`wrote ${to}`);
}

if (import.meta.main) await runTask(line, main);
