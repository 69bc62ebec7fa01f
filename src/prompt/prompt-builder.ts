/**
 * Makes prompt plans: the chat template's stretches and the documents' segments become blocks, each tokenized on its
 * own, and what follows the last document becomes the final block. ChatRendering decides where documents stand,
 * DocumentBlocks how a document becomes blocks, the engine which blocks are cached.
 */
import { BlockstitchError } from '../errors.js';
import type { TextService } from '../text/text-service.js';
import { isObject, type JsonObject } from '../text/tokenizer-file.js';
import { NOTATIONS, type NotationName } from '../tools/call-notation.js';
import { type BlockEdges, NO_EDGES, withEdges } from './block-edges.js';
import { type ChatMessage, readMessages } from './chat-messages.js';
import { ChatRendering } from './chat-rendering.js';
import { ChatTemplate } from './chat-template.js';
import { concatenate, DocumentBlocks, type PromptContext, type PromptDocument } from './document-blocks.js';
import { EMPTY_FRAME } from './document-frame.js';
import { type MessagePassage, movedPassages, passageFrame } from './message-passages.js';
import type { AttentionMode, PlanBlock, PromptPlan } from './prompt-plan.js';
import { checkTemplateOptions, type TemplateOptions } from './template-data.js';
import { controlPattern } from './template-markers.js';
import { ToldTools } from './told-tools.js';

export interface PromptBuilderOptions {
  textService: TextService;
  /**
   * Every prompt under block attention begins with these ids. If the template's text begins with them too (or the
   * first few), they are taken off.
   */
  sinkTokenIds: Int32Array;
  /** What stands around every block, under both attentions. Default: nothing. */
  edges?: BlockEdges;
  /**
   * Whether prompts under full attention begin with the sinks too, as they must where sinks were learned. Default:
   * false; their tokens are then those of `transformers`.
   */
  sinksUnderFull?: boolean;
  /** How the model writes calls, where the prompt must say it. Default: hermes. */
  notation?: NotationName;
}

export type { PromptContext };

export interface ChatInput extends PromptContext, TemplateOptions {
  /** OpenAI's messages; checked here. */
  messages: unknown;
  documents?: readonly PromptDocument[];
  /** Passages in messages that become blocks too; in order, apart from one another. */
  passages?: readonly MessagePassage[];
  /** Default `block`. */
  attention?: AttentionMode;
}

export interface CompletionInput extends PromptContext {
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
  /** Why no chat can be rendered, if the checkpoint has a chat template and it cannot be used. */
  readonly templateFault: string | undefined;
  readonly edges: BlockEdges;
  readonly #sinksUnderFull: boolean;
  readonly #text: TextService;
  readonly #rendering: ChatRendering;
  readonly #documents: DocumentBlocks;
  readonly #tools: ToldTools;

  /** @throws BlockstitchError `checkpoint_invalid` for a chat template that does not parse */
  constructor(options: PromptBuilderOptions) {
    const { chatTemplate, checkpointDir, config, tokenizer } = options.textService;
    const control = controlPattern([...tokenizer.controlIds].flatMap((id) => tokenizer.token(id) ?? []));
    const template =
      chatTemplate === undefined ? undefined : new ChatTemplate(chatTemplate, checkpointDir, specialTokens(config));
    this.#text = options.textService;
    this.sinkTokenIds = options.sinkTokenIds;
    this.edges = options.edges ?? NO_EDGES;
    this.#sinksUnderFull = options.sinksUnderFull ?? false;
    this.templateFault = template?.fault;
    this.#rendering = new ChatRendering(template, specialTokens(config), control);
    this.#tools = new ToldTools(template, specialTokens(config), NOTATIONS[options.notation ?? 'hermes']);
    this.#documents = new DocumentBlocks(options.textService, control, this.edges);
  }

  /**
   * @throws BlockstitchError `invalid_request` (messages, what the template says of them, tokens that the model does
   *   not have), `empty_input`, `text_not_encodable`, `queue_full`
   */
  async chat(input: ChatInput): Promise<PromptPlan> {
    checkTemplateOptions(input);
    const given = readMessages(input.messages);
    const { messages, tools = [] } = this.#tools.told(given, input.tools, input.toolsMayBeCalled);
    const documents = input.documents ?? [];
    const attention = input.attention ?? 'block';
    const titles = documents.map((document) => document.title);
    const passages = movedPassages(input.passages ?? [], given, messages);
    const options = { ...input, tools };
    const { stretches, order, frames } = this.#rendering.render(messages, titles, options, passages);
    const encoded = await this.#encodeStretches(stretches, input.signal);
    const final = encoded.pop() ?? new Int32Array();
    if (order.length === 0) return this.#withoutDocuments(messages, tools, final, attention);
    const inMessages = passages.map(({ message, start, end, segments }) => ({
      text: messages[message]?.content?.slice(start, end) ?? '',
      segments,
      message: { index: given.indexOf(messages[message] as ChatMessage), offset: start },
    }));
    const framesOfAll = [...frames.slice(0, documents.length), ...passages.map(passageFrame)];
    const ofDocuments = await Promise.all(
      [...documents, ...inMessages].map((document, index) =>
        this.#documents.blocks(document, framesOfAll[index] ?? EMPTY_FRAME, index, input),
      ),
    );
    const sinks = this.#sinks(attention);
    const blocks: PlanBlock[] = [];
    for (const [at, stretch] of encoded.entries()) {
      const tokenIds = at === 0 ? withoutSinks(stretch, sinks) : stretch;
      if (tokenIds.length > 0) blocks.push({ tokenIds: withEdges(this.edges, tokenIds), kind: 'template' });
      blocks.push(...(ofDocuments[order[at] ?? -1] ?? []));
    }
    return this.#plan(attention, sinks, blocks, final, 'messages');
  }

  /** @throws BlockstitchError `empty_input`, `text_not_encodable`, `invalid_request` for ids outside the vocabulary */
  async completion(input: CompletionInput): Promise<PromptPlan> {
    const texts = input.blocks ?? [];
    const blocks: PlanBlock[] = [];
    for (const [index, text] of texts.entries()) {
      const param = `blocks[${index}]`;
      if (text === '') throw new BlockstitchError('empty_input', { what: param }, { param });
      const tokenIds = await this.#text.encode(text, { param, signal: input.signal });
      const source = { documentIndex: index, start: 0, end: text.length };
      if (tokenIds.length > 0) blocks.push({ tokenIds: withEdges(this.edges, tokenIds), kind: 'document', source });
    }
    const prompt = await this.#readPrompt(input.prompt, input.signal);
    const attention = input.attention ?? 'block';
    if (attention === 'full' && !this.#sinksUnderFull) {
      // Text gets the ids that the tokenizer puts in front; ids are taken as they are.
      const isText = typeof input.prompt === 'string' || blocks.length > 0;
      const prefix = Int32Array.from(isText ? this.#text.tokenizer.promptPrefix : []);
      return this.#plan(attention, prefix, blocks, prompt, 'prompt');
    }
    const final = blocks.length === 0 ? withoutSinks(prompt, this.sinkTokenIds) : prompt;
    return this.#plan(attention, this.sinkTokenIds, blocks, final, 'prompt');
  }

  /** The blocks that `chat` makes of one document wherever it stands: what ingestion must cache. */
  async documentBlocks(document: PromptDocument, context: PromptContext = {}): Promise<PlanBlock[]> {
    return this.#documents.blocks(document, this.#rendering.frameOf(document.title), 0, context);
  }

  /**
   * Without documents the tokens are those of the whole rendered prompt, and the system message is a block, without
   * edges. The first block sees the same as under full attention, so this caches the header and changes no result.
   */
  async #withoutDocuments(
    messages: readonly ChatMessage[],
    tools: readonly unknown[],
    prompt: Int32Array,
    attention: AttentionMode,
  ): Promise<PromptPlan> {
    const sinks = this.#sinks(attention);
    const ids = withoutSinks(prompt, sinks);
    const cut = await this.#headerLength(ids, messages, tools);
    const blocks: PlanBlock[] = cut > 0 ? [{ tokenIds: ids.slice(0, cut), kind: 'template' }] : [];
    return this.#plan(attention, sinks, blocks, ids.slice(cut), 'messages');
  }

  /**
   * @param tools those that the template shows; most templates put them into the system message
   * @returns tokens up to the control token that ends the system message; 0 for no header
   */
  async #headerLength(ids: Int32Array, messages: readonly ChatMessage[], tools: readonly unknown[]): Promise<number> {
    const system = messages.length > 1 && messages[0]?.role === 'system' ? (messages[0].content ?? '') : '';
    const tokens = await this.#text.count(tools.length === 0 ? system : system + JSON.stringify(tools));
    if (tokens < MIN_HEADER_TOKENS) return 0;
    const end = ids.findIndex((id, at) => at >= tokens && this.#text.tokenizer.controlIds.has(id));
    return Math.max(end, 0);
  }

  async #encodeStretches(stretches: readonly string[][], signal: AbortSignal | undefined): Promise<Int32Array[]> {
    const ids = await this.#text.encodeAll(stretches.flat(), { parseControl: true, param: 'messages', signal });
    let taken = 0;
    return stretches.map((pieces) => {
      taken += pieces.length;
      return concatenate(ids.slice(taken - pieces.length, taken));
    });
  }

  async #readPrompt(prompt: string | readonly number[], signal: AbortSignal | undefined): Promise<Int32Array> {
    if (typeof prompt === 'string') return this.#text.encode(prompt, { parseControl: true, param: 'prompt', signal });
    const limit = this.#text.rows;
    const wrong = prompt.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= limit);
    if (wrong < 0) return Int32Array.from(prompt);
    const param = `prompt[${wrong}]`;
    throw new BlockstitchError(
      'invalid_request',
      { reason: `${param} must be a token id, 0 to ${limit - 1}.` },
      { param },
    );
  }

  /** A sink that is no more than BOS stands in front under full attention only if the template writes it. */
  #sinks(attention: AttentionMode): Int32Array {
    return attention === 'full' && !this.#sinksUnderFull ? new Int32Array(0) : this.sinkTokenIds;
  }

  #plan(
    attention: AttentionMode,
    sinkTokenIds: Int32Array,
    blocks: PlanBlock[],
    finalTokenIds: Int32Array,
    param: string,
  ): PromptPlan {
    if (finalTokenIds.length === 0) {
      throw new BlockstitchError(
        'empty_input',
        { what: `The end of the prompt, behind the blocks (${param}),` },
        { param },
      );
    }
    return { attention, sinkTokenIds, blocks, finalTokenIds };
  }
}

/**
 * The sinks stand at the front already. Where the text begins with them too, they are taken off. A template does not
 * know learned sinks, so its text may begin with the first few only (BOS).
 */
function withoutSinks(ids: Int32Array, sinks: Int32Array): Int32Array {
  let same = 0;
  while (same < sinks.length && ids[same] === sinks[same]) same += 1;
  return ids.slice(same);
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
