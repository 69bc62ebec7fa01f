/**
 * Clients that ask one question after another while something is broken, and the account of what they got.
 * Knows what may fail: what was under way on a process that was killed, and what cannot be had while its owner is away.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { DOCUMENTS, type Mode, type Server, type World } from './world.js';

export interface Account {
  answers: number;
  wrong: number;
  /** Under way on a process, or an engine's worker, that was killed. */
  inFlight: number;
  /** Told to come again: documents by id while their store is away, all while the engine starts again. */
  refused: number;
  /** What must not happen. */
  failed: string[];
}

export interface TrafficOptions {
  clients?: number;
  modes?: readonly Mode[];
}

/** A client that was refused waits a while, as Retry-After tells it. */
const RETRY_MS = 100;
/** Time between two times that blocks must come from the store again. */
const EMPTY_MS = 250;

export class Traffic {
  readonly account: Account = { answers: 0, wrong: 0, inFlight: 0, refused: 0, failed: [] };
  /** Servers that take requests. Clients wait while there is none. */
  readonly servers = new Set<Server>();
  /** The store cannot be reached, or has lost what it had: ids may be refused. */
  storeAway = false;
  /** The engine's worker was ended: what it had under way fails with `engine_failed`, then it is `not_ready`. */
  engineKilled = false;
  readonly #world: World;
  readonly #modes: readonly Mode[];
  readonly #running: Promise<void>[];
  #stopping = false;

  constructor(world: World, servers: readonly Server[], { clients = 3, modes = ['id', 'text'] }: TrafficOptions = {}) {
    this.#world = world;
    this.#modes = modes;
    for (const server of servers) this.servers.add(server);
    this.#running = Array.from({ length: clients }, (_, client) => this.#client(client));
    this.#running.push(this.#emptier());
  }

  /** Resolves when so many more answers have come. */
  async answered(count: number): Promise<void> {
    const goal = this.account.answers + count;
    await this.#world.until(`${count} more answers`, async () => this.account.answers >= goal);
  }

  async stop(): Promise<Account> {
    this.#stopping = true;
    await Promise.all(this.#running);
    return this.account;
  }

  async #client(client: number): Promise<void> {
    for (let turn = client; !this.#stopping; turn++) {
      const all = [...this.servers];
      const server = all[turn % Math.max(1, all.length)];
      if (server === undefined) {
        await delay(20);
        continue;
      }
      await this.#ask(server, this.#world.draw(0, DOCUMENTS - 1), this.#modes[turn % this.#modes.length] as Mode);
    }
  }

  async #ask(server: Server, index: number, mode: Mode): Promise<void> {
    const { account } = this;
    let away = this.storeAway;
    let engine = this.engineKilled;
    try {
      const { status, code, message, answer } = await this.#world.ask(server.url, index, mode);
      away ||= this.storeAway;
      engine ||= this.engineKilled;
      if (status === 200) {
        account.answers++;
        if (!this.#world.isRight(index, answer)) account.wrong++;
      } else if (away && mode === 'id' && (code === 'store_failed' || code === 'document_not_found')) account.refused++;
      else if (engine && code === 'engine_failed') account.inFlight++;
      else if (engine && code === 'not_ready') account.refused++;
      else if (server.killed.aborted) account.inFlight++;
      else account.failed.push(`by ${mode}: ${status} ${code} ${message}`);
      if (status !== 200) await delay(RETRY_MS);
    } catch (error) {
      if (server.killed.aborted) account.inFlight++;
      else account.failed.push(`by ${mode}: ${(error as Error).cause ?? error}`);
    }
  }

  /** Keeps blocks from staying in the pool: a fault of the store is met then. */
  async #emptier(): Promise<void> {
    while (!this.#stopping) {
      for (const { url } of this.servers) await this.#world.emptyNearTiers(url).catch(() => undefined);
      await delay(EMPTY_MS);
    }
  }
}
