/**
 * Renders conversations with markers in place of the documents, and knows where documents stand. A template that has
 * the variable `documents` places them itself. Any other template gets them at the start of the first user message,
 * each as `Title: <title>` (if it has one), its text and an empty line, never with a number. The whole conversation
 * then stands behind the documents and sees them all.
 */
import { BlockstitchError } from '../errors.js';
import type { ChatMessage } from './chat-messages.js';
import type { ChatTemplate, TemplateContext } from './chat-template.js';
import { type DocumentFrame, EMPTY_FRAME, framePrefix, learnFrame } from './document-frame.js';
import { TemplateMarkers } from './template-markers.js';

export interface RenderedChat {
  /** Template text around the documents, in pieces tokenized each on its own; one stretch more than `order`. */
  stretches: string[][];
  /** Which document stands behind each stretch but the last. */
  order: number[];
  /** The frame that each document takes into its own blocks. */
  frames: DocumentFrame[];
}

const PROBE: readonly ChatMessage[] = [{ role: 'user', content: 'Q' }];

export class ChatRendering {
  readonly #template: ChatTemplate | undefined;
  readonly #specialTokens: Readonly<Record<string, string>>;
  readonly #control: RegExp | undefined;
  #learned: { native: boolean; titled: DocumentFrame; untitled: DocumentFrame } | undefined;

  /** @param specialTokens bos_token, eos_token and so on, as templates take them */
  constructor(template: ChatTemplate | undefined, specialTokens: Record<string, string>, control: RegExp | undefined) {
    this.#template = template;
    this.#specialTokens = specialTokens;
    this.#control = control;
  }

  /** @throws BlockstitchError `invalid_request` with what the template says */
  render(messages: readonly ChatMessage[], titles: readonly (string | undefined)[]): RenderedChat {
    const markers = new TemplateMarkers(this.#control);
    const { native } = this.#learn();
    const { stretches, order } = this.#marked(markers, messages, titles, native);
    if (titles.some((_, index) => !order.includes(index))) {
      const reason = 'The chat template leaves documents out of these messages.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'documents' });
    }
    const expected = titles.map((title) => this.frameOf(title));
    const bare = stripFrames(stretches, order, expected, markers);
    return {
      stretches: (bare ?? stretches).map((stretch) => markers.pieces(stretch, titles)),
      order,
      frames: bare ? expected : titles.map(() => EMPTY_FRAME),
    };
  }

  /** What this template puts around every document, with or without a title. */
  frameOf(title: string | undefined): DocumentFrame {
    return title ? this.#learn().titled : this.#learn().untitled;
  }

  #learn(): { native: boolean; titled: DocumentFrame; untitled: DocumentFrame } {
    if (this.#learned) return this.#learned;
    const native = this.#template?.namesDocuments === true && this.#probe(undefined, true) !== undefined;
    const titled = this.#probe('title', native) ?? EMPTY_FRAME;
    const untitled = this.#probe(undefined, native) ?? EMPTY_FRAME;
    this.#learned = { native, titled, untitled };
    return this.#learned;
  }

  /** @returns undefined if the template does not show three documents in order */
  #probe(title: string | undefined, native: boolean): DocumentFrame | undefined {
    const markers = new TemplateMarkers(this.#control);
    try {
      const { stretches, order } = this.#marked(markers, PROBE, [title, title, title], native);
      if (order.join() !== '0,1,2') return undefined;
      return learnFrame(stretches.map((stretch) => markers.withoutTitles(stretch)));
    } catch {
      return undefined;
    }
  }

  #marked(
    markers: TemplateMarkers,
    messages: readonly ChatMessage[],
    titles: readonly (string | undefined)[],
    native: boolean,
  ): { stretches: string[]; order: number[] } {
    const documents = titles.map((title, index) => ({
      ...(title ? { title: markers.title(index) } : {}),
      text: markers.document(index),
    }));
    const placed = documents.map(({ title, text }) => `${title === undefined ? '' : `Title: ${title}\n`}${text}\n\n`);
    const extra = native && documents.length > 0 ? { documents } : {};
    return markers.split(this.#renderText(markers, messages, native ? '' : placed.join(''), extra));
  }

  /** @param before goes in front of the first user message (else of the last message) */
  #renderText(
    markers: TemplateMarkers,
    messages: readonly ChatMessage[],
    before: string,
    extra: Partial<TemplateContext>,
  ): string {
    if (!this.#template) {
      const reason = 'This model has no chat template; use /v1/completions.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'messages' });
    }
    const firstUser = messages.findIndex((message) => message.role === 'user');
    const at = firstUser >= 0 ? firstUser : messages.length - 1;
    const disarmed = messages.map((message, index) => ({
      ...message,
      content: (index === at ? before : '') + markers.disarm(message.content),
      ...(message.name === undefined ? {} : { name: markers.disarm(message.name) }),
    }));
    return this.#template.render({ ...this.#specialTokens, messages: disarmed, add_generation_prompt: true, ...extra });
  }
}

/** @returns the stretches without the documents' frames, or undefined if a frame differs from the learned one */
function stripFrames(
  stretches: readonly string[],
  order: readonly number[],
  frames: readonly DocumentFrame[],
  markers: TemplateMarkers,
): string[] | undefined {
  const bare = [...stretches];
  for (const [at, index] of order.entries()) {
    const frame = frames[index] ?? EMPTY_FRAME;
    const prefix = framePrefix(frame, markers.title(index));
    const before = bare[at] ?? '';
    const after = bare[at + 1] ?? '';
    if (!before.endsWith(prefix) || !after.startsWith(frame.suffix)) return undefined;
    bare[at] = before.slice(0, before.length - prefix.length);
    bare[at + 1] = after.slice(frame.suffix.length);
  }
  return bare;
}
