/** Shows the cost of an answer: blocks with hit or miss, tokens, times. Knows the report, not who asked. */
import { formatMilliseconds } from '../units.js';
import type { ChatResult } from './api-client.js';
import { type Terminal, table } from './terminal.js';

/** The blocks of an answer, one line each. */
export function blockLines({ report }: ChatResult, terminal: Terminal): string {
  const rows = report.blocks.map(({ hash, tokens, origin, kind }) => [
    origin === 'computed' ? 'miss' : 'hit',
    origin,
    kind,
    tokens,
    hash.slice(0, 12),
  ]);
  const lines = table([['', 'tier', 'kind', 'tokens', 'block'], ...rows]).split('\n');
  return lines
    .map((line, index) => {
      if (index === 0) return terminal.colour('dim', line);
      return line.startsWith('hit') ? terminal.colour('green', line) : terminal.colour('yellow', line);
    })
    .join('\n');
}

/** How many of the document blocks were found cached. */
export function documentHits({ report }: ChatResult): { hits: number; blocks: number } {
  const documents = report.blocks.filter(({ kind }) => kind === 'document');
  return { hits: documents.filter(({ origin }) => origin !== 'computed').length, blocks: documents.length };
}

/** `TTFT 12.3 ms, 4 of 4 blocks hit, 812 of 850 prompt tokens cached`. */
export function summaryLine(result: ChatResult): string {
  const { hits, blocks } = documentHits(result);
  const cached = result.usage.prompt_tokens_details.cached_tokens;
  const repaired = result.report.blocks.reduce((sum, block) => sum + block.repaired_tokens, 0);
  return [
    `TTFT ${formatMilliseconds(result.ttftMs)}`,
    `${hits} of ${blocks} document blocks hit`,
    `${cached} of ${result.usage.prompt_tokens} prompt tokens cached`,
    ...(repaired === 0 ? [] : [`${repaired} repaired`]),
  ].join(', ');
}
