/**
 * From a chat's body to its choices: messages, documents and what is to be called become a plan, then sampling and the
 * grammar are added. /v1/chat/completions, /v1/responses and /tokenize read the same body the same way.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { scopeDigest } from '../../cache/block-key.js';
import { BlockstitchError } from '../../errors.js';
import { type ChatMessage, readMessages } from '../../prompt/chat-messages.js';
import { type MessagePassage, outsidePassages } from '../../prompt/message-passages.js';
import { type BlockSource, type PromptPlan, promptTokens } from '../../prompt/prompt-plan.js';
import type { TemplateOptions } from '../../prompt/template-data.js';
import type { ChatBody } from '../schemas/chat-schema.js';
import type { Services } from '../services.js';
import { autoPassages, type CutMessage } from './auto-blocks.js';
import { Choices, type Generation } from './choices.js';
import { predictedTokens } from './predicted-output.js';
import { checkPromptSize } from './prompt-limits.js';
import { attentionMode, checkModel, repairOptions } from './request-basics.js';
import { heldGrammar, requestedStructure } from './requested-structure.js';
import { type RequestedTools, requestedTools } from './requested-tools.js';
import { choiceCount, samplingParams, shareOfKey, stopStrings } from './sampling-params.js';
import { segmentOptions } from './segment-options.js';
import { sentDocuments } from './sent-documents.js';
import { refuseUnsupportedFields } from './unsupported-fields.js';

/** Of the request. */
type Asker = Pick<FastifyRequest, 'clientSignal' | 'scope' | 'trace'>;

export interface PlannedChat {
  plan: PromptPlan;
  /** What citations need, if they are wanted. */
  citing?: NonNullable<Generation['citing']>;
  /** Places of the documents that were left out. */
  skippedDocuments: number[];
  /** Messages that were cut into blocks by themselves. */
  autoBlocks: CutMessage[];
  tools: RequestedTools | undefined;
  structure: ReturnType<typeof requestedStructure>;
}

/** Resolves when the answer has gone out, or its client has left. */
export function endOf(reply: FastifyReply): Promise<void> {
  return new Promise((resolve) => {
    reply.raw.once('close', resolve);
  });
}

/** @param ended see `endOf`; registered documents stay in use until then @throws BlockstitchError for what is wrong */
export async function planChat(
  services: Services,
  body: ChatBody,
  { clientSignal, scope, trace }: Asker,
  ended: Promise<void>,
): Promise<PlannedChat> {
  refuseUnsupportedFields(body, 'chat');
  checkModel(services, body.model);
  const messages = readMessages(body.messages);
  refuseEmptyQuestions(messages);
  const structure = requestedStructure(body);
  const tools = requestedTools(body, services.notation, structure?.structure);
  const template = { ...templateOptions(body), toolsMayBeCalled: tools !== undefined };
  checkPromptSize(shownTexts(messages, template), 'messages', services.config);
  const segmented = <Result>(work: () => Promise<Result>) => trace?.timed('segment', work) ?? work();
  const documents = await segmented(() =>
    services.documents.inputs({
      scope,
      documents: sentDocuments(body.documents ?? []),
      ...(body.segmentation === undefined ? {} : { segmentation: segmentOptions(body.segmentation) }),
      signal: clientSignal,
      ended,
    }),
  );
  const skippedDocuments = leftOut(body.documents?.length ?? 0, documents);
  const attention = attentionMode(services, body);
  const context = { tenant: scopeDigest(scope), signal: clientSignal };
  const auto = { attention, wanted: body.auto_blocks, segmentation: segmentOptions(body.segmentation) };
  const { passages, cut } = await autoPassages(services, cuttableTexts(messages), auto, context);
  const plan = await services.prompts.chat({ messages, documents, passages, attention, ...template, ...context });
  const citing = body.citations ? { citing: citingOf(plan, messages, documents, passages) } : {};
  return { plan, ...citing, skippedDocuments, autoBlocks: cut, tools, structure };
}

/** @throws BlockstitchError for what is wrong, before anything is generated */
export async function startChat(
  services: Services,
  body: ChatBody,
  request: Asker & Pick<FastifyRequest, 'id' | 'chargeTokens' | 'keyHolder'>,
  reply: FastifyReply,
): Promise<Choices> {
  if (body.top_logprobs !== undefined && !body.logprobs) {
    throw new BlockstitchError(
      'invalid_request',
      { reason: '`top_logprobs` needs `logprobs: true`.' },
      { param: 'top_logprobs' },
    );
  }
  const { id, clientSignal, scope, trace } = request;
  const count = choiceCount(body, services.config);
  const stops = stopStrings(body, services.config);
  const planned = await planChat(services, body, request, endOf(reply));
  const { plan, citing, tools, structure, skippedDocuments, autoBlocks } = planned;
  const maxTokens = newTokenLimit(body);
  const sampling = samplingParams(
    {
      body,
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(body.logprobs ? { topLogprobs: body.top_logprobs ?? 0 } : {}),
      promptTokens: promptTokens(plan),
      promptField: 'messages',
      ...shareOfKey(request.keyHolder, count),
    },
    services.model,
    services.config,
  );
  const predicted = await predictedTokens(services, body, clientSignal);
  const asked = tools?.structure === undefined ? structure : { structure: tools.structure, param: 'tools' };
  const grammar = await heldGrammar(services, asked, reply, clientSignal);
  const called = tools === undefined ? {} : { tools: tools.parser };
  const cited = citing === undefined ? {} : { citing };
  const rest = {
    ...repairOptions(services, body),
    ...predicted,
    ...grammar,
    ...called,
    ...cited,
    skippedDocuments,
    autoBlocks,
  };
  const choices = new Choices(services, { label: id, plan, sampling, stops, count, scope, trace, ...rest });
  await request.chargeTokens(promptTokens(plan), choices.mostTokens, () => choices.tokensSoFar, maxTokens?.field);
  return choices;
}

/** The question without its passages, and the text of each block that was cut from a document or a message. */
function citingOf(
  { blocks }: PromptPlan,
  messages: readonly ChatMessage[],
  documents: readonly { place: number; text: string }[],
  passages: readonly MessagePassage[],
): NonNullable<Generation['citing']> {
  const texts = new Map(documents.map(({ place, text }) => [place, text]));
  const textOf = (source: BlockSource) =>
    'messageIndex' in source ? messages[source.messageIndex]?.content : texts.get(source.documentIndex);
  const asked = messages.findLastIndex(({ role }) => role === 'user');
  return {
    question: outsidePassages(messages[asked]?.content ?? '', asked, passages),
    texts: blocks.map(({ source }) => source && textOf(source)?.slice(source.start, source.end)),
  };
}

/** What an assistant said stays whole: nothing was retrieved there. */
function cuttableTexts(messages: readonly ChatMessage[]): (string | undefined)[] {
  return messages.map(({ role, content }) => (role === 'assistant' ? undefined : (content ?? undefined)));
}

/** Places of the documents that are not among `kept`. */
function leftOut(count: number, kept: readonly { place: number }[]): number[] {
  const places = new Set(kept.map(({ place }) => place));
  return Array.from({ length: count }, (_, place) => place).filter((place) => !places.has(place));
}

function newTokenLimit(body: ChatBody): { field: string; value: number } | undefined {
  if (body.max_completion_tokens !== undefined) {
    return { field: 'max_completion_tokens', value: body.max_completion_tokens };
  }
  return body.max_tokens === undefined ? undefined : { field: 'max_tokens', value: body.max_tokens };
}

function refuseEmptyQuestions(messages: readonly ChatMessage[]): void {
  const empty = messages.findIndex(({ role, content }) => role === 'user' && !/\S/.test(content ?? ''));
  if (empty < 0) return;
  const param = `messages[${empty}].content`;
  throw new BlockstitchError('empty_input', { what: param }, { param });
}

/** What the body says to the chat template beside the messages. */
function templateOptions(body: ChatBody): TemplateOptions {
  const { tools, chat_template_kwargs, add_generation_prompt, continue_final_message } = body;
  return {
    ...(tools === undefined ? {} : { tools }),
    ...(chat_template_kwargs === undefined ? {} : { templateKwargs: chat_template_kwargs }),
    ...(add_generation_prompt === undefined ? {} : { addGenerationPrompt: add_generation_prompt }),
    ...(continue_final_message === undefined ? {} : { continueFinalMessage: continue_final_message }),
  };
}

/** Texts that may end up in the prompt. */
function shownTexts(messages: readonly ChatMessage[], { tools, templateKwargs }: TemplateOptions): string[] {
  const texts = messages.flatMap(({ content, tool_calls, reasoning_content }) => [
    content ?? '',
    reasoning_content ?? '',
    tool_calls === undefined ? '' : JSON.stringify(tool_calls),
  ]);
  return [...texts, ...[tools, templateKwargs].flatMap((each) => (each === undefined ? [] : JSON.stringify(each)))];
}
