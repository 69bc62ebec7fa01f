/**
 * Jobs on their shelf, as records: under checksums, and signatures if there is a key. A job that cannot be run any more is
 * given up here. Knows no queue.
 */
import type { DocumentLogger } from './document-parts.js';
import { asked } from './document-registry.js';
import { MAX_DEATHS } from './job-queue.js';
import { givenUp, type JobRecord, withoutDocument } from './job-record.js';
import type { JobShelf } from './job-shelf.js';
import type { JsonSeal } from './sealed-json.js';

/** Each call throws BlockstitchError `store_failed` where the store does not answer. */
export class JobRecords {
  readonly #shelf: JobShelf;
  readonly #seal: JsonSeal;
  readonly #logger: Pick<DocumentLogger, 'warn'>;

  constructor(shelf: JobShelf, seal: JsonSeal, logger: Pick<DocumentLogger, 'warn'>) {
    this.#shelf = shelf;
    this.#seal = seal;
    this.#logger = logger;
  }

  /** Durable when it resolves. */
  open(record: JobRecord): Promise<void> {
    return asked(() => this.#shelf.open(record.state.id, this.#sealed(record)));
  }

  /** @returns undefined if there is none, or its bytes are damaged */
  async read(id: string): Promise<JobRecord | undefined> {
    const bytes = await asked(() => this.#shelf.get(id));
    if (bytes === undefined) return undefined;
    const unsealed = this.#seal.unseal(id, bytes);
    return unsealed.ok && unsealed.sealed ? (unsealed.value as JobRecord) : undefined;
  }

  /** @returns undefined if the tenant has no such job */
  async find(tenant: string, id: string): Promise<JobRecord | undefined> {
    const record = await this.read(id);
    return record?.scope.tenant === tenant ? record : undefined;
  }

  /** @returns false if the job has ended; nothing is written then */
  update(record: JobRecord): Promise<boolean> {
    return asked(() => this.#shelf.update(record.state.id, this.#sealed(record)));
  }

  /** From now on nobody cancels the job. @returns false if it has ended */
  seal(id: string): Promise<boolean> {
    return asked(() => this.#shelf.seal(id));
  }

  /**
   * Keeps how a job has ended, without its document.
   * @param unless `sealed`: a sealed job goes on
   * @returns false if it had ended before, or goes on
   */
  end(record: JobRecord, unless?: 'sealed'): Promise<boolean> {
    return asked(() => this.#shelf.end(record.state.id, this.#sealed(withoutDocument(record)), unless));
  }

  /**
   * A job that is to be run.
   * @param deaths processes that did not survive it; undefined: the record counts them
   * @returns undefined if it has ended, is gone, or is given up now
   */
  async startable(id: string, deaths: number | undefined): Promise<JobRecord | undefined> {
    const record = await this.read(id);
    if (record !== undefined && record.state.status !== 'running') return undefined;
    if (record?.document !== undefined && (deaths ?? record.begun ?? 0) < MAX_DEATHS) return record;
    if (await this.end(givenUp(id, record))) {
      this.#logger.warn(
        { job: id },
        record ? 'a job is given up: it was begun too often' : 'a damaged job is given up',
      );
    }
    return undefined;
  }

  #sealed(record: JobRecord): Buffer {
    return this.#seal.seal(record.state.id, record);
  }
}
