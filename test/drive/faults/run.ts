/** Runs cases one after another, each with a world of its own account, and says how each went. */
import { type FaultCase, faultsOf, type Outcome } from './case.js';
import { World } from './world.js';

export interface CaseReport {
  name: string;
  about: string;
  state: 'holds' | 'fails' | 'skipped';
  /** What does not hold, or why it was left out. */
  reasons: string[];
  outcome?: Outcome;
  seconds: number;
}

/** @param seed of every random choice; what processes do meanwhile is not repeated */
export async function runCases(
  cases: readonly FaultCase[],
  { seed, onReport = () => undefined }: { seed: number; onReport?: (report: CaseReport) => void },
): Promise<CaseReport[]> {
  const world = new World(seed);
  try {
    await world.takeReference();
    const reports: CaseReport[] = [];
    for (const each of cases) {
      const report = await runCase(each, world);
      reports.push(report);
      onReport(report);
    }
    return reports;
  } finally {
    await world.close();
  }
}

export async function runCase(each: FaultCase, world: World): Promise<CaseReport> {
  const { name, about } = each;
  const startMs = performance.now();
  const seconds = () => Math.round((performance.now() - startMs) / 100) / 10;
  const skipped = each.skip?.();
  if (skipped !== undefined) return { name, about, state: 'skipped', reasons: [skipped], seconds: 0 };
  try {
    const outcome = await each.run(world);
    const reasons = faultsOf(outcome);
    return { name, about, state: reasons.length === 0 ? 'holds' : 'fails', reasons, outcome, seconds: seconds() };
  } catch (error) {
    return { name, about, state: 'fails', reasons: [(error as Error).message], seconds: seconds() };
  }
}
