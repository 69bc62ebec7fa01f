/** The rows of the table. A row's name ends in its unit, which says what is better. */

export const ROW = {
  prefill: (tokens: number) => `prefill, ${tokens} tokens (tokens/s)`,
  decode: (behind: number) => `decode, ${behind} tokens behind (tokens/s)`,
  first: (tokens: number) => `documents for the first time, ${tokens} tokens: TTFT (ms)`,
  same: (tokens: number) => `known documents in the same order, ${tokens} tokens: TTFT (ms)`,
  turned: (tokens: number) => `known documents in a new order, ${tokens} tokens: TTFT (ms)`,
  restarted: (tokens: number) => `known documents after a restart, from LMDB, ${tokens} tokens: TTFT (ms)`,
  streams: (behind: number, counted: 'new' | 'all') =>
    `16 streams of 129 new tokens, ${behind} behind (${counted} tokens/s)`,
  orders: () => '16 requests over 8 known documents in 16 orders (new tokens/s)',
  memory: () => 'peak memory (MiB)',
} as const;

/** Whether a lower figure of this row is better. */
export function lowerIsBetter(row: string): boolean {
  return row.endsWith('(ms)') || row.endsWith('(MiB)');
}
