/** A case: what is broken, on which processes, and what must hold. */
import type { Account } from './traffic.js';
import type { World } from './world.js';

export interface Outcome extends Account {
  /** Documents that were acknowledged, and those of them that were gone or not right at the end. */
  acknowledged: number;
  lost: number;
  /** Milliseconds from the end of the fault until everything was as before; undefined if a restart is the point. */
  recoveredMs?: number;
  /** What /ready, metrics or the exit said. */
  said: string;
}

export interface FaultCase {
  name: string;
  about: string;
  /** Runs in `make test` as well. */
  short?: boolean;
  /** @returns why it cannot run on this machine */
  skip?(): string | undefined;
  /** @throws Error that names what did not hold */
  run(world: World): Promise<Outcome>;
}

/** Nothing wrong, nothing failed, nothing lost. */
export function faultsOf(outcome: Outcome): string[] {
  const { wrong, failed, lost } = outcome;
  const faults: string[] = [];
  if (wrong > 0) faults.push(`${wrong} wrong answers`);
  if (failed.length > 0) faults.push(`${failed.length} failed requests, the first: ${failed[0]}`);
  if (lost > 0) faults.push(`${lost} documents lost`);
  return faults;
}

/** @throws Error if it does not hold */
export function mustHold(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}
