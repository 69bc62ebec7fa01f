/**
 * One choice: the engine's tokens as text, cut at stop strings, with logprobs beside it.
 * Knows detokenizing and stopping; the routes word the result.
 */
import type { GenerateEvent, GenerateRequest } from '../../engine/engine.js';
import { BlockstitchError } from '../../errors.js';
import type { Prefilled, RequestObserver } from '../metrics/server-metrics.js';
import type { Services, StopMatching } from '../services.js';

type TokenEvent = Extract<GenerateEvent, { type: 'token' }>;

export interface TokenEntry {
  token: string;
  logprob: number;
  bytes: number[];
  alternatives: { token: string; logprob: number; bytes: number[] }[];
}

export type ChoiceEvent =
  | Prefilled
  /** `text` is empty if logprobs come while their text is held back. */
  | { type: 'text'; text: string; logprobs: TokenEntry[] }
  | { type: 'finish'; reason: 'stop' | 'length'; stop?: string; generatedTokens: number };

/**
 * Generates one choice.
 *
 * @param signal the client's; its reason is thrown when it aborts
 * @throws BlockstitchError what the engine throws, `deadline_exceeded`, `client_closed`, `shutting_down`
 */
export async function* streamChoice(
  services: Pick<Services, 'engine' | 'text'>,
  request: GenerateRequest,
  stops: readonly string[],
  signal: AbortSignal,
  observer: RequestObserver,
): AsyncGenerator<ChoiceEvent> {
  const ending = new AbortController();
  const engineSignal = AbortSignal.any([signal, ending.signal]);
  const detokenizer = services.text.detokenizer();
  const matcher = stops.length > 0 ? services.text.stopMatcher(stops) : undefined;
  let generatedTokens = 0;
  let entries: TokenEntry[] = [];
  try {
    for await (const event of services.engine.generate(request, engineSignal)) {
      if (event.type === 'prefilled') {
        observer.prefilled(event);
        yield event;
      } else if (event.type === 'token') {
        observer.token();
        generatedTokens += 1;
        if (request.sampling.topLogprobs !== undefined) entries.push(tokenEntry(event, services));
        const { text, stop } = passText(matcher, detokenizer.push(event.tokenId));
        if (text !== '' || entries.length > 0) yield { type: 'text', text, logprobs: entries };
        entries = [];
        if (stop !== undefined) {
          observer.finished('stop');
          yield { type: 'finish', reason: 'stop', stop, generatedTokens };
          return;
        }
      } else {
        const reason = finalReason(event.reason, request, signal);
        const last = passText(matcher, detokenizer.flush());
        const text = last.text + (last.stop === undefined ? (matcher?.flush() ?? '') : '');
        if (text !== '') yield { type: 'text', text, logprobs: [] };
        observer.finished(last.stop === undefined ? reason : 'stop');
        const tokens = Math.max(generatedTokens, event.generatedTokens);
        if (last.stop === undefined) yield { type: 'finish', reason, generatedTokens: tokens };
        else yield { type: 'finish', reason: 'stop', stop: last.stop, generatedTokens: tokens };
        return;
      }
    }
    signal.throwIfAborted();
    throw new BlockstitchError('engine_failed', { reason: 'it ended a request without saying why' });
  } catch (error) {
    observer.failed(signal.aborted ? 'abort' : 'error');
    throw signal.aborted ? signal.reason : error;
  } finally {
    ending.abort();
    observer.left();
  }
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

function tokenEntry(event: TokenEvent, { text }: Pick<Services, 'text'>): TokenEntry {
  const piece = (tokenId: number) => ({ token: text.tokenText(tokenId), bytes: text.tokenBytes(tokenId) });
  return {
    ...piece(event.tokenId),
    logprob: event.logprob ?? 0,
    alternatives: (event.topLogprobs ?? []).map(({ tokenId, logprob }) => ({ ...piece(tokenId), logprob })),
  };
}
