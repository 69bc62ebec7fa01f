/**
 * When documents are accepted, in the order of their writes. A document is accepted after everything that this process
 * has accepted, and after the record that it will replace, whatever the clock says. Between writes that several servers
 * accept before one of them is registered, their clocks decide.
 */
import type { CacheScope } from '../cache/tiers.js';
import type { DocumentRegistry, Found, FoundRecord } from './document-registry.js';

export class Acceptance {
  readonly #registry: Pick<DocumentRegistry, 'find'>;
  #lastMs = 0;

  constructor(registry: Pick<DocumentRegistry, 'find'>) {
    this.#registry = registry;
  }

  /** @returns unix time, milliseconds, never less than before @throws BlockstitchError `store_failed` */
  async next(scope: CacheScope, id: string): Promise<number> {
    this.#lastMs = Math.max(this.#lastMs, Date.now());
    const arrivedMs = this.#lastMs;
    const found = await this.#registry.find(scope, id);
    const acceptedMs = Math.max(arrivedMs, acceptedOf(found) + 1);
    this.#lastMs = Math.max(this.#lastMs, acceptedMs);
    return acceptedMs;
  }
}

/** What is there was accepted later: a write of this time does not replace it. */
export function isNewer(found: Found, acceptedMs: number): found is FoundRecord {
  return acceptedOf(found) > acceptedMs;
}

function acceptedOf(found: Found): number {
  return found.state === 'found' ? (found.record.acceptedMs ?? 0) : 0;
}
