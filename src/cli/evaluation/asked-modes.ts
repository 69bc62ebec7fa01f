/**
 * Asks each question under each attention mode, and keeps every answer in a file, so that an interrupted evaluation goes
 * on where it stopped. Modes that use blocks are asked with the documents' blocks cached: a request for one token
 * comes before and computes them. Knows a server's API and the order of asking.
 */
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { BlockstitchError, type ErrorCode } from '../../errors.js';
import { documentHits } from '../answer-report.js';
import { askServer, type ChatQuestion, type ChatResult, flushCache } from '../api-client.js';
import { type PatienceOptions, patiently } from '../patience.js';
import { inOrder, type QuestionFile, type QuestionRow } from './question-rows.js';

export const MODES = ['full', 'block', 'repair'] as const;
export type Mode = (typeof MODES)[number];

export interface AskedAnswer {
  data: string;
  row: string;
  mode: Mode;
  /** Number of the order of its documents (`inOrder`); absent for the row's own. */
  order?: number;
  text: string;
  /** Measured at the client: from sending the request to the first text. */
  ttftMs: number;
  promptTokens: number;
  /** Prompt tokens that were prefilled for this answer; repaired ones are among them. */
  computedTokens: number;
  /** The same two while the documents' blocks were not cached yet. Absent if they were. */
  cold?: { ttftMs: number; computedTokens: number };
  /** Why the row has no answer, e.g. that it does not fit the context. */
  skipped?: string;
}

export interface AskOptions {
  url: string;
  apiKey?: string | undefined;
  modes: readonly Mode[];
  /** Share of the cached tokens that mode `repair` computes again. */
  repairShare: number;
  newTokens: number;
  /** Orders of its documents in which each row is asked, at least 1: its own. */
  orders: number;
  system?: string;
  /** Keeps the answers here, a JSON line each, and takes those that are there. */
  answersFile?: string;
  /** What the answers depend on beside the options above: the model. A file with other answers is refused. */
  model: string;
  /** Empties the cache now and then: for a server of our own, whose store would grow without end. */
  flush: boolean;
  onProgress?: (done: number, total: number) => void;
  onLimit?: PatienceOptions['onLimit'];
}

/** What a server says of one row and its documents, and of no other. */
const OF_THE_ROW: readonly ErrorCode[] = [
  'context_length_exceeded',
  'payload_too_large',
  'pool_too_small',
  'text_not_encodable',
];
/** Rows between two flushes. */
const FLUSH_ROWS = 20;

/** @returns the answers in the order of files, rows, orders and modes */
export async function askModes(files: readonly QuestionFile[], options: AskOptions): Promise<AskedAnswer[]> {
  const kept = await openAnswers(options);
  const { modes, orders, onProgress } = options;
  const total = files.reduce((sum, { rows }) => sum + rows.length, 0) * modes.length * orders;
  const answers: AskedAnswer[] = [];
  let sinceFlush = 0;
  for (const { name, rows } of files) {
    for (const row of rows) {
      let asked = false;
      for (let order = 0; order < orders; order++) {
        const missing = modes.filter((mode) => !kept.has(keyOf(name, row.id, mode, order)));
        for (const answer of await askRow(name, inOrder(row, order), missing, options)) {
          const numbered = order === 0 ? answer : { ...answer, order };
          kept.set(keyOf(name, row.id, answer.mode, order), numbered);
          if (options.answersFile !== undefined) await appendFile(options.answersFile, `${JSON.stringify(numbered)}\n`);
        }
        asked ||= missing.length > 0;
        for (const mode of modes) answers.push(kept.get(keyOf(name, row.id, mode, order)) as AskedAnswer);
        onProgress?.(answers.length, total);
      }
      if (asked) sinceFlush += 1;
      if (asked && options.flush && sinceFlush % FLUSH_ROWS === 0) await flushCache(options.url, options.apiKey);
    }
  }
  return answers;
}

/**
 * One row under the modes that are missing. One that the server cannot take is skipped in all of them.
 *
 * @throws BlockstitchError any other, naming the row
 */
async function askRow(
  data: string,
  row: QuestionRow,
  modes: readonly Mode[],
  options: AskOptions,
): Promise<AskedAnswer[]> {
  const answers: AskedAnswer[] = [];
  let cold: AskedAnswer['cold'];
  let warm = false;
  try {
    for (const mode of MODES) {
      if (!modes.includes(mode)) continue;
      if (mode !== 'full' && !warm) {
        const first = await ask(row, 'block', { ...options, newTokens: 1 });
        const { hits, blocks } = documentHits(first);
        if (hits < blocks) cold = { ttftMs: first.ttftMs, computedTokens: computedOf(first) };
        warm = true;
      }
      const result = await ask(row, mode, options);
      answers.push({
        data,
        row: row.id,
        mode,
        text: result.text,
        ttftMs: result.ttftMs,
        promptTokens: result.usage.prompt_tokens,
        computedTokens: computedOf(result),
        ...(mode === 'full' || cold === undefined ? {} : { cold }),
      });
    }
    return answers;
  } catch (error) {
    if (!(error instanceof BlockstitchError)) throw error;
    if (!OF_THE_ROW.includes(error.code)) {
      error.message = `${data}, row ${row.id}: ${error.message}`;
      throw error;
    }
    const none = { data, row: row.id, text: '', ttftMs: 0, promptTokens: 0, computedTokens: 0 };
    return modes.map((mode) => ({ ...none, mode, skipped: error.message }));
  }
}

function ask(row: QuestionRow, mode: Mode, options: AskOptions): Promise<ChatResult> {
  const { url, apiKey, newTokens, system, repairShare } = options;
  const attention: ChatQuestion['attention'] =
    mode === 'repair' ? { mode: 'block', repair: { share: repairShare } } : mode;
  const asked: ChatQuestion = {
    question: row.question,
    documents: row.documents,
    attention,
    maxTokens: newTokens,
    temperature: 0,
    ...(system === undefined ? {} : { system }),
  };
  return patiently(() => askServer(url, asked, { apiKey }), options);
}

function computedOf({ usage }: ChatResult): number {
  return usage.prompt_tokens - usage.prompt_tokens_details.cached_tokens;
}

function keyOf(data: string, row: string, mode: Mode, order = 0): string {
  return JSON.stringify([data, row, mode, order]);
}

/**
 * The answers of an earlier run with the same settings. A last line that was cut short is dropped.
 *
 * @throws BlockstitchError `config_invalid` for a file that is not such a file, or of another run
 */
async function openAnswers(options: AskOptions): Promise<Map<string, AskedAnswer>> {
  const answers = new Map<string, AskedAnswer>();
  const { answersFile, model, newTokens, repairShare, system = null } = options;
  if (answersFile === undefined) return answers;
  const head = JSON.stringify({ blockstitch: 'eval', model, newTokens, repairShare, system });
  const text = await readFile(answersFile, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw invalid(answersFile, `it cannot be read (${error.message})`);
  });
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  const [first, ...lines] = whole.split('\n').slice(0, -1);
  if (first === undefined) {
    await writeFile(answersFile, `${head}\n`).catch((error: Error) => {
      throw invalid(answersFile, `it cannot be written (${error.message})`);
    });
    return answers;
  }
  if (first !== head) throw invalid(answersFile, `it holds the answers of another run (${first.slice(0, 200)})`);
  for (const [index, line] of lines.entries()) {
    let answer: AskedAnswer;
    try {
      answer = JSON.parse(line) as AskedAnswer;
    } catch {
      throw invalid(answersFile, `line ${index + 2} is not JSON`);
    }
    answers.set(keyOf(answer.data, answer.row, answer.mode, answer.order), answer);
  }
  if (whole !== text) await writeFile(answersFile, whole);
  return answers;
}

function invalid(file: string, reason: string): BlockstitchError {
  return new BlockstitchError('config_invalid', { setting: '--answers', reason: `${file}: ${reason}` });
}
