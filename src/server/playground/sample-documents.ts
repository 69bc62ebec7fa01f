/**
 * The documents and questions of `blockstitch demo` and of the playground: a directory with questions.json and the files
 * that it names. The demo asks three questions: over cold blocks, over cached ones, and over cached ones in another order.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../../config.js';
import { BlockstitchError } from '../../errors.js';

/** An entry of questions.json. */
interface SampleQuestion {
  question: string;
  /** What the documents say. */
  answer: string;
  /** Names of files in the directory. */
  documents: string[];
}

export interface SampleDocument {
  /** Of its file. */
  name: string;
  text: string;
}

export interface Samples {
  /** In the order of the first question. */
  documents: SampleDocument[];
  questions: [SampleQuestion, SampleQuestion, SampleQuestion];
}

const FILE = 'questions.json';
const ENGLISH_SAMPLES = join(PACKAGE_DIR, 'models', 'smollm2', 'samples');

/** The directory of samples for a model: those in the checkpoint's directory, else English ones. */
export function samplesOf(model: string): string {
  const own = join(model, 'samples');
  return existsSync(own) ? own : ENGLISH_SAMPLES;
}

/** @throws BlockstitchError `config_invalid` if the directory does not hold three questions over the same documents */
export async function readSamples(directory: string, setting: string): Promise<Samples> {
  const invalid = (reason: string, cause?: unknown) =>
    new BlockstitchError('config_invalid', { setting, reason: `${join(directory, FILE)}: ${reason}` }, { cause });
  let rows: unknown;
  try {
    rows = JSON.parse(await readFile(join(directory, FILE), 'utf8'));
  } catch (cause) {
    throw invalid((cause as Error).message, cause);
  }
  if (!Array.isArray(rows) || rows.length < 3 || !rows.every(isQuestion)) {
    throw invalid('it must be a list of three objects or more with question, answer and documents');
  }
  const questions = rows.slice(0, 3) as Samples['questions'];
  const names = questions[0].documents;
  const sameNames = ({ documents }: SampleQuestion) => [...documents].sort().join() === [...names].sort().join();
  if (!questions.every(sameNames)) throw invalid('the first three questions must be over the same documents');
  const documents = names.map(async (name) => {
    try {
      return { name, text: await readFile(join(directory, name), 'utf8') };
    } catch (cause) {
      throw invalid(`the document ${name} cannot be read: ${(cause as Error).message}`, cause);
    }
  });
  return { documents: await Promise.all(documents), questions };
}

function isQuestion(row: unknown): row is SampleQuestion {
  const { question, answer, documents } = (row ?? {}) as Partial<Record<keyof SampleQuestion, unknown>>;
  const hasNames =
    Array.isArray(documents) && documents.length > 0 && documents.every((name) => typeof name === 'string');
  return typeof question === 'string' && typeof answer === 'string' && hasNames;
}
