/** What is to be reached, in one run with SmolLM2 and two threads. Knows rows and figures. */
import type { BenchCheck } from '../report.js';
import { OURS, VLLM } from './contenders.js';
import type { Figures } from './figures.js';
import { ROW } from './rows.js';

/**
 * @param tokens  of the long prompts
 * @param floorMs of a question over known documents (floor.ts); absent if it was not measured
 * @returns a check for each goal whose rows were measured
 */
export function goals(figures: Figures, tokens: number, floorMs: number | undefined): BenchCheck[] {
  const checks: BenchCheck[] = [];
  const atLeast = (claim: string, value: number | undefined, least: number) => {
    if (value !== undefined) checks.push({ claim: `${claim} >= ${least}`, value, holds: value >= least });
  };
  const overBest = (row: string, least: number) => atLeast(`ours / best peer, ${row}`, figures.gain(row), least);
  const overVllm = (row: string, least: number) => atLeast(`ours / ${VLLM}, ${row}`, figures.gain(row, [VLLM]), least);
  overBest(ROW.prefill(512), 1.3);
  overBest(ROW.prefill(2048), 1.5);
  overBest(ROW.prefill(tokens), 1.5);
  overVllm(ROW.first(tokens), 3);
  overBest(ROW.decode(16), 1.4);
  overBest(ROW.decode(tokens), 2.5);
  overBest(ROW.streams(32, 'new'), 1.6);
  overBest(ROW.streams(512, 'all'), 1.6);
  overVllm(ROW.orders(), 3);
  overVllm(ROW.turned(tokens), 200);
  overVllm(ROW.same(tokens), 1);
  const turned = figures.best(ROW.turned(tokens), OURS)?.value;
  if (floorMs !== undefined && turned !== undefined) {
    const value = turned / floorMs;
    checks.push({ claim: 'ours / floor, known documents in a new order <= 1.3', value, holds: value <= 1.3 });
  }
  return checks;
}
