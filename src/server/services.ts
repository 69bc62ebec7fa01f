/**
 * What the routes use: the model, the engine, text, prompts, segmenters and documents behind small interfaces.
 * open-services.ts makes the real ones, tests make fakes. Knows no HTTP.
 */

import type { BlockCache } from '../cache/block-cache.js';
import type { Config } from '../config.js';
import type { Documents } from '../documents/documents.js';
import type { Engine } from '../engine/engine.js';
import type { GrammarService } from '../grammar/grammar-service.js';
import type { ImportedModel } from '../model/imported-model.js';
import type { BlockEdges } from '../prompt/block-edges.js';
import type { ChatMessage } from '../prompt/chat-messages.js';
import type { PromptDocument } from '../prompt/document-blocks.js';
import type { MessagePassage } from '../prompt/message-passages.js';
import type { PromptContext } from '../prompt/prompt-builder.js';
import type { AttentionMode, PlanBlock, PromptPlan } from '../prompt/prompt-plan.js';
import type { TemplateOptions } from '../prompt/template-data.js';
import type { Segment, SegmentContext, SegmentOptions } from '../segment/segmenter.js';
import type { CallNotation } from '../tools/call-notation.js';
import type { DefaultAttention } from './default-attention.js';
import type { ServerMetrics } from './metrics/server-metrics.js';

export interface TextServices {
  /** @param options `param` names the text in errors; `signal` is the client's */
  encode(text: string, options?: { param: string; signal: AbortSignal }): Promise<Int32Array>;
  /** One token as text, as logprobs show it. */
  tokenText(tokenId: number): string;
  /** The token's UTF-8 bytes, which may be part of a character. */
  tokenBytes(tokenId: number): number[];
  /**
   * Turns a stream of ids into text; holds back bytes until they are whole characters. Control tokens are no text, but
   * with `showMarkers` those that begin or end calls.
   */
  detokenizer(options?: { showMarkers?: boolean; showControl?: boolean }): {
    push(tokenId: number): string;
    flush(): string;
  };
  /** Finds stop strings in a stream of text; holds back what may become one. */
  stopMatcher(stops: readonly string[]): StopMatching;
  close(): Promise<void>;
}

export interface StopMatching {
  /** @returns text that is safe to send, and the stop string once it has been seen (text after it is dropped) */
  push(text: string): { text: string; stop?: string };
  /** @returns what was held back */
  flush(): string;
}

export interface PromptServices {
  readonly sinkTokenIds: Int32Array;
  readonly edges: BlockEdges;
  chat(
    input: {
      messages: readonly ChatMessage[];
      documents: readonly PromptDocument[];
      passages?: readonly MessagePassage[];
      attention: AttentionMode;
    } & PromptContext &
      TemplateOptions,
  ): Promise<PromptPlan>;
  /** `blocks` become cached blocks, `prompt` the final block. */
  completion(
    input: {
      prompt: string | readonly number[];
      blocks: readonly string[];
      attention: AttentionMode;
    } & PromptContext,
  ): Promise<PromptPlan>;
  /** The blocks that `chat` makes of one document: what ingestion must cache. */
  documentBlocks(document: PromptDocument, context?: PromptContext): Promise<PlanBlock[]>;
}

export interface Services {
  config: Config;
  model: ImportedModel;
  /** Attention of requests that name none. */
  defaultAttention: DefaultAttention;
  /** Whether messages of requests that do not say so are cut into blocks by themselves. */
  autoBlocks: boolean;
  engine: Engine;
  /** Where blocks are kept. */
  cache: Pick<BlockCache, 'brand' | 'find' | 'forget' | 'statistics' | 'usage' | 'bytesOf'>;
  text: TextServices;
  prompts: PromptServices;
  /** How the model writes calls of functions. */
  notation: CallNotation;
  /** Options absent from `options` come from the configuration. */
  segment(text: string, options: SegmentOptions, context?: SegmentContext): Promise<Segment[]>;
  documents: Documents;
  /** Makes grammars of what answers must look like. */
  grammars: Pick<GrammarService, 'compile'>;
  metrics: ServerMetrics;
  /** `failing`: the store cannot be reached, or its calls fail. Requests go on; documents by id may be refused. */
  storeState(): 'ok' | 'failing';
  /** Ends engine and stores: running requests get `graceMs`. */
  close(graceMs?: number): Promise<void>;
}
