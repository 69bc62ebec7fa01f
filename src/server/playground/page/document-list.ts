/**
 * The documents of the page, in prompt order, with how each is cut. Tells its listeners what changed; knows no server and
 * no element.
 */
import type { CutBlock } from './wire.js';

export interface PageDocument {
  readonly id: number;
  readonly name: string;
  readonly text: string;
  /** Which of the page's colours it has. */
  readonly colour: number;
  /** One of the server's samples, to which it has questions too. */
  readonly isSample: boolean;
  /** Of the newest cut that succeeded. */
  blocks: CutBlock[];
  /** Why the newest cut failed. */
  error?: unknown;
}

/** `list`: documents came, went or moved. `cut`: one of them was cut again. */
export type Change = { what: 'list' } | { what: 'cut'; document: PageDocument };

/** base.css has so many. */
const COLOURS = 8;

export class DocumentList {
  #documents: PageDocument[] = [];
  #nextId = 0;
  readonly #listeners: ((change: Change) => void)[] = [];

  get all(): readonly PageDocument[] {
    return this.#documents;
  }

  onChange(listener: (change: Change) => void): void {
    this.#listeners.push(listener);
  }

  add(inputs: readonly { name: string; text: string; isSample?: boolean }[]): PageDocument[] {
    const added = inputs.map(({ name, text, isSample = false }): PageDocument => {
      const id = this.#nextId++;
      return { id, name, text, isSample, colour: id % COLOURS, blocks: [] };
    });
    this.#documents = [...this.#documents, ...added];
    this.#tell({ what: 'list' });
    return added;
  }

  remove(id: number): void {
    this.#documents = this.#documents.filter((document) => document.id !== id);
    this.#tell({ what: 'list' });
  }

  /** @param to place in the list, from 0; beyond the ends it is the end */
  move(id: number, to: number): void {
    const moved = this.#documents.find((document) => document.id === id);
    if (moved === undefined) return;
    const others = this.#documents.filter((document) => document !== moved);
    const at = Math.max(0, Math.min(others.length, to));
    this.#documents = [...others.slice(0, at), moved, ...others.slice(at)];
    this.#tell({ what: 'list' });
  }

  /** Takes the outcome of a cut: blocks, or why it failed. The blocks before stay where it failed. */
  setCut(id: number, outcome: { blocks: CutBlock[] } | { error: unknown }): void {
    const document = this.#documents.find((each) => each.id === id);
    if (document === undefined) return;
    if ('blocks' in outcome) {
      document.blocks = outcome.blocks;
      delete document.error;
    } else document.error = outcome.error;
    this.#tell({ what: 'cut', document });
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener(change);
  }
}

export interface Totals {
  documents: number;
  blocks: number;
  tokens: number;
  /** Blocks and tokens that some tier holds. */
  cachedBlocks: number;
  cachedTokens: number;
}

export function totals(documents: readonly PageDocument[]): Totals {
  const sums = { documents: documents.length, blocks: 0, tokens: 0, cachedBlocks: 0, cachedTokens: 0 };
  for (const { tokens, tiers } of documents.flatMap(({ blocks }) => blocks)) {
    sums.blocks += 1;
    sums.tokens += tokens;
    if (tiers === undefined || tiers.length === 0) continue;
    sums.cachedBlocks += 1;
    sums.cachedTokens += tokens;
  }
  return sums;
}
