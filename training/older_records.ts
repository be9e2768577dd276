// Older records brought to today's shape so that they still make a report. Of those from before runs were configs (schema
// 1), parts of speech and genres become labels, and what a corpus is becomes facts and references. Schema 2 lacks how
// decidedly mixtures chose, which may be absent in schema 3 too.
import type { EndRow, RecordRow, RunHeader, Specialisation } from "./record.ts";

interface OlderData {
  readonly corpus: string;
  readonly vocabulary: number;
  readonly trainTokens: number;
  readonly validationTokens: number;
  readonly unigramPerplexity: number;
}

interface OlderSpecialisation {
  readonly layer: number;
  readonly partsOfSpeech: readonly string[];
  readonly genres: readonly string[];
  readonly byPartOfSpeech: readonly (readonly number[])[];
  readonly byGenre: readonly (readonly number[])[];
  readonly partOfSpeechInformation: number;
  readonly genreInformation: number;
  readonly words: readonly (readonly string[])[];
}

/** A row in today's shape; rows of today's schema pass as they are. */
export function fromOlder(row: RecordRow): RecordRow {
  if (row.kind === "run" && row.schema === undefined) return { ...row, data: dataOf(row) };
  if (row.kind === "run" && (row.schema as number) === 2) return { ...row, schema: 3 };
  if (row.kind === "end") {
    return { ...row, specialisation: row.specialisation.map(labelled) } satisfies EndRow;
  }
  return row;
}

function dataOf({ data }: RunHeader): RunHeader["data"] {
  if ("references" in data) return data;
  const older = data as OlderData;
  return {
    corpus: older.corpus,
    vocabulary: older.vocabulary,
    facts: { "training tokens": older.trainTokens, "validation tokens": older.validationTokens },
    references: [{ name: "unigram", loss: Math.log(older.unigramPerplexity) }],
  };
}

function labelled(found: Specialisation | OlderSpecialisation): Specialisation {
  if ("labels" in found) return found;
  const { layer, words, partsOfSpeech, genres } = found;
  const labels = [
    {
      name: "part of speech",
      names: partsOfSpeech,
      counts: found.byPartOfSpeech,
      information: found.partOfSpeechInformation,
    },
    { name: "genre", names: genres, counts: found.byGenre, information: found.genreInformation },
  ];
  return { layer, labels: labels.filter(({ names }) => names.length > 0), words };
}
