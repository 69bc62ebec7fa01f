/**
 * Makes prompt plans: the chat template's stretches and the documents' segments become blocks, each tokenized on its
 * own, and what follows the last document becomes the final block (design section 3). Where documents stand is
 * ChatRendering's; how a document becomes blocks, DocumentBlocks'; which blocks are cached, the engine's.
 */
import { BlockstitchError } from '../errors.js';
import type { TextService } from '../text/text-service.js';
import { isObject, type JsonObject } from '../text/tokenizer-file.js';
import { type ChatMessage, readMessages } from './chat-messages.js';
import { ChatRendering } from './chat-rendering.js';
import { ChatTemplate } from './chat-template.js';
import { concatenate, DocumentBlocks, type DocumentSegment, type PromptDocument } from './document-blocks.js';
import { type DocumentFrame, EMPTY_FRAME } from './document-frame.js';
import type { AttentionMode, PlanBlock, PromptPlan } from './prompt-plan.js';
import { controlPattern } from './template-markers.js';

export interface PromptBuilderOptions {
  textService: TextService;
  /** Ids that every prompt begins with; taken off the template's text where that begins with them (or the first few). */
  sinkTokenIds: Int32Array;
  /** Cuts documents that come without segments; by default such a document is one block. */
  segment?: (text: string) => Promise<readonly DocumentSegment[]>;
}

export interface ChatInput {
  /** OpenAI's messages; checked here. */
  messages: unknown;
  documents?: readonly PromptDocument[];
  /** Default `block`. */
  attention?: AttentionMode;
}

export interface CompletionInput {
  /** The final block: text, in which control tokens are taken as such, or token ids. */
  prompt: string | readonly number[];
  /** Texts that become cached blocks; control tokens in them stay text. */
  blocks?: readonly string[];
  attention?: AttentionMode;
}

/** A system message of fewer tokens than a page is not worth a block of its own. */
const MIN_HEADER_TOKENS = 16;

export class PromptBuilder {
  readonly sinkTokenIds: Int32Array;
  readonly #text: TextService;
  readonly #rendering: ChatRendering;
  readonly #documents: DocumentBlocks;
  readonly #segment: PromptBuilderOptions['segment'];

  /** @throws BlockstitchError `checkpoint_invalid` for a chat template that does not parse */
  constructor(options: PromptBuilderOptions) {
    const { chatTemplate, checkpointDir, config, tokenizer } = options.textService;
    const control = controlPattern([...tokenizer.controlIds].flatMap((id) => tokenizer.token(id) ?? []));
    const template = chatTemplate === undefined ? undefined : new ChatTemplate(chatTemplate, checkpointDir);
    this.#text = options.textService;
    this.sinkTokenIds = options.sinkTokenIds;
    this.#segment = options.segment;
    this.#rendering = new ChatRendering(template, specialTokens(config), control);
    this.#documents = new DocumentBlocks(options.textService, control);
  }

  /**
   * @throws BlockstitchError `invalid_request` (messages, or what the template says of them), `empty_input`,
   *   `text_not_encodable`
   */
  async chat(input: ChatInput): Promise<PromptPlan> {
    const messages = readMessages(input.messages);
    const documents = input.documents ?? [];
    const attention = input.attention ?? 'block';
    const titles = documents.map((document) => document.title);
    const { stretches, order, frames } = this.#rendering.render(messages, titles);
    const encoded = await this.#encodeStretches(stretches);
    const final = encoded.pop() ?? new Int32Array();
    if (documents.length === 0) return this.#withoutDocuments(messages, final, attention);
    const ofDocuments = await Promise.all(
      documents.map((document, index) => this.#blocksOf(document, frames[index] ?? EMPTY_FRAME, index)),
    );
    const blocks: PlanBlock[] = [];
    for (const [at, stretch] of encoded.entries()) {
      const tokenIds = at === 0 ? this.#withoutSinks(stretch) : stretch;
      if (tokenIds.length > 0) blocks.push({ tokenIds, kind: 'template' });
      blocks.push(...(ofDocuments[order[at] ?? -1] ?? []));
    }
    return this.#plan(attention, blocks, final, 'messages');
  }

  /** @throws BlockstitchError `empty_input`, `text_not_encodable`, `invalid_request` for ids outside the vocabulary */
  async completion(input: CompletionInput): Promise<PromptPlan> {
    const texts = input.blocks ?? [];
    const blocks: PlanBlock[] = [];
    for (const [index, text] of texts.entries()) {
      const param = `blocks[${index}]`;
      if (text === '') throw new BlockstitchError('empty_input', { what: param }, { param });
      const tokenIds = await this.#text.encode(text, { param });
      const source = { documentIndex: index, start: 0, end: text.length };
      if (tokenIds.length > 0) blocks.push({ tokenIds, kind: 'document', source });
    }
    const prompt = await this.#readPrompt(input.prompt);
    const final = blocks.length === 0 ? this.#withoutSinks(prompt) : prompt;
    return this.#plan(input.attention ?? 'block', blocks, final, 'prompt');
  }

  /** The blocks that `chat` makes of one document wherever it stands: what ingestion must cache. */
  async documentBlocks(document: PromptDocument): Promise<PlanBlock[]> {
    return this.#blocksOf(document, this.#rendering.frameOf(document.title), 0);
  }

  async #blocksOf(document: PromptDocument, frame: DocumentFrame, index: number): Promise<PlanBlock[]> {
    if (document.segments || !this.#segment) return this.#documents.blocks(document, frame, index);
    const segments = await this.#segment(document.text);
    return this.#documents.blocks({ ...document, segments }, frame, index);
  }

  /**
   * Without documents the tokens are those of the whole rendered prompt, and the system message is a block: the first
   * block sees what it sees under full attention, so this changes no result and caches the header.
   */
  async #withoutDocuments(
    messages: readonly ChatMessage[],
    prompt: Int32Array,
    attention: AttentionMode,
  ): Promise<PromptPlan> {
    const ids = this.#withoutSinks(prompt);
    const cut = await this.#headerLength(ids, messages);
    const blocks: PlanBlock[] = cut > 0 ? [{ tokenIds: ids.slice(0, cut), kind: 'template' }] : [];
    return this.#plan(attention, blocks, ids.slice(cut), 'messages');
  }

  /** @returns tokens up to the control token that ends the system message; 0 for no header */
  async #headerLength(ids: Int32Array, messages: readonly ChatMessage[]): Promise<number> {
    const [first] = messages;
    if (first?.role !== 'system' || messages.length < 2) return 0;
    const tokens = await this.#text.count(first.content);
    if (tokens < MIN_HEADER_TOKENS) return 0;
    const end = ids.findIndex((id, at) => at >= tokens && this.#text.tokenizer.controlIds.has(id));
    return Math.max(end, 0);
  }

  async #encodeStretches(stretches: readonly string[][]): Promise<Int32Array[]> {
    const ids = await this.#text.encodeAll(stretches.flat(), { parseControl: true, param: 'messages' });
    let taken = 0;
    return stretches.map((pieces) => {
      taken += pieces.length;
      return concatenate(ids.slice(taken - pieces.length, taken));
    });
  }

  async #readPrompt(prompt: string | readonly number[]): Promise<Int32Array> {
    if (typeof prompt === 'string') return this.#text.encode(prompt, { parseControl: true, param: 'prompt' });
    const limit = this.#text.tokenizer.vocabSize;
    const wrong = prompt.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= limit);
    if (wrong < 0) return Int32Array.from(prompt);
    const param = `prompt[${wrong}]`;
    throw new BlockstitchError(
      'invalid_request',
      { reason: `${param} must be a token id, 0 to ${limit - 1}.` },
      { param },
    );
  }

  /**
   * The sinks stand at the front already: where the text begins with them too, they are taken off. A template knows
   * nothing of learned sinks, so its text may begin with the first few only (BOS).
   */
  #withoutSinks(ids: Int32Array): Int32Array {
    let same = 0;
    while (same < this.sinkTokenIds.length && ids[same] === this.sinkTokenIds[same]) same += 1;
    return ids.slice(same);
  }

  #plan(attention: AttentionMode, blocks: PlanBlock[], finalTokenIds: Int32Array, param: string): PromptPlan {
    if (finalTokenIds.length === 0) {
      throw new BlockstitchError(
        'empty_input',
        { what: `The end of the prompt, behind the blocks (${param}),` },
        { param },
      );
    }
    return { attention, sinkTokenIds: this.sinkTokenIds, blocks, finalTokenIds };
  }
}

/** Special tokens by the names that templates use, from tokenizer_config.json. */
function specialTokens(config: JsonObject): Record<string, string> {
  const tokens: Record<string, string> = {};
  for (const [name, value] of Object.entries(config)) {
    if (!name.endsWith('_token')) continue;
    const content = isObject(value) ? value.content : value;
    if (typeof content === 'string') tokens[name] = content;
  }
  return tokens;
}
