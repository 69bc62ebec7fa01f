/**
 * Limits what one API key uses: requests, prompt tokens and new tokens in a minute, requests at once; or the requests of
 * one address if the server has no keys. Beyond a limit: 429 `rate_limit_exceeded` with Retry-After. Answers say what is
 * left, as OpenAI's do. It runs behind the key check, so a made-up key is never counted as a client.
 * Knows limits and headers. `keys/` knows whose key it is, and counts.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';
import { clientNetwork } from '../client-address.js';
import type { ClientCount } from '../client-counter.js';
import { LocalCounts, type MinuteCounts } from '../keys/minute-counts.js';

export interface ClientLimitsOptions {
  /** Of clients whose key names no limit; 0 sets none. */
  requestsPerMinute: number;
  /** Where keys are counted; in this process by default. */
  counts?: MinuteCounts;
}

declare module 'fastify' {
  interface FastifyRequest {
    /**
     * Counts a prompt and the most tokens that may follow it. What was not generated is given back when the reply ends.
     *
     * @param generated tokens that were generated until it is called
     * @param field     the one that bounds new tokens; `max_tokens` by default
     * @throws BlockstitchError `rate_limit_exceeded`; `payload_too_large` for what no minute has room for
     */
    chargeTokens(promptTokens: number, mostNewTokens: number, generated: () => number, field?: string): Promise<void>;
  }
}

/** Seconds after which a client that has too many requests at once may try again. */
const AT_ONCE_RETRY_SECONDS = 1;

interface Charge {
  kind: 'requests' | 'prompt-tokens' | 'new-tokens';
  what: string;
  limit: number;
  events: number;
}

export const clientLimits = fp<ClientLimitsOptions>(
  (app: FastifyInstance, { requestsPerMinute, counts: ofKeys = new LocalCounts() }, done) => {
    const ofAddresses = new LocalCounts();
    /** Requests that are being answered, by client. */
    const running = new Map<string, number>();
    app.decorateRequest('chargeTokens');
    app.addHook('onRequest', async (request, reply) => {
      const holder = request.keyHolder;
      const client = holder?.client ?? `address ${clientNetwork(request.ip)}`;
      const counts = holder === undefined ? ofAddresses : ofKeys;
      const limits = holder?.limits ?? {};
      request.chargeTokens = async (promptTokens, mostNewTokens, generated, field = 'max_tokens') => {
        const { promptTokensPerMinute: ofPrompts = 0, newTokensPerMinute: ofNew = 0 } = limits;
        const prompt: Charge = { kind: 'prompt-tokens', what: 'prompt tokens', limit: ofPrompts, events: promptTokens };
        const fresh: Charge = { kind: 'new-tokens', what: 'new tokens', limit: ofNew, events: mostNewTokens };
        const charges = [prompt, fresh].filter(({ limit }) => limit > 0);
        for (const charge of charges) refuseHopeless(charge, field);
        const taken: (readonly [Charge, ClientCount])[] = [];
        const giveBack = async ([{ kind }, count]: readonly [Charge, ClientCount], events: number) =>
          counts.giveBack(`${client} ${kind}`, events, count);
        try {
          for (const charge of charges) {
            const counted = await counts.add(`${client} ${charge.kind}`, charge.events);
            taken.push([charge, counted]);
            answerLeft(reply, charge, counted);
            refuseBeyond(reply, charge, counted);
          }
        } catch (error) {
          // What is refused uses nothing.
          await Promise.all(taken.map((each) => giveBack(each, each[0].events)));
          throw error;
        }
        answerTightest(reply, taken);
        const ofAnswer = taken.find(([{ kind }]) => kind === 'new-tokens');
        if (ofAnswer === undefined) return;
        whenEnded(reply, () => {
          const unused = mostNewTokens - generated();
          if (unused > 0) void giveBack(ofAnswer, unused);
        });
      };
      // First: what is refused here does not count as a request of this minute.
      if (limits.concurrent !== undefined) takePlace(running, client, limits.concurrent, reply);
      const limit = limits.requestsPerMinute ?? requestsPerMinute;
      if (limit > 0) {
        const charge: Charge = { kind: 'requests', what: 'requests', limit, events: 1 };
        const counted = await counts.add(`${client} requests`, 1);
        answerLeft(reply, charge, counted);
        refuseBeyond(reply, charge, counted);
      }
    });
    done();
  },
  { name: 'client-limits', dependencies: ['api-keys'] },
);

/** @throws BlockstitchError `rate_limit_exceeded` */
function takePlace(running: Map<string, number>, client: string, limit: number, reply: FastifyReply): void {
  const now = running.get(client) ?? 0;
  if (now >= limit) {
    reply.header('retry-after', AT_ONCE_RETRY_SECONDS);
    throw new BlockstitchError('rate_limit_exceeded', { limit, what: 'requests at once' });
  }
  running.set(client, now + 1);
  whenEnded(reply, () => {
    const left = (running.get(client) ?? 1) - 1;
    if (left === 0) running.delete(client);
    else running.set(client, left);
  });
}

/** @param field bounds new tokens @throws BlockstitchError `payload_too_large` that says what to send */
function refuseHopeless({ kind, what, limit, events }: Charge, field: string): void {
  if (events <= limit) return;
  const isNew = kind === 'new-tokens';
  const details = {
    what: isNew ? `\`${field}\` of all choices together` : 'The request',
    actual: `${events} ${what}`,
    limit: `${limit} a minute`,
    setting: isNew ? `the API key, which allows \`${field}\` of ${limit} over all choices` : 'the API key',
  };
  throw new BlockstitchError('payload_too_large', details, isNew ? { param: field } : {});
}

/** @throws BlockstitchError `rate_limit_exceeded` */
function refuseBeyond(reply: FastifyReply, { what, limit }: Charge, { count, secondsLeft }: ClientCount): void {
  if (count <= limit) return;
  reply.header('retry-after', secondsLeft);
  throw new BlockstitchError('rate_limit_exceeded', { limit, what: `${what} a minute` });
}

function answerLeft(
  reply: FastifyReply,
  { kind, limit }: Pick<Charge, 'limit'> & { kind: string },
  counted: ClientCount,
) {
  reply.headers({
    [`x-ratelimit-limit-${kind}`]: limit,
    [`x-ratelimit-remaining-${kind}`]: Math.max(0, limit - counted.count),
    [`x-ratelimit-reset-${kind}`]: `${counted.secondsLeft}s`,
  });
}

/** OpenAI's clients know one limit of tokens: they get the one of which the smaller share is left. */
function answerTightest(reply: FastifyReply, taken: readonly (readonly [Charge, ClientCount])[]): void {
  const share = ([{ limit }, { count }]: readonly [Charge, ClientCount]) => (limit - count) / limit;
  const [tightest] = [...taken].sort((a, b) => share(a) - share(b));
  if (tightest) answerLeft(reply, { ...tightest[0], kind: 'tokens' }, tightest[1]);
}

function whenEnded(reply: FastifyReply, call: () => void): void {
  if (reply.raw.closed) call();
  else reply.raw.once('close', call);
}
