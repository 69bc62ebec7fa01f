/** The ways in which documents come: dropped anywhere on the page, chosen, pasted, or the samples. */
import type { DocumentList, PageDocument } from './document-list.js';
import { announce, element, find } from './dom.js';
import { readFile } from './read-file.js';
import type { Samples } from './wire.js';
import { beginning, count } from './words.js';

export class AddView {
  readonly #errors = find(document, '#drop-errors', HTMLElement);
  readonly #drop = find(document, '#drop', HTMLElement);

  /** @param onAdded called with what has come */
  constructor(
    private readonly documents: DocumentList,
    private readonly onAdded: (added: PageDocument[]) => void,
  ) {
    documents.onChange(() => this.#drop.classList.toggle('is-small', documents.all.length > 0));
    this.#takeFiles();
    this.#takePaste();
  }

  /** Offers the samples, if the server has some. */
  offer(samples: Samples): void {
    const button = find(document, '#samples', HTMLButtonElement);
    button.hidden = samples.documents.length === 0;
    button.addEventListener('click', () => {
      this.#add(samples.documents.map((each) => ({ ...each, isSample: true })));
      button.hidden = true;
      // On a phone that would open the keyboard over what has just come.
      if (matchMedia('(pointer: fine)').matches) {
        find(document, '#question', HTMLTextAreaElement).focus({ preventScroll: true });
      }
    });
    this.documents.onChange(() => {
      if (samples.documents.length > 0) button.hidden = this.documents.all.length > 0;
    });
  }

  #add(inputs: Parameters<DocumentList['add']>[0]): void {
    if (inputs.length === 0) return;
    const added = this.documents.add(inputs);
    announce(`${count(added.length, 'document')} added.`);
    this.onAdded(added);
  }

  async #read(files: readonly File[]): Promise<void> {
    this.#errors.replaceChildren();
    this.#drop.classList.add('is-reading');
    const read = await Promise.allSettled(files.map(readFile));
    this.#drop.classList.remove('is-reading');
    this.#add(read.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : [])));
    const failures = read.flatMap((each) => (each.status === 'rejected' ? [(each.reason as Error).message] : []));
    this.#errors.replaceChildren(...failures.map((message) => element('p', 'error-message', message)));
  }

  #takeFiles(): void {
    const input = find(document, '#files', HTMLInputElement);
    input.addEventListener('change', () => {
      void this.#read([...(input.files ?? [])]);
      input.value = '';
    });
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    window.addEventListener('dragover', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#drop.classList.add('is-over');
    });
    window.addEventListener('dragleave', (event) => {
      if (event.relatedTarget === null) this.#drop.classList.remove('is-over');
    });
    window.addEventListener('drop', (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      this.#drop.classList.remove('is-over');
      void this.#read([...(event.dataTransfer?.files ?? [])]);
    });
  }

  #takePaste(): void {
    const form = find(document, '#paste-form', HTMLFormElement);
    const text = find(document, '#paste', HTMLTextAreaElement);
    const button = find(document, '#paste-button', HTMLButtonElement);
    const show = (isOpen: boolean) => {
      form.hidden = !isOpen;
      button.setAttribute('aria-expanded', String(isOpen));
      (isOpen ? text : button).focus();
    };
    button.addEventListener('click', () => show(form.hidden === true));
    find(document, '#paste-cancel', HTMLButtonElement).addEventListener('click', () => show(false));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      if (text.value.trim() === '') return;
      const [firstLine = ''] = text.value.trim().split('\n');
      this.#add([{ name: beginning(firstLine.replace(/^#+\s*/, ''), 40), text: text.value }]);
      text.value = '';
      show(false);
    });
  }
}
