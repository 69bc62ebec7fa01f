/**
 * What each tenant costs and saves, in tokens: a series per tenant that the key file names, so labels are as many as the
 * operator made. Tenants of plain keys, and servers without keys, have none. Knows names; `server-metrics.ts` has the rest.
 */
import { Counter, type Registry } from 'prom-client';

export interface TenantNames {
  /** The tenant's name, as `blockstitch cache stats` shows it; undefined for one without. */
  nameOf(tenant: string): string | undefined;
  /** Every name that there is now. */
  tenantNames(): Iterable<string>;
}

type Labels = 'tenant';

export class TenantTokens {
  #names: TenantNames | undefined;
  readonly #prefilled: Counter<Labels>;
  readonly #cached: Counter<Labels>;
  readonly #generated: Counter<Labels>;

  constructor(registry: Registry) {
    const counter = (name: string, help: string) =>
      new Counter({ name: `blockstitch:${name}`, help, labelNames: ['tenant'], registers: [registry] });
    this.#prefilled = counter('tenant_prefilled_tokens_total', 'Tokens computed for prompts and documents of a tenant');
    this.#cached = counter(
      'tenant_cached_tokens_total',
      'Tokens of prompts and documents of a tenant that were found cached',
    );
    this.#generated = counter('tenant_generation_tokens_total', 'Tokens generated for a tenant');
  }

  namedBy(names: TenantNames): void {
    this.#names = names;
  }

  /** Series of tenants that have no event yet: rate() misses the first one otherwise. */
  zero(): void {
    for (const tenant of this.#names?.tenantNames() ?? []) {
      for (const counter of [this.#prefilled, this.#cached, this.#generated]) counter.inc({ tenant }, 0);
    }
  }

  /** @param tenant its id */
  prefilled(tenant: string, tokens: number): void {
    this.#count(this.#prefilled, tenant, tokens);
  }

  cached(tenant: string, tokens: number): void {
    this.#count(this.#cached, tenant, tokens);
  }

  generated(tenant: string, tokens: number): void {
    this.#count(this.#generated, tenant, tokens);
  }

  #count(counter: Counter<Labels>, id: string, tokens: number): void {
    const tenant = this.#names?.nameOf(id);
    if (tenant !== undefined) counter.inc({ tenant }, tokens);
  }
}
