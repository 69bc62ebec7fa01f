/**
 * The runs: a bar each for the time to the first token, the answer as it streams, and the blocks that it used.
 * All bars have one scale, so that they can be compared.
 */
import type { DocumentList } from './document-list.js';
import { announce, copyTemplate, element, find, showError } from './dom.js';
import { type StripBlock, showStrip } from './prompt-strip.js';
import { computedTokens, hits, type Run } from './runs.js';
import type { ReportBlock } from './wire.js';
import { beginning, count, milliseconds, number, place } from './words.js';

/** A block of an answer, with the text it has on this page. */
interface UsedBlock {
  block: ReportBlock;
  name: string;
  colour?: number | undefined;
  text: string;
  isFirst: boolean;
}

export class RunView {
  readonly #rows = new Map<Run, HTMLElement>();

  constructor(
    private readonly list: HTMLElement,
    private readonly documents: DocumentList,
  ) {}

  clear(): void {
    this.#rows.clear();
    this.list.replaceChildren();
  }

  show(run: Run): void {
    const row = this.#rows.get(run) ?? this.#make(run);
    row.dataset['state'] = run.state;
    find(row, '.run-label', HTMLElement).textContent = run.label === '' ? waiting(run) : run.label;
    find(row, '.run-ttft', HTMLElement).textContent = run.ttftMs === undefined ? '' : milliseconds(run.ttftMs);
    find(row, '.run-text', HTMLElement).textContent = run.text;
    showError(find(row, '.run-error', HTMLElement), run.error);
    this.#scale();
    if (run.state === 'done') this.#finish(run, row);
  }

  #make(run: Run): HTMLElement {
    const row = copyTemplate('run');
    const asked = run.body.messages.at(-1)?.content ?? '';
    const before = [...this.#rows.keys()].at(-1)?.body.messages.at(-1)?.content;
    const question = find(row, '.run-question', HTMLElement);
    question.textContent = asked;
    question.hidden = asked === before;
    this.#rows.set(run, row);
    this.list.append(row);
    row.scrollIntoView({ block: 'nearest' });
    return row;
  }

  #scale(): void {
    const longest = Math.max(...[...this.#rows.keys()].map(({ ttftMs }) => ttftMs ?? 0), 1);
    for (const [{ ttftMs }, row] of this.#rows) {
      const share = (ttftMs ?? 0) / longest;
      find(row, '.bar-fill', HTMLElement).style.setProperty('--share', share.toFixed(4));
    }
  }

  #finish(run: Run, row: HTMLElement): void {
    const { report, usage } = run;
    if (report === undefined || usage === undefined) return;
    const { found, asked } = hits(report);
    const facts = [computedTokens(usage)];
    if (asked > 0) facts.push(`${number(found)} of ${count(asked, 'block')} cached`);
    find(row, '.run-facts', HTMLElement).textContent = facts.join(' · ');
    if (run.text.trim() === '') find(row, '.run-text', HTMLElement).textContent = 'The answer is empty.';
    const used = usedBlocks(run, this.documents);
    const strip = find(row, '.strip', HTMLElement);
    showStrip(strip, used.map(stripBlock), `The prompt: ${facts.join(', ')}.`);
    const details = find(row, '.used', HTMLDetailsElement);
    details.hidden = used.length === 0;
    find(details, 'tbody', HTMLElement).replaceChildren(...used.map(usedRow));
    const first = `${run.label}: first token after ${milliseconds(run.ttftMs ?? 0)}, ${facts.join(', ')}.`;
    announce(`${first} The answer: ${run.text}`);
  }
}

function waiting({ state }: Run): string {
  return { waiting: 'Waiting …', streaming: 'Answering …', done: 'Answered', failed: 'Refused', stopped: 'Stopped' }[
    state
  ];
}

function stripBlock({ block, colour, isFirst }: UsedBlock): StripBlock {
  return { tokens: block.tokens, isHit: block.origin !== 'computed', colour, isFirst };
}

function usedRow({ block, name, colour, text }: UsedBlock): HTMLElement {
  const row = document.createElement('tr');
  const first = element('th', '');
  first.scope = 'row';
  const swatch = element('span', 'swatch');
  if (colour !== undefined) swatch.dataset['colour'] = String(colour);
  first.append(swatch, name);
  const origin = element('td', block.origin === 'computed' ? 'is-miss' : 'is-hit', place(block.origin));
  row.append(
    first,
    element('td', 'begins', beginning(text, 60)),
    element('td', 'figure', number(block.tokens)),
    origin,
  );
  return row;
}

/** The blocks of an answer with their texts. A document that is gone from the page meanwhile has left only its place. */
function usedBlocks({ report, order, body }: Run, documents: DocumentList): UsedBlock[] {
  return (report?.blocks ?? []).map((block) => {
    const { document: source, message } = block;
    if (message !== undefined) {
      const text = body.messages[message.index]?.content.slice(message.start, message.end) ?? '';
      return { block, name: 'Question', text, isFirst: message.start === 0 };
    }
    if (source === undefined) return { block, name: 'Chat template', text: '', isFirst: false };
    const { index, start, end } = source;
    const document = documents.all.find(({ id }) => id === order[index]);
    return {
      block,
      name: document?.name ?? `Document ${index + 1}`,
      colour: document?.colour,
      text: body.documents?.[index]?.text.slice(start, end) ?? '',
      isFirst: start === 0,
    };
  });
}
