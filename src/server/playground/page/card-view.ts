/**
 * The documents with their blocks: a card each, in prompt order. A block shows its text, its tokens and where it is cached;
 * a boundary between two blocks has longer stitches the stronger the boundary is.
 */
import { type DocumentList, type PageDocument, totals } from './document-list.js';
import { copyTemplate, element, find, showError } from './dom.js';
import type { CutBlock } from './wire.js';
import { count, nearest, number, strengthShown } from './words.js';

/** Blocks that one card shows: a book of thousands would make the page slow. */
const MOST_BLOCKS = 300;

export class CardView {
  readonly #cards = new Map<number, HTMLElement>();

  constructor(
    private readonly list: HTMLElement,
    private readonly documents: DocumentList,
  ) {
    documents.onChange((change) => {
      if (change.what === 'list') this.#arrange();
      else this.#fill(change.document);
    });
  }

  #arrange(): void {
    const all = this.documents.all;
    const ids = new Set(all.map(({ id }) => id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.remove();
      this.#cards.delete(id);
    }
    for (const [at, document] of all.entries()) {
      const card = this.#cards.get(document.id) ?? this.#make(document);
      // Moving a card that stays in place would take the focus from its buttons.
      if (this.list.children[at] !== card) this.list.insertBefore(card, this.list.children[at] ?? null);
    }
  }

  #make(document: PageDocument): HTMLElement {
    const card = copyTemplate('card');
    card.dataset['colour'] = String(document.colour);
    find(card, '.card-name', HTMLElement).textContent = document.name;
    const whole = find(card, '.card-text', HTMLButtonElement);
    whole.setAttribute('aria-label', `Whole text of ${document.name}`);
    whole.addEventListener('click', () => {
      const isWhole = card.classList.toggle('is-whole');
      whole.setAttribute('aria-expanded', String(isWhole));
    });
    const remove = find(card, '.card-remove', HTMLButtonElement);
    remove.setAttribute('aria-label', `Remove ${document.name}`);
    remove.addEventListener('click', () => {
      this.documents.remove(document.id);
      // The button is gone: the focus goes on to what is near.
      const next = this.list.querySelector<HTMLElement>('.card-remove') ?? window.document.querySelector('#files');
      if (next instanceof HTMLElement) next.focus();
    });
    this.#cards.set(document.id, card);
    find(card, '.card-summary', HTMLElement).textContent = 'being cut …';
    return card;
  }

  #fill(document: PageDocument): void {
    const card = this.#cards.get(document.id);
    if (card === undefined) return;
    showError(find(card, '.card-error', HTMLElement), document.error);
    const { blocks, tokens, cachedBlocks } = totals([document]);
    const facts = [count(blocks, 'block'), count(tokens, 'token'), `${number(cachedBlocks)} cached`];
    find(card, '.card-summary', HTMLElement).textContent = document.error === undefined ? facts.join(' · ') : '';
    const shown = document.blocks.slice(0, MOST_BLOCKS);
    const rows = shown.flatMap((block, at) => [
      blockRow(block, document.text),
      ...(at + 1 < document.blocks.length ? [boundaryRow(block.boundary_score)] : []),
    ]);
    if (shown.length < document.blocks.length) {
      rows.push(
        element('li', 'more', `and ${count(document.blocks.length - shown.length, 'more block', 'more blocks')}`),
      );
    }
    find(card, '.blocks', HTMLElement).replaceChildren(...rows);
  }
}

function blockRow({ start, end, tokens, tiers = [] }: CutBlock, text: string): HTMLElement {
  const row = copyTemplate('block');
  row.classList.add(tiers.length > 0 ? 'is-hit' : 'is-miss');
  find(row, '.block-text', HTMLElement).textContent = text.slice(start, end).trim();
  const facts = [element('span', '', count(tokens, 'token')), element('span', 'tier', nearest(tiers))];
  find(row, '.block-facts', HTMLElement).replaceChildren(...facts);
  return row;
}

function boundaryRow(score: number): HTMLElement {
  const row = element('li', 'boundary');
  row.style.setProperty('--strength', strengthShown(score).toFixed(2));
  row.append(element('span', 'boundary-stitches'), element('span', 'boundary-score', `boundary ${score.toFixed(2)}`));
  return row;
}
