/**
 * The prompt before it is asked: its strip, and the documents in order. They are dragged by their rows, or moved by buttons.
 */
import { type DocumentList, type PageDocument, totals } from './document-list.js';
import { announce, copyTemplate, find } from './dom.js';
import { letDrag } from './drag-rows.js';
import { showStrip } from './prompt-strip.js';
import { count, number } from './words.js';

export class OrderView {
  readonly #rows = new Map<number, HTMLElement>();

  constructor(
    private readonly list: HTMLElement,
    private readonly strip: HTMLElement,
    private readonly documents: DocumentList,
  ) {
    documents.onChange(({ what }) => {
      if (what === 'list') this.#arrange();
      this.#fill();
    });
    letDrag(list, (row, to) => this.#move(Number(row.dataset['id']), to));
  }

  #arrange(): void {
    const all = this.documents.all;
    const ids = new Set(all.map(({ id }) => id));
    for (const [id, row] of this.#rows) {
      if (ids.has(id)) continue;
      row.remove();
      this.#rows.delete(id);
    }
    for (const [at, document] of all.entries()) {
      const row = this.#rows.get(document.id) ?? this.#make(document);
      if (this.list.children[at] !== row) this.list.insertBefore(row, this.list.children[at] ?? null);
      find(row, '.order-up', HTMLButtonElement).disabled = at === 0;
      find(row, '.order-down', HTMLButtonElement).disabled = at === all.length - 1;
    }
  }

  #make({ id, name, colour }: PageDocument): HTMLElement {
    const row = copyTemplate('order-row');
    row.dataset['id'] = String(id);
    row.dataset['colour'] = String(colour);
    find(row, '.order-name', HTMLElement).textContent = name;
    for (const [selector, label, step] of [
      ['.order-up', `Move ${name} up`, -1],
      ['.order-down', `Move ${name} down`, 1],
    ] as const) {
      const button = find(row, selector, HTMLButtonElement);
      button.setAttribute('aria-label', label);
      button.addEventListener('click', () => {
        this.#move(id, this.documents.all.findIndex((document) => document.id === id) + step);
        // At an end the button is off; the other one takes the focus.
        const other = find(row, step < 0 ? '.order-down' : '.order-up', HTMLButtonElement);
        (button.disabled ? other : button).focus();
      });
    }
    this.#rows.set(id, row);
    return row;
  }

  #move(id: number, to: number): void {
    this.documents.move(id, to);
    const all = this.documents.all;
    const at = all.findIndex((document) => document.id === id);
    announce(`${all[at]?.name ?? ''} is now ${number(at + 1)} of ${number(all.length)}.`);
  }

  #fill(): void {
    const all = this.documents.all;
    for (const document of all) {
      const row = this.#rows.get(document.id);
      const { blocks, cachedBlocks } = totals([document]);
      const facts = blocks === 0 ? '' : `${number(cachedBlocks)} of ${number(blocks)} cached`;
      if (row !== undefined) find(row, '.order-facts', HTMLElement).textContent = facts;
    }
    const { documents, blocks, tokens, cachedTokens } = totals(all);
    showStrip(
      this.strip,
      all.flatMap(({ blocks: own, colour }) =>
        own.map(({ tokens: length, tiers = [] }, at) => ({
          tokens: length,
          isHit: tiers.length > 0,
          colour,
          isFirst: at === 0,
        })),
      ),
      `Sinks, then ${count(blocks, 'block')} of ${count(documents, 'document')}, then the question. ` +
        `${number(cachedTokens)} of ${count(tokens, 'token')} are cached.`,
    );
  }
}
