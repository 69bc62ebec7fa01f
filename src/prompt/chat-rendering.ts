/**
 * Renders conversations with markers in place of the documents, and knows where documents stand. A template that has
 * the variable `documents` places them itself. Any other template gets them at the start of the first user message,
 * each as `Title: <title>` (if it has one), its text and an empty line, never with a number. The whole conversation
 * then stands behind the documents and sees them all.
 */
import { BlockstitchError } from '../errors.js';
import type { ChatMessage } from './chat-messages.js';
import type { ChatTemplate } from './chat-template.js';
import { type DocumentFrame, EMPTY_FRAME, framePrefix, learnFrame } from './document-frame.js';
import { type MessagePassage, withMarkedPassages } from './message-passages.js';
import { mapStrings, type TemplateOptions } from './template-data.js';
import { TemplateMarkers } from './template-markers.js';
import { inForm, learnToolCallForm, type ToolCallForm, USUAL_FORM } from './tool-call-form.js';

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
  #form: ToolCallForm | undefined;
  #learned: { native: boolean; titled: DocumentFrame; untitled: DocumentFrame } | undefined;

  /** @param specialTokens bos_token, eos_token and so on, as templates take them */
  constructor(template: ChatTemplate | undefined, specialTokens: Record<string, string>, control: RegExp | undefined) {
    this.#template = template;
    this.#specialTokens = specialTokens;
    this.#control = control;
  }

  /**
   * @param passages of messages; passage i is document `titles.length + i` in `order`, unless the template cannot show it
   * @throws BlockstitchError `invalid_request` with what the template says
   */
  render(
    messages: readonly ChatMessage[],
    titles: readonly (string | undefined)[],
    options: TemplateOptions = {},
    passages: readonly MessagePassage[] = [],
  ): RenderedChat {
    const markers = new TemplateMarkers(this.#control);
    const { native } = this.#learn();
    const { stretches, order } = this.#marked(markers, { messages, titles, native, options, passages });
    // A template that leaves a message out, or shows it twice, gets it whole.
    const shown = order.filter((index) => index >= titles.length);
    if (shown.length !== passages.length || new Set(shown).size !== passages.length)
      return this.render(messages, titles, options);
    if (titles.some((_, index) => !order.includes(index))) {
      const reason = 'The chat template leaves documents out of these messages.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'documents' });
    }
    const expected = [...titles.map((title) => this.frameOf(title)), ...passages.map(() => EMPTY_FRAME)];
    const bare = stripFrames(stretches, order, expected, markers);
    return {
      stretches: (bare ?? stretches).map((stretch) => markers.pieces(stretch, titles)),
      order,
      frames: bare ? expected : expected.map(() => EMPTY_FRAME),
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
      const asked = { messages: PROBE, titles: [title, title, title], native, options: {}, passages: [] };
      const { stretches, order } = this.#marked(markers, asked);
      if (order.join() !== '0,1,2') return undefined;
      return learnFrame(stretches.map((stretch) => markers.withoutTitles(stretch)));
    } catch {
      return undefined;
    }
  }

  #toolCallForm(messages: readonly ChatMessage[]): ToolCallForm {
    if (!this.#template || !messages.some((message) => message.tool_calls !== undefined)) return USUAL_FORM;
    this.#form ??= learnToolCallForm(this.#template, this.#specialTokens);
    return this.#form;
  }

  #marked(markers: TemplateMarkers, asked: Asked): { stretches: string[]; order: number[] } {
    const documents = asked.titles.map((title, index) => ({
      ...(title ? { title: markers.title(index) } : {}),
      text: markers.document(index),
    }));
    const placed = documents.map(({ title, text }) => `${title === undefined ? '' : `Title: ${title}\n`}${text}\n\n`);
    const shown = asked.native && documents.length > 0 ? documents : null;
    const rendered = this.#renderText(markers, asked, asked.native ? '' : placed.join(''), shown);
    return markers.split(asked.options.continueFinalMessage ? cutBehindEnd(rendered, markers) : rendered);
  }

  /**
   * @param before goes in front of the first user message (else of the last message)
   * @param documents for the template's own variable; null if it has none
   */
  #renderText(
    markers: TemplateMarkers,
    { messages, titles, options, passages }: Asked,
    before: string,
    documents: { title?: string; text: string }[] | null,
  ): string {
    if (!this.#template) {
      const reason = 'This model has no chat template; use /v1/completions.';
      throw new BlockstitchError('invalid_request', { reason }, { param: 'messages' });
    }
    const { tools, templateKwargs = {}, continueFinalMessage = false } = options;
    const disarm = (text: string) => markers.disarm(text);
    const markOf = (passage: number) => markers.document(titles.length + passage);
    const firstUser = messages.findIndex((message) => message.role === 'user');
    const at = firstUser >= 0 ? firstUser : messages.length - 1;
    const form = this.#toolCallForm(messages);
    const shown = messages.map((message, index) => {
      const whole = { ...mapStrings(inForm(message, form), disarm), role: message.role };
      const disarmed = passages.some((passage) => passage.message === index)
        ? { ...whole, content: withMarkedPassages(message.content ?? '', index, passages, { markOf, disarm }) }
        : whole;
      const end = continueFinalMessage && index === messages.length - 1 ? markers.end : '';
      if ((index !== at || before === '') && end === '') return disarmed;
      return { ...disarmed, content: `${index === at ? before : ''}${disarmed.content ?? ''}${end}` };
    });
    return this.#template.render({
      ...this.#specialTokens,
      ...mapStrings(templateKwargs, disarm),
      messages: shown,
      tools: tools === undefined || tools.length === 0 ? null : mapStrings(tools, disarm),
      documents,
      add_generation_prompt: options.addGenerationPrompt ?? !continueFinalMessage,
    });
  }
}

/** What one rendering is asked for. */
interface Asked {
  messages: readonly ChatMessage[];
  titles: readonly (string | undefined)[];
  /** Whether the template places documents itself. */
  native: boolean;
  options: TemplateOptions;
  passages: readonly MessagePassage[];
}

/**
 * The prompt up to the end of its last message, as `transformers` cuts it (chat_template_utils.py): where the template
 * has trimmed the message, white space at the cut goes too.
 */
function cutBehindEnd(rendered: string, markers: TemplateMarkers): string {
  const mark = markers.end.trimEnd();
  const at = rendered.lastIndexOf(mark);
  if (at < 0) {
    const reason = 'continue_final_message cannot be kept: the chat template leaves the end of the last message out.';
    throw new BlockstitchError('invalid_request', { reason }, { param: 'continue_final_message' });
  }
  const kept = rendered.slice(0, at);
  return rendered.startsWith(markers.end, at) ? kept : kept.trimEnd();
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
