/**
 * One choice: the engine's tokens as text, cut at stop strings, with logprobs beside it; calls of functions apart.
 * Knows detokenizing, stopping and reading calls in this order; the routes word the result.
 */
import type { GenerateEvent, GenerateRequest } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { CallParser, ParsedPart } from '../../tools/call-parser.js';
import type { Prefilled, RequestObserver } from '../metrics/server-metrics.js';
import type { Services, StopMatching } from '../services.js';

type TokenEvent = Extract<GenerateEvent, { type: 'token' }>;

export interface TokenEntry {
  token: string;
  logprob: number;
  bytes: number[];
  /** Where it begins in the choice's text, in Unicode characters. */
  offset: number;
  alternatives: { token: string; logprob: number; bytes: number[] }[];
}

export type ChoiceEvent =
  | Prefilled
  /** `text` is empty if logprobs come while their text is held back. */
  | { type: 'text'; text: string; logprobs: TokenEntry[] }
  /** A call begins, or more of its arguments has come. */
  | { type: 'call'; part: CallPart; logprobs: TokenEntry[] }
  | ({ type: 'finish'; stop?: string; generatedTokens: number; predicted: Predicted } & Ending);

interface Ending {
  reason: FinishReason;
  /** Whether the last call lacks a part of its arguments. */
  isCallCut: boolean;
}

/** What prompt lookup did for a choice, in tokens. */
export interface Predicted {
  proposed: number;
  accepted: number;
}

export type FinishReason = 'stop' | 'length' | 'tool_calls';
export type CallPart = Exclude<ParsedPart, { type: 'content' }>;

/** What is done with the text of a choice. */
export interface Reading {
  stops: readonly string[];
  /** Whether control tokens that begin or end calls are text. */
  showMarkers: boolean;
  /** Reads calls, if functions may be called. */
  calls?: CallParser;
}

/**
 * Generates one choice.
 *
 * @param signal the client's; its reason is thrown when it aborts
 * @throws BlockstitchError what the engine throws, `deadline_exceeded`, `client_closed`, `shutting_down`
 */
export async function* streamChoice(
  services: Pick<Services, 'engine' | 'text'>,
  request: GenerateRequest,
  { stops, showMarkers, calls }: Reading,
  signal: AbortSignal,
  observer: RequestObserver,
): AsyncGenerator<ChoiceEvent> {
  const ending = new AbortController();
  const engineSignal = AbortSignal.any([signal, ending.signal]);
  const detokenizer = services.text.detokenizer({ showMarkers });
  const matcher = stops.length > 0 ? services.text.stopMatcher(stops) : undefined;
  let generatedTokens = 0;
  const predicted: Predicted = { proposed: 0, accepted: 0 };
  let characters = 0;
  let entries: TokenEntry[] = [];
  let accounted = false;
  const finished = (reason: Parameters<RequestObserver['finished']>[0]) => {
    accounted = true;
    observer.finished(reason);
  };
  try {
    for await (const event of services.engine.generate(request, engineSignal)) {
      if (event.type !== 'prefilled') predicted.proposed += event.proposedTokens ?? 0;
      if (event.type === 'prefilled') {
        observer.prefilled(event);
        yield event;
      } else if (event.type === 'token') {
        observer.token();
        generatedTokens += 1;
        if (event.accepted) predicted.accepted += 1;
        const piece = detokenizer.push(event.tokenId);
        if (request.sampling.topLogprobs !== undefined) {
          entries.push(tokenEntry(event, services, characters));
          characters += charactersOf(piece);
        }
        const { text, stop } = passText(matcher, piece);
        yield* partsOf(text, entries, calls);
        entries = [];
        if (stop !== undefined) {
          yield* partsOf('', [], calls, true);
          finished('stop');
          yield { type: 'finish', ...withCalls('stop', calls), stop, generatedTokens, predicted };
          return;
        }
        // Nothing behind the last call that may be made is wanted.
        if (calls?.isDone) {
          finished('stop');
          yield { type: 'finish', ...withCalls('stop', calls), generatedTokens, predicted };
          return;
        }
      } else {
        const reason = finalReason(event.reason, request, signal);
        const last = passText(matcher, detokenizer.flush());
        const text = last.text + (last.stop === undefined ? (matcher?.flush() ?? '') : '');
        yield* partsOf(text, [], calls, true);
        finished(last.stop === undefined ? reason : 'stop');
        const tokens = Math.max(generatedTokens, event.generatedTokens);
        const { stop } = last;
        const counts = { generatedTokens: tokens, predicted };
        if (stop === undefined) yield { type: 'finish', ...withCalls(reason, calls), ...counts };
        else yield { type: 'finish', ...withCalls('stop', calls), stop, ...counts };
        return;
      }
    }
    signal.throwIfAborted();
    throw new BlockstitchError('engine_failed', { reason: 'it ended a request without saying why' });
  } catch (error) {
    accounted = true;
    observer.failed(signal.aborted ? 'abort' : 'error');
    throw signal.aborted ? signal.reason : error;
  } finally {
    ending.abort();
    // The reader has gone while it had the last event in hand.
    if (!accounted) observer.failed('abort');
    observer.left();
  }
}

/** Text as events: content, and calls apart. Logprobs go with the first event. @param isEnd no more text follows */
function* partsOf(
  text: string,
  entries: TokenEntry[],
  calls: CallParser | undefined,
  isEnd = false,
): Iterable<ChoiceEvent> {
  const content = text === '' ? [] : [{ type: 'content' as const, text }];
  const parts: ParsedPart[] = calls === undefined ? content : [...calls.push(text), ...(isEnd ? calls.flush() : [])];
  if (parts.length === 0 && entries.length > 0) parts.push({ type: 'content', text: '' });
  let logprobs = entries;
  for (const part of parts) {
    yield part.type === 'content' ? { type: 'text', text: part.text, logprobs } : { type: 'call', part, logprobs };
    logprobs = [];
  }
}

/** An answer that ends by itself behind whole calls ends for them. */
function withCalls(reason: 'stop' | 'length', calls: CallParser | undefined): Ending {
  const isCallCut = calls !== undefined && !calls.isWhole;
  const endsForCalls = reason === 'stop' && calls !== undefined && calls.calls > 0 && !isCallCut;
  return { reason: endsForCalls ? 'tool_calls' : reason, isCallCut };
}

function passText(matcher: StopMatching | undefined, text: string): { text: string; stop?: string } {
  return matcher && text !== '' ? matcher.push(text) : { text };
}

/** @throws BlockstitchError for ends that are not answers */
function finalReason(
  reason: Extract<GenerateEvent, { type: 'finish' }>['reason'],
  request: GenerateRequest,
  signal: AbortSignal,
): 'stop' | 'length' {
  if (reason === 'stop' || reason === 'length') return reason;
  if (reason === 'deadline') throw new BlockstitchError('deadline_exceeded', { deadlineMs: request.deadlineMs ?? 0 });
  signal.throwIfAborted();
  throw new BlockstitchError('shutting_down');
}

function charactersOf(text: string): number {
  let characters = 0;
  for (const _ of text) characters += 1;
  return characters;
}

function tokenEntry(event: TokenEvent, { text }: Pick<Services, 'text'>, offset: number): TokenEntry {
  const piece = (tokenId: number) => ({ token: text.tokenText(tokenId), bytes: text.tokenBytes(tokenId) });
  return {
    ...piece(event.tokenId),
    logprob: event.logprob ?? 0,
    offset,
    alternatives: (event.topLogprobs ?? []).map(({ tokenId, logprob }) => ({ ...piece(tokenId), logprob })),
  };
}
