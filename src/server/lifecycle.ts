/**
 * The server's state (starting, ready, draining, failed) and the requests that are running.
 * Routes ask it for the services; start-server.ts moves it along. The engine has a state of its own. Knows no HTTP.
 */
import { BlockstitchError } from '../errors.js';
import type { Services } from './services.js';

type State =
  | { name: 'starting'; doing: string }
  | { name: 'ready'; services: Services }
  | { name: 'draining'; services: Services | undefined }
  | { name: 'failed' };

export class Lifecycle {
  private state: State = { name: 'starting', doing: 'starting' };
  private readonly active = new Set<AbortController>();
  private readonly idleWaiters: (() => void)[] = [];

  get name(): State['name'] {
    return this.state.name;
  }

  /** Requests that are being answered. */
  get activeRequests(): number {
    return this.active.size;
  }

  /** What /ready reports while the server is not ready. */
  get reason(): string {
    if (this.state.name === 'starting') return this.state.doing;
    if (this.state.name === 'failed') return "its start failed; the server's log says why";
    return this.state.name;
  }

  starting(doing: string): void {
    if (this.state.name === 'starting') this.state = { name: 'starting', doing };
  }

  ready(services: Services): void {
    this.state = { name: 'ready', services };
  }

  /** What failed names hosts and paths: clients do not read it. */
  failed(): void {
    this.state = { name: 'failed' };
  }

  /** @throws BlockstitchError `not_ready` before the model is loaded, `shutting_down` while draining */
  services(): Services {
    if (this.state.name === 'ready') return this.state.services;
    if (this.state.name === 'draining') throw new BlockstitchError('shutting_down');
    throw new BlockstitchError('not_ready', { reason: this.reason });
  }

  /** The services in any state, for /metrics and /health; undefined before they exist. */
  servicesIfAny(): Services | undefined {
    return this.state.name === 'ready' || this.state.name === 'draining' ? this.state.services : undefined;
  }

  /** Counts a request as running until `end` is called; its controller is aborted when a drain runs out of time. */
  begin(): { controller: AbortController; end(): void } {
    const controller = new AbortController();
    this.active.add(controller);
    return {
      controller,
      end: () => {
        if (this.active.delete(controller) && this.active.size === 0) {
          for (const wake of this.idleWaiters.splice(0)) wake();
        }
      },
    };
  }

  /**
   * Takes no new requests and waits for the running ones.
   *
   * @param graceMs after this the rest is aborted
   * @returns requests that had to be aborted
   */
  async drain(graceMs: number): Promise<number> {
    if (this.state.name !== 'draining') this.state = { name: 'draining', services: this.servicesIfAny() };
    await this.quiet(graceMs);
    const left = [...this.active];
    for (const controller of left) controller.abort(new BlockstitchError('shutting_down'));
    return left.length;
  }

  /** Resolves when no request runs any more, and after `ms` at the latest. */
  async quiet(ms: number): Promise<void> {
    if (this.active.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.idleWaiters.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
