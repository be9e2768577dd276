// Pages: all are reached from docs/README.md, links lead somewhere, and lists that repeat the code are whole.
import { assert, assertEquals } from "@std/assert";
import * as exported from "../mod.ts";
import { routers } from "../routers/registry.ts";

const root = new URL("../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));

function markdownIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(folder, root))].map(({ name }) => name).filter((name) =>
    name.endsWith(".md")
  )
    .map((name) => `${folder}${name}`).sort();
}

const docs = markdownIn("docs/");
const pages = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "experiments/LOG.md", "bench/peers/README.md"],
  ...["routers/README.md", "experts/README.md", "tasks/README.md", "examples/README.md"],
  ...docs,
  ...markdownIn("docs/decisions/"),
];

/** Anchors of a page, as GitHub makes them from its headings. */
function anchorsOf(text: string): Set<string> {
  const headings = [...text.replaceAll(/^```[^]*?^```/gm, "").matchAll(/^#+ (.*)$/gm)];
  return new Set(
    headings.map(([, heading]) =>
      heading.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
    ),
  );
}

Deno.test("docs/README.md leads to every page, and README to it", () => {
  const index = read("docs/README.md");
  const missing = docs.filter((page) =>
    page !== "docs/README.md" && !index.includes(`](${page.slice("docs/".length)})`)
  );
  assertEquals(missing, []);
  for (const page of ["docs/README.md", "docs/tutorial.md"]) {
    assert(read("README.md").includes(`](${page})`), page);
  }
});

Deno.test("links between pages lead to files and headings that are there", () => {
  const broken = pages.flatMap((page) => {
    const text = read(page).replaceAll(/^```[^]*?^```/gm, "");
    return [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link]) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [path, anchor] = link.split("#");
      const at = path === "" ? new URL(page, root) : new URL(path, new URL(page, root));
      try {
        const { isFile } = Deno.statSync(at);
        const known = !anchor || !isFile || !at.pathname.endsWith(".md") ||
          anchorsOf(Deno.readTextFileSync(at)).has(anchor);
        return known ? [] : [`${page}: ${link} has no such heading`];
      } catch {
        return [`${page}: ${link} is not there`];
      }
    });
  });
  assertEquals(broken, []);
});

Deno.test("the mathematics of every router has a section, a row and its source", () => {
  const text = read("docs/mathematics.md");
  const sections = [...text.matchAll(/^## (.*)$/gm)].flatMap(([, heading]) => heading.split(" and "));
  for (const { name, paper: { identifier } } of routers()) {
    assert(sections.includes(name), `no section of ${name}`);
    assert(text.includes(`| \`${name}\``), `no row of ${name}`);
    const arxiv = identifier.match(/^arXiv:(.*)$/)?.[1];
    if (arxiv) assert(text.includes(`https://arxiv.org/abs/${arxiv}`), `no source of ${name}`);
  }
});

Deno.test("ops and fillers that the page of routers names are exported", () => {
  const text = read("docs/write_a_router.md");
  const [, table] = text.match(/^## Ops\n([^]*?)\n\*\*An op of your own/m)!;
  const [, fillers] = text.match(/fillers are ([^]*?`constant\(value\)`)/)!;
  const names = [...`${table} ${fillers}`.matchAll(/`(\w+)/g)].map(([, name]) => name)
    .filter((name) => name !== "tensor(x_TD");
  assert(names.length > 50, `${names.length} names`);
  assertEquals(names.filter((name) => !(name in exported)), []);
});
