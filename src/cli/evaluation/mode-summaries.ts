/**
 * Sums up the answers of each mode: how good they are, how like full attention's, what they cost. Every figure has its
 * 95% bootstrap interval over rows. Only rows that every mode answered count. Knows figures, not how they were asked.
 */

import { citationsOf } from '../../server/generation/citations.js';
import { formatMilliseconds } from '../../units.js';
import { table } from '../terminal.js';
import { contains, type Estimate, estimate, mean, median, normalized, wordF1 } from './answer-scores.js';
import type { AskedAnswer, Mode } from './asked-modes.js';
import { type OrderSummary, summarizeOrders } from './order-summaries.js';
import type { QuestionFile, QuestionRow } from './question-rows.js';

export interface ModeSummary {
  mode: Mode;
  /** Share of the answers that contain an accepted one. */
  contains: Estimate;
  /** Mean best word F1 over the accepted answers. */
  f1: Estimate;
  /** Mean word F1 against full attention's answer; absent if full was not asked. */
  agreement?: Estimate;
  /** Share of the answers that are full attention's, but for case and punctuation. */
  same?: Estimate;
  /** `contains` less that of full attention, over the same rows. */
  containsChange?: Estimate;
  /**
   * Share of the right answers whose sentence cites a document that answers before any other (`citations`); absent if no
   * row names one, or no answer is right.
   */
  goldCited?: Estimate;
  /** Median time to the first token, milliseconds. Documents are cached in the modes that use blocks. */
  ttftMs: Estimate;
  /** The same before the documents were cached; absent for `full`, and if they always were. */
  coldTtftMs?: Estimate;
  /** Mean prompt tokens that were prefilled. */
  computedTokens: Estimate;
  /** Mean prompt tokens. */
  promptTokens: number;
}

export interface DataSummary {
  data: string;
  /** Rows that every mode answered. */
  rows: number;
  /** Rows left out, and what was said of the first of them. */
  skipped: number;
  skippedReason?: string;
  modes: ModeSummary[];
  /** Absent if the rows were asked in their own order alone. */
  orders?: OrderSummary[];
}

/**
 * Figures of `modes` are those of the rows' own order.
 *
 * @param answers in any order; every row of the file under every mode, in every order of its documents
 */
export function summarize(file: QuestionFile, answers: readonly AskedAnswer[], modes: readonly Mode[]): DataSummary {
  const byRow = new Map<string, Map<Mode, AskedAnswer>>();
  const inOrders = new Map<string, AskedAnswer[]>();
  for (const answer of answers) {
    if (answer.data !== file.name) continue;
    const key = JSON.stringify([answer.row, answer.mode]);
    inOrders.set(key, [...(inOrders.get(key) ?? []), answer]);
    if (answer.order !== undefined) continue;
    const row = byRow.get(answer.row) ?? new Map<Mode, AskedAnswer>();
    byRow.set(answer.row, row.set(answer.mode, answer));
  }
  const skipped = [...byRow.values()].flatMap((row) => [...row.values()].find((answer) => answer.skipped) ?? []);
  const whole = file.rows.filter(({ id }) => {
    const row = byRow.get(id);
    return row !== undefined && modes.every((mode) => row.has(mode) && row.get(mode)?.skipped === undefined);
  });
  const column = (mode: Mode) => whole.map(({ id }) => byRow.get(id)?.get(mode) as AskedAnswer);
  const full = modes.includes('full') ? column('full') : undefined;
  const reason = skipped[0]?.skipped;
  const orders = (mode: Mode) => whole.map(({ id }) => inOrders.get(JSON.stringify([id, mode])) as AskedAnswer[]);
  const several = modes.some((mode) => orders(mode).some(({ length }) => length > 1));
  return {
    data: file.name,
    rows: whole.length,
    skipped: skipped.length,
    ...(reason === undefined ? {} : { skippedReason: reason }),
    modes: whole.length === 0 ? [] : modes.map((mode) => summarizeMode(mode, column(mode), full, whole)),
    ...(several ? { orders: modes.map((mode) => summarizeOrders(mode, whole, orders(mode))) } : {}),
  };
}

function summarizeMode(
  mode: Mode,
  answers: readonly AskedAnswer[],
  full: readonly AskedAnswer[] | undefined,
  rows: readonly QuestionRow[],
): ModeSummary {
  const accepted = rows.map((row) => row.answers);
  const cited = rows.flatMap((row, at) => goldCited(answers[at]?.text ?? '', row));
  const found = answers.map(({ text }, at) => contains(text, accepted[at] ?? []));
  const cold = answers.flatMap((answer) => answer.cold?.ttftMs ?? []);
  const pairs = full?.map(({ text }, at) => [answers[at]?.text ?? '', text] as const);
  return {
    mode,
    contains: estimate(found, mean),
    f1: estimate(
      answers.map(({ text }, at) => wordF1(text, accepted[at] ?? [])),
      mean,
    ),
    ...(pairs === undefined || full === undefined
      ? {}
      : {
          agreement: estimate(
            pairs.map(([own, reference]) => wordF1(own, [reference])),
            mean,
          ),
          same: estimate(
            pairs.map(([own, reference]) => (normalized(own) === normalized(reference) ? 1 : 0)),
            mean,
          ),
          containsChange: estimate(
            full.map(({ text }, at) => (found[at] ?? 0) - contains(text, accepted[at] ?? [])),
            mean,
          ),
        }),
    ...(cited.length === 0 ? {} : { goldCited: estimate(cited, mean) }),
    ttftMs: estimate(
      answers.map(({ ttftMs }) => ttftMs),
      median,
    ),
    ...(cold.length === 0 ? {} : { coldTtftMs: estimate(cold, median) }),
    computedTokens: estimate(
      answers.map(({ computedTokens }) => computedTokens),
      mean,
    ),
    promptTokens: mean(answers.map(({ promptTokens }) => promptTokens)),
  };
}

/** @returns one number for a right answer to a row that names documents: 1 if the right one is cited first */
function goldCited(answer: string, { question, answers, documents, gold }: QuestionRow): number[] {
  if (gold === undefined || contains(answer, answers) === 0) return [];
  const texts = documents.map(({ title, text }) => (title === undefined ? text : `${title}\n${text}`));
  const said = citationsOf(answer, question, texts).filter(({ start, end }) =>
    contains(answer.slice(start, end), answers),
  );
  const first = said[0]?.blocks[0]?.block;
  return [first !== undefined && gold.includes(first) ? 1 : 0];
}

/** One table for each data file, as text. */
export function summaryTable(summary: DataSummary, markdown = false): string {
  const { data, rows, skipped, skippedReason, modes, orders } = summary;
  const hasGold = modes.some(({ goldCited }) => goldCited !== undefined);
  const gold = (cell: string) => (hasGold ? [cell] : []);
  const head = [
    'mode',
    'contains',
    'F1',
    'like full',
    'change',
    ...gold('gold cited'),
    'TTFT',
    'TTFT, cold',
    'tokens computed',
  ];
  const lines = modes.map((each) => [
    each.mode,
    percent(each.contains),
    percent(each.f1),
    each.mode === 'full' || !each.agreement ? '-' : percent(each.agreement),
    each.mode === 'full' || !each.containsChange ? '-' : percent(each.containsChange, true),
    ...gold(each.goldCited ? percent(each.goldCited) : '-'),
    ranged(each.ttftMs, formatMilliseconds),
    each.coldTtftMs ? ranged(each.coldTtftMs, formatMilliseconds) : '-',
    `${each.computedTokens.value.toFixed(0)} of ${each.promptTokens.toFixed(0)}`,
  ]);
  const left = skipped === 0 ? '' : `, ${skipped} left out (${skippedReason})`;
  const title = `${data}: ${rows} rows${left}`;
  const drawn = [title, ...(markdown ? [''] : []), drawTable([head, ...lines], markdown)];
  if (orders !== undefined) drawn.push('', ...orderLines(orders, markdown));
  return drawn.join('\n');
}

function orderLines(orders: readonly OrderSummary[], markdown: boolean): string[] {
  const share = (value: number) => `${(value * 100).toFixed(1)}%`;
  const head = ['mode', 'contains, by order', 'spread', 'same answer in every order'];
  const lines = orders.map(({ mode, contains, spread, same }) => [
    mode,
    contains.map(share).join(', '),
    `${(spread * 100).toFixed(1)} points`,
    share(same),
  ]);
  const title = `The same rows in ${orders[0]?.contains.length} orders of their documents`;
  return [title, ...(markdown ? [''] : []), drawTable([head, ...lines], markdown)];
}

function drawTable(rows: readonly (readonly string[])[], markdown: boolean): string {
  if (!markdown) return table(rows);
  const bar = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const [head = [], ...lines] = rows;
  return [bar(head), bar(head.map(() => '---')), ...lines.map(bar)].join('\n');
}

function percent({ value, low, high }: Estimate, sign = false): string {
  const one = (share: number) => `${sign && share > 0 ? '+' : ''}${(share * 100).toFixed(1)}`;
  return `${one(value)}% [${one(low)}, ${one(high)}]`;
}

function ranged({ value, low, high }: Estimate, format: (value: number) => string): string {
  return `${format(value)} [${format(low)}, ${format(high)}]`;
}
