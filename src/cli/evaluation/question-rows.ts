/**
 * Reads questions with documents and accepted answers from JSONL files, one row a line:
 * `{id?, question, answers: [text], documents: [text or {title?, text}], gold?: [index]}`. Other fields are ignored.
 * A wrong row is named by file, line and field.
 */
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { BlockstitchError } from '../../errors.js';
import { formatBytes } from '../../units.js';
import { seededRandom } from './answer-scores.js';

export interface QuestionRow {
  /** The row's own id, else its line number. Unique in a file. */
  id: string;
  question: string;
  /** At least one. */
  answers: string[];
  documents: { title?: string; text: string }[];
  /** Places of the documents that answer, if the row names them. */
  gold?: number[];
}

export interface QuestionFile {
  /** The file's base name without `.jsonl`. */
  name: string;
  rows: QuestionRow[];
}

const MAX_FILE_BYTES = 1024 ** 3;

/**
 * @param limit rows to take, from the top
 * @throws BlockstitchError `config_invalid` naming file, line and field
 */
export async function readQuestions(file: string, limit = Number.POSITIVE_INFINITY): Promise<QuestionFile> {
  const lines = (await readText(file)).split('\n');
  const rows: QuestionRow[] = [];
  const ids = new Set<string>();
  for (const [index, line] of lines.entries()) {
    if (rows.length >= limit) break;
    if (line.trim() === '') continue;
    const row = readRow(line, `${file} line ${index + 1}`, String(index + 1));
    if (ids.has(row.id)) throw invalid(`${file} line ${index + 1}: the id ${shown(row.id)} is there twice`);
    ids.add(row.id);
    rows.push(row);
  }
  if (rows.length === 0) throw invalid(`${file} holds no row`);
  return { name: basename(file).replace(/\.jsonl$/, ''), rows };
}

async function readText(file: string): Promise<string> {
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES)
      throw invalid(`${file} has ${formatBytes(size)}, more than ${formatBytes(MAX_FILE_BYTES)}`);
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(file));
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    const reason = cause instanceof TypeError ? 'is not UTF-8' : `cannot be read (${(cause as Error).message})`;
    throw invalid(`${file} ${reason}`, cause);
  }
}

function readRow(line: string, place: string, lineNumber: string): QuestionRow {
  let json: unknown;
  try {
    json = JSON.parse(line);
  } catch (cause) {
    throw invalid(`${place} is not JSON (${(cause as Error).message})`, cause);
  }
  if (!isRecord(json)) throw invalid(`${place} is not a JSON object`);
  const { id, question, answers, documents, gold } = json;
  if (id !== undefined && id !== null && typeof id !== 'string' && typeof id !== 'number') {
    throw invalid(`${place}: id is ${shown(id)}, not a text or a number`);
  }
  if (typeof question !== 'string' || question.trim() === '') {
    throw invalid(`${place}: question is ${shown(question)}, not a text`);
  }
  if (!Array.isArray(answers) || answers.length === 0 || answers.some((each) => typeof each !== 'string')) {
    throw invalid(`${place}: answers is ${shown(answers)}, not a list of at least one text`);
  }
  if (!Array.isArray(documents)) throw invalid(`${place}: documents is ${shown(documents)}, not a list`);
  const isPlace = (at: unknown) => Number.isInteger(at) && (at as number) >= 0 && (at as number) < documents.length;
  if (gold !== undefined && gold !== null && !(Array.isArray(gold) && gold.every(isPlace))) {
    throw invalid(`${place}: gold is ${shown(gold)}, not a list of places in documents`);
  }
  return {
    id: id === undefined || id === null ? lineNumber : String(id),
    question,
    answers: answers as string[],
    documents: documents.map((document: unknown, at) => readDocument(document, `${place}: documents[${at}]`)),
    ...(Array.isArray(gold) && gold.length > 0 ? { gold: gold as number[] } : {}),
  };
}

function readDocument(document: unknown, place: string): { title?: string; text: string } {
  if (typeof document === 'string') return { text: textOf(document, place) };
  if (!isRecord(document)) throw invalid(`${place} is ${shown(document)}, not a text or an object`);
  const { title } = document;
  const text = textOf(document.text, `${place}.text`);
  if (title === undefined || title === null || title === '') return { text };
  if (typeof title !== 'string') throw invalid(`${place}.title is ${shown(title)}, not a text`);
  return { title, text };
}

function textOf(value: unknown, place: string): string {
  if (typeof value !== 'string' || value.trim() === '') throw invalid(`${place} is ${shown(value)}, not a text`);
  return value;
}

/**
 * @param order 0 is the row's own; every other number always draws the same order
 * @returns the row with its documents in that order; `gold` follows them
 */
export function inOrder(row: QuestionRow, order: number): QuestionRow {
  if (order === 0) return row;
  const places = shuffled(row.documents.length, order);
  const documents = places.map((place) => row.documents[place] as QuestionRow['documents'][number]);
  const gold = row.gold?.map((place) => places.indexOf(place));
  return { ...row, documents, ...(gold === undefined ? {} : { gold }) };
}

/** Fisher and Yates. */
function shuffled(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  const places = Array.from({ length: count }, (_, place) => place);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [places[last], places[other]] = [places[other] as number, places[last] as number];
  }
  return places;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(reason: string, cause?: unknown): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: '--data', reason }, { cause });
}
