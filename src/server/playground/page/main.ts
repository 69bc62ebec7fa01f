/** The playground, assembled: what is on the page, and what happens when something changes. */
import { AddView } from './add-view.js';
import { Asking, type Question } from './asking.js';
import { CardView } from './card-view.js';
import { CodeView } from './code-view.js';
import { Cutter } from './cutter.js';
import { DocumentList, totals } from './document-list.js';
import { element, find } from './dom.js';
import { takeKey } from './key-form.js';
import { OrderView } from './order-view.js';
import { RunView } from './run-view.js';
import { verdict } from './runs.js';
import { ServerApi, ServerError } from './server-api.js';
import type { Model, Samples } from './wire.js';
import { count, number } from './words.js';

/** A server that is not ready, or not there, is asked again after so long. */
const RETRY_MS = 2000;

const part = <T extends Element>(id: string, type: new () => T): T => find(document, `#${id}`, type);

const api = new ServerApi();
const documents = new DocumentList();
const cutter = new Cutter(api, documents);
const code = new CodeView();
const question = part('question', HTMLTextAreaElement);
const slider = part('granularity', HTMLInputElement);
let model: Model | undefined;

new CardView(part('cards', HTMLElement), documents);
new OrderView(part('order', HTMLElement), part('strip', HTMLElement), documents);
const adding = new AddView(documents, (added) => void cutter.cut(added));
const runs = new RunView(part('runs', HTMLElement), documents);
const asking = new Asking(api, (run) => runs.show(run));

documents.onChange(() => {
  const sums = totals(documents.all);
  const isEmpty = sums.documents === 0;
  part('documents-summary', HTMLElement).textContent = isEmpty
    ? ''
    : `${count(sums.blocks, 'block')} · ${count(sums.tokens, 'token')} · ${number(sums.cachedBlocks)} cached`;
  part('cut-controls', HTMLElement).hidden = isEmpty;
  part('intro', HTMLElement).hidden = !isEmpty;
  slider.classList.toggle('is-default', cutter.granularity === undefined);
  part('prompt', HTMLElement).hidden = isEmpty;
  part('compare', HTMLButtonElement).disabled = isEmpty || running !== undefined;
  const mean = sums.blocks === 0 ? '' : `, ${number(sums.tokens / sums.blocks)} tokens a block on average`;
  const length = cutter.granularity === undefined ? "the server's length" : `granularity ${cutter.granularity}`;
  part('cut-note', HTMLElement).textContent = `Cut at ${length}${mean}.`;
  slider.setAttribute('aria-valuetext', `${length}${mean}`);
});

slider.addEventListener('input', () => {
  cutter.setGranularity(Number(slider.value));
  forgetRuns();
});
part('granularity-default', HTMLButtonElement).addEventListener('click', () => {
  cutter.setGranularity(undefined);
  forgetRuns();
});
let ids = '';
documents.onChange(({ what }) => {
  const now = documents.all.map(({ id }) => id).sort();
  // Another order is compared with what was asked before; other texts are not.
  if (what === 'list' && ids !== now.join()) forgetRuns();
  ids = now.join();
});

/** What is asked now. */
let running: AbortController | undefined;

part('ask-form', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  void whileRunning(async (asked, signal) => {
    await asking.ask(asked, signal);
    await cutter.cut(documents.all);
  });
});
part('compare', HTMLButtonElement).addEventListener('click', () => {
  if (!part('ask-form', HTMLFormElement).reportValidity()) return;
  forgetRuns();
  void whileRunning(async (asked, signal) => {
    const [cold, cached, reordered, full] = await asking.compare(asked, signal);
    if (!cold || !cached || !reordered || !full) return;
    const line = part('verdict', HTMLElement);
    line.textContent = verdict(cold, cached, reordered, full) ?? '';
    line.hidden = line.textContent === '';
    part('answers', HTMLElement).scrollIntoView();
  });
});
part('stop', HTMLButtonElement).addEventListener('click', () => running?.abort());
part('clear', HTMLButtonElement).addEventListener('click', () => {
  forgetRuns();
  question.focus();
});
question.addEventListener('keydown', (event) => {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  part('ask-form', HTMLFormElement).requestSubmit();
});

async function whileRunning(work: (asked: Question, signal: AbortSignal) => Promise<void>): Promise<void> {
  if (running !== undefined) return;
  running = new AbortController();
  part('answers', HTMLElement).hidden = false;
  part('verdict', HTMLElement).hidden = true;
  showRunning(true);
  if (model === undefined) await meetServer();
  const asked = currentQuestion();
  code.show({ server: new URL('.', document.baseURI).href, body: asked.body, needsKey: api.hasKey });
  try {
    await work(asked, running.signal);
  } finally {
    running = undefined;
    showRunning(false);
  }
}

function showRunning(isRunning: boolean): void {
  part('ask', HTMLButtonElement).disabled = isRunning;
  part('compare', HTMLButtonElement).disabled = isRunning || documents.all.length === 0;
  part('stop', HTMLButtonElement).hidden = !isRunning;
}

function currentQuestion(): Question {
  const { granularity } = cutter;
  const attention = part('attention', HTMLSelectElement).value;
  const texts = documents.all.map(({ text }) => ({ text }));
  return {
    order: documents.all.map(({ id }) => id),
    body: {
      model: model?.id ?? '',
      messages: [{ role: 'user', content: question.value }],
      ...(texts.length === 0 ? {} : { documents: texts }),
      ...(texts.length === 0 || granularity === undefined ? {} : { segmentation: { granularity } }),
      ...(attention === 'block' || attention === 'full' ? { attention } : {}),
      temperature: 0,
      max_tokens: Number(part('max-tokens', HTMLInputElement).value),
      stream: true,
      stream_options: { include_usage: true },
    },
  };
}

/** Runs over other texts, or over texts cut otherwise, are not compared. */
function forgetRuns(): void {
  running?.abort();
  asking.runs.length = 0;
  runs.clear();
  part('answers', HTMLElement).hidden = true;
  part('verdict', HTMLElement).hidden = true;
}

/** Says what is served. A server that loads its model is asked again. */
async function meetServer(): Promise<void> {
  const served = part('served', HTMLElement);
  try {
    model = await api.model();
    const { id, max_model_len: context, blockstitch } = model;
    served.textContent = `${id} · ${blockstitch.attention} attention · ${number(context)} tokens of context`;
    // What came before the server was ready.
    void cutter.cut(documents.all.filter(({ error }) => error !== undefined));
  } catch (error) {
    served.textContent = error instanceof Error ? error.message : String(error);
    if (error instanceof ServerError && ['not_ready', 'unreachable'].includes(error.code)) {
      setTimeout(() => void meetServer(), RETRY_MS);
    }
  }
}

function suggest({ questions }: Samples): void {
  const place = part('suggestions', HTMLElement);
  for (const text of questions) {
    const button = element('button', 'suggestion', text);
    button.type = 'button';
    button.addEventListener('click', () => {
      question.value = text;
      question.focus();
    });
    place.append(button);
  }
  documents.onChange(() => {
    place.hidden = questions.length === 0 || !documents.all.some(({ isSample }) => isSample);
  });
}

takeKey(api, () => void meetServer());
void meetServer();
api.samples().then(
  (samples) => {
    adding.offer(samples);
    suggest(samples);
  },
  () => undefined,
);
