/**
 * Asks the server: one question as it stands, or one question four ways. Changes runs and tells its listener; knows no
 * element. A comparison has a salt of its own, so that its first run is cold whatever is cached, and drops its blocks at the
 * end: the server's cache stays as it was.
 */
import { labelOf, type Run } from './runs.js';
import type { ServerApi } from './server-api.js';
import type { ChatBody } from './wire.js';

/** What is asked, and over which documents. */
export interface Question {
  body: ChatBody;
  /** Ids of the documents, in the order of `body.documents`. */
  order: readonly number[];
}

export class Asking {
  /** Newest last. */
  readonly runs: Run[] = [];

  /** @param onChange called after every change of a run */
  constructor(
    private readonly api: ServerApi,
    private readonly onChange: (run: Run) => void,
  ) {}

  /** Never rejects: a failure is the run's. */
  async ask({ body, order }: Question, signal: AbortSignal): Promise<Run> {
    const run = this.#begin('', body, order);
    await this.#run(run, signal);
    return run;
  }

  /** @returns the runs cold, cached, reordered and full; fewer if one failed or was stopped */
  async compare({ body, order }: Question, signal: AbortSignal): Promise<Run[]> {
    const { attention: _, ...rest } = body;
    const salted: ChatBody = { ...rest, cache_salt: `playground-${crypto.randomUUID()}` };
    const back = { documents: [...(body.documents ?? [])].reverse() };
    const ways: [string, ChatBody, readonly number[]][] = [
      ['Cold', { ...salted, attention: 'block' }, order],
      ['Cached', { ...salted, attention: 'block' }, order],
      ['Cached, reordered', { ...salted, ...back, attention: 'block' }, [...order].reverse()],
      ['Full attention', { ...salted, attention: 'full' }, order],
    ];
    const done: Run[] = [];
    try {
      // The first step after a pause pays for what is set up once; that is not what is compared.
      await this.#warmUp(rest, signal);
      for (const [label, each, itsOrder] of ways) {
        const run = this.#begin(label, each, itsOrder);
        done.push(run);
        await this.#run(run, signal);
        if (run.state !== 'done') break;
      }
    } finally {
      await this.#drop(salted, done);
    }
    return done;
  }

  #begin(label: string, body: ChatBody, order: readonly number[]): Run {
    const run: Run = { label, body, order, state: 'waiting', text: '' };
    this.runs.push(run);
    this.onChange(run);
    return run;
  }

  async #run(run: Run, signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    try {
      for await (const { choices, usage, blockstitch } of this.api.chat(run.body, signal)) {
        const piece = choices[0]?.delta.content ?? '';
        if (piece !== '') {
          run.ttftMs ??= performance.now() - startMs;
          run.state = 'streaming';
          run.text += piece;
        }
        if (usage) run.usage = usage;
        if (blockstitch !== undefined) run.report = blockstitch;
        if (piece !== '') this.onChange(run);
      }
      run.state = 'done';
      if (run.report !== undefined) {
        run.ttftMs = run.report.timings.ttft_ms;
        if (run.label === '') run.label = labelOf(run.report, run.order, this.runs.slice(0, this.runs.indexOf(run)));
      }
    } catch (error) {
      run.state = signal.aborted ? 'stopped' : 'failed';
      if (!signal.aborted) run.error = error;
    }
    this.onChange(run);
  }

  async #warmUp({ model, messages }: Pick<ChatBody, 'model' | 'messages'>, signal: AbortSignal): Promise<void> {
    const body: ChatBody = {
      model,
      messages,
      temperature: 0,
      max_tokens: 1,
      stream: true,
      stream_options: { include_usage: true },
    };
    try {
      for await (const _ of this.api.chat(body, signal));
    } catch {
      // The first run will say what is wrong.
    }
  }

  /** Drops what the runs cached. Answers that were stopped have not said what that is, so the cut is asked. */
  async #drop({ documents = [], segmentation, cache_salt: salt }: ChatBody, runs: readonly Run[]): Promise<void> {
    const stitched = runs.filter(({ body }) => body.attention !== 'full');
    const hashes = new Set(stitched.flatMap(({ report }) => (report?.blocks ?? []).map(({ hash }) => hash)));
    if (stitched.some(({ report }) => report === undefined)) {
      const granularity = segmentation?.granularity;
      const cuts = documents.map(({ text }) =>
        this.api.cut(text, { granularity, ...(salt === undefined ? {} : { salt }) }),
      );
      for (const cut of await Promise.allSettled(cuts)) {
        if (cut.status !== 'fulfilled') continue;
        for (const { hash, tiers = [] } of cut.value.data) if (hash && tiers.length > 0) hashes.add(hash);
      }
    }
    await Promise.allSettled([...hashes].map((hash) => this.api.dropBlock(hash)));
  }
}
