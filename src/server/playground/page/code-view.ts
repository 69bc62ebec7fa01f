/** What was just asked, as code to copy: tabs for the shell and for Python. */
import { announce, find } from './dom.js';
import { type Asked, curl, python } from './snippets.js';

const LANGUAGES = { curl, python } as const;
type Language = keyof typeof LANGUAGES;

/** For how long the button says that it has copied. */
const THANKS_MS = 1500;

export class CodeView {
  #asked: Asked | undefined;
  #language: Language = 'curl';
  readonly #section = find(document, '#code', HTMLElement);
  readonly #text = find(document, '#snippet', HTMLPreElement);
  readonly #tabs = new Map(
    (Object.keys(LANGUAGES) as Language[]).map((name) => [name, find(document, `#tab-${name}`, HTMLButtonElement)]),
  );

  constructor() {
    const names = [...this.#tabs.keys()];
    for (const [name, tab] of this.#tabs) {
      tab.addEventListener('click', () => this.#choose(name));
      tab.addEventListener('keydown', ({ key }) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
        if (step === undefined) return;
        const next = names[(names.indexOf(name) + step + names.length) % names.length] ?? name;
        this.#choose(next);
        this.#tabs.get(next)?.focus();
      });
    }
    const copy = find(document, '#copy', HTMLButtonElement);
    copy.addEventListener('click', async () => {
      await this.#copy();
      announce('Copied.');
      copy.textContent = 'Copied';
      setTimeout(() => {
        copy.textContent = 'Copy';
      }, THANKS_MS);
    });
  }

  show(asked: Asked): void {
    this.#asked = asked;
    this.#section.hidden = false;
    this.#choose(this.#language);
  }

  #choose(language: Language): void {
    this.#language = language;
    for (const [name, tab] of this.#tabs) {
      tab.setAttribute('aria-selected', String(name === language));
      tab.tabIndex = name === language ? 0 : -1;
    }
    this.#text.setAttribute('aria-labelledby', `tab-${language}`);
    this.#text.textContent = this.#asked === undefined ? '' : LANGUAGES[language](this.#asked);
  }

  /** Addresses without TLS other than this machine's have no clipboard: then the text is selected and copied. */
  async #copy(): Promise<void> {
    try {
      await navigator.clipboard.writeText(this.#text.textContent ?? '');
    } catch {
      getSelection()?.selectAllChildren(this.#text);
      document.execCommand('copy');
    }
  }
}
