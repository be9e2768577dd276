// Chat templates: Jinja sources that lay messages out as the text a published model was trained on. The package that renders
// them is loaded with the first template.
import { isMissing, readText } from "../formats/files.ts";
import { readJson } from "../formats/json_file.ts";
import { loadPackage } from "../formats/packages.ts";

/** One turn of a conversation; templates may read further fields. */
export interface ChatMessage {
  /** "system", "user", "assistant", or what else the template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
  /** What else a template reads: tools, a name. */
  readonly [field: string]: unknown;
}

/** How a conversation is laid out. */
export interface ChatOptions {
  /** Ends with the head of the assistant's next turn; false when left out. */
  readonly addGenerationPrompt?: boolean;
  /** Further variables that the template reads: `tools`, `documents`, `enable_thinking`, ... */
  readonly variables?: Readonly<Record<string, unknown>>;
}

/** Lays conversations out as text. */
export interface ChatTemplate {
  /** @throws {RangeError} when the template refuses the messages, with its reason. */
  /** The text of a conversation, as the template lays it out. */
  render(messages: readonly ChatMessage[], options?: ChatOptions): string;
}

/** What is used of the package; its own types would have to be fetched by whoever checks a program's. */
export interface TemplatePackage {
  readonly Template: new (source: string) => { render(variables: Record<string, unknown>): string };
}

/**
 * A chat template from a tokenizer's config. It needs the npm package @huggingface/jinja, which is fetched then.
 * @param config Content of a tokenizer_config.json: the template, and the special tokens that it may name.
 * @param source The template where it has a file of its own.
 * @throws {RangeError} when there is no template, or it is not of the Jinja that the package knows.
 * @example
 * ```ts
 * import { createChatTemplate } from "@switchyard/moe/training";
 * import { assertEquals } from "@std/assert";
 * const chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endfor %}";
 * const template = await createChatTemplate({ chat_template, eos_token: "</s>" });
 * assertEquals(template.render([{ role: "user", content: "Hello" }]), "user: Hello</s>");
 * ```
 */
export async function createChatTemplate(
  config: Readonly<Record<string, unknown>>,
  source: string | null = null,
): Promise<ChatTemplate> {
  const { Template } = await loadPackage<TemplatePackage>("@huggingface/jinja");
  const text = source ?? sourceOf(config);
  const special = specialTokens(config);
  const template = attempt("read", () => new Template(text));
  return {
    render: (messages, { addGenerationPrompt = false, variables = {} } = {}) =>
      attempt(
        "render",
        () =>
          template.render({ ...special, ...variables, messages, add_generation_prompt: addGenerationPrompt }),
      ),
  };
}

/**
 * The chat template of a folder with a tokenizer_config.json, and with a chat_template.jinja where it is a file of its own.
 * @throws {RangeError} when there is no template; {Error} when a file cannot be read.
 * @example
 * ```ts
 * import { openChatTemplate } from "@switchyard/moe/training";
 * import { assertRejects } from "@std/assert";
 * await assertRejects(() => openChatTemplate("none"), Error, "Cannot read none/tokenizer_config.json");
 * ```
 */
export async function openChatTemplate(folder: string): Promise<ChatTemplate> {
  const config = await readJson(`${folder}/tokenizer_config.json`);
  const path = `${folder}/chat_template.jinja`;
  const source = await isMissing(path) ? null : await readText(path);
  return await createChatTemplate(config as Readonly<Record<string, unknown>>, source);
}

function attempt<Result>(what: "read" | "render", body: () => Result): Result {
  try {
    return body();
  } catch (cause) {
    throw new RangeError(`Cannot ${what} a chat template: ${(cause as Error).message}`, { cause });
  }
}

/** A config holds one template, or several with names. */
function sourceOf({ chat_template }: Readonly<Record<string, unknown>>): string {
  if (typeof chat_template === "string") return chat_template;
  const named = Array.isArray(chat_template) ? chat_template as { name: string; template: string }[] : [];
  const usual = named.find(({ name }) => name === "default");
  if (usual) return usual.template;
  const names = named.map(({ name }) => `"${name}"`).join(", ") || "none";
  throw new RangeError(`Cannot read a chat template: the config needs chat_template, and has ${names}`);
}

/** Special tokens of a config by name: texts, or objects with their content. */
function specialTokens(config: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const found = Object.entries(config).filter(([name, value]) => name.endsWith("_token") && value !== null);
  return Object.fromEntries(found.map(([name, value]) => [
    name,
    typeof value === "object" ? (value as { readonly content?: unknown }).content : value,
  ]));
}
