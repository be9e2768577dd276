// A command as it is to be typed again, and as it is typed to go on.

/** What to type: words that a shell would cut or read otherwise are quoted. */
export function taskCommand(words: readonly string[]): string {
  const quoted = words.map((word) =>
    /^[\w.,:/=@%+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
  );
  return ["deno task experiments", ...quoted].join(" ");
}

/** Words that go on with what a command left in its folder. */
export function continueWords(words: readonly string[], folder: string): string[] {
  const kept = words.filter((word, at) =>
    word !== "--resume" && !/^--out(=|$)/.test(word) && words[at - 1] !== "--out"
  );
  return [...kept, "--out", folder, "--resume"];
}
