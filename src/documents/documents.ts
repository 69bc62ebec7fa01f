/**
 * The door of this room: documents that clients register, and the documents of a request.
 *
 *   ingest   cuts, computes, stores and registers a document
 *   start    the same as a job, behind the client's back
 *   get      one document
 *   list     documents in pages
 *   forget   drops a document's blocks, then the document
 *   inputs   the documents of a request, cut into segments
 *
 * Words: document = a text with an id; record = a document as it is kept, with the key of every block that was computed
 * for it; shelf = where records or jobs are kept, in LMDB or Redis; registry = the records on a shelf; scope = tenant and
 * salt, who shares documents with whom; job = an ingestion that a client does not wait for; queue = who runs the jobs,
 * and when; lease = the right to run a job, where no queue gives it; cut = one way to segment a text; form = model, KV type and sinks under which blocks are computed; orphan = a
 * block of a document that was replaced.
 *
 * What belongs to one document happens one at a time, and in the order in which it arrives here: ingestions, jobs and
 * deletes of one id wait for one another. A job that another server accepted runs as soon as nothing else does.
 * Knows no HTTP, and no brand of store but in its shelves.
 */
import type { CacheScope } from '../cache/tiers.js';
import { Acceptance } from './acceptance.js';
import { CutsInUse } from './cuts-in-use.js';
import { type CutDocument, cutInputs, type InputsRequest, registered } from './document-inputs.js';
import { checkDocumentId, checkDocumentText, checkMetadata } from './document-limits.js';
import type { DocumentParts, SharedParts } from './document-parts.js';
import type { DocumentRecord } from './document-record.js';
import { DocumentRegistry, type ListOptions, type RecordPage } from './document-registry.js';
import { type DocumentShelf, orderKey } from './document-shelf.js';
import { documentId, type Ingested, type IngestProgress, ingestDocument, type NewDocument } from './ingest-document.js';
import { IngestJobs } from './ingest-jobs.js';
import type { JobQueue } from './job-queue.js';
import type { JobState } from './job-record.js';
import { JobRecords } from './job-records.js';
import type { JobShelf } from './job-shelf.js';
import { KeyedQueue } from './keyed-queue.js';
import { JsonSeal, NOT_SIGNED } from './sealed-json.js';
import { UnnamedBlocks } from './unnamed-blocks.js';
import { unregister } from './write-record.js';

export interface Shelves {
  documents: DocumentShelf;
  jobs: JobShelf;
  /** Runs what is on the shelf of jobs. */
  queue: JobQueue;
}

const DAMAGED_TOLD = 'the record of a document is damaged: POST it again, or DELETE it';
/** For an operator who has just begun to sign. */
const NOT_SIGNED_TOLD =
  'the record of a document is not signed and is refused: stop the server, and sign what you trust with ' +
  '`blockstitch cache migrate --store-hmac-keys FILE --trust-unsigned`';

export class Documents {
  readonly jobs: IngestJobs;
  readonly #parts: SharedParts & { cuts: CutsInUse };
  readonly #acceptance: Acceptance;
  readonly #arrivals = new KeyedQueue();

  constructor(shelves: Shelves, given: DocumentParts) {
    const seal = new JsonSeal(given.macs);
    const damaged = (id: string, reason: string) => {
      const told = reason === NOT_SIGNED ? NOT_SIGNED_TOLD : DAMAGED_TOLD;
      given.logger.warn({ id, reason }, told);
    };
    const registry = new DocumentRegistry(shelves.documents, damaged, seal);
    const shared = { ...given, registry, orders: new KeyedQueue(), unnamed: new UnnamedBlocks(given.cache) };
    const parts = { ...shared, cuts: new CutsInUse(shared) };
    this.#parts = parts;
    this.#acceptance = new Acceptance(registry);
    this.jobs = new IngestJobs({
      records: new JobRecords(shelves.jobs, seal, given.logger),
      queue: shelves.queue,
      arrivals: this.#arrivals,
      logger: given.logger,
      maxOpen: given.limits.maxQueue,
      accept: (scope, id) => this.#acceptance.next(scope, id),
      ingest: (scope, document, progress, acceptedMs) =>
        parts.orders.run(
          orderKey(scope, documentId(scope, document)),
          () => ingestDocument(parts, scope, document, progress, acceptedMs),
          progress.signal,
        ),
    });
  }

  /**
   * Ingests a document in place of the one that has its id. When it resolves, every block is stored and the record is
   * durable; or another server has registered a document that was accepted later, and that one is answered.
   *
   * @throws BlockstitchError `empty_input`, `payload_too_large`, `invalid_request`, `store_failed`, and what segmenting and
   *   the engine throw; nothing is registered then
   */
  async ingest(scope: CacheScope, document: NewDocument, progress: IngestProgress): Promise<Ingested> {
    this.#check(document);
    const id = documentId(scope, document);
    const accepted = this.#acceptance.next(scope, id);
    // A client that goes while it waits for its turn asks no more.
    accepted.catch(() => undefined);
    const work = async () => ingestDocument(this.#parts, scope, document, progress, await accepted);
    return this.#inOrder(orderKey(scope, id), work, progress.signal);
  }

  /**
   * Accepts a document for ingestion. When it resolves, the job outlives the process.
   * @throws BlockstitchError `empty_input`, `payload_too_large`, `invalid_request`, `queue_full`, `store_failed`
   */
  async start(scope: CacheScope, document: NewDocument): Promise<JobState> {
    this.#check(document);
    return this.jobs.start(scope, documentId(scope, document), document);
  }

  /** @throws BlockstitchError `document_not_found`, `document_damaged`, `store_failed` */
  async get(scope: CacheScope, id: string): Promise<DocumentRecord> {
    return (await registered(this.#parts.registry, scope, id, 'id')).record;
  }

  /** @throws BlockstitchError `store_failed` */
  async list(scope: CacheScope, options: ListOptions): Promise<RecordPage> {
    return this.#parts.registry.list(scope, options);
  }

  /**
   * Drops every block that was computed for a document, then its record. Where the store refuses, the record stays and
   * the same call finishes it later. Other documents with equal blocks have them computed anew. Needs no engine.
   *
   * @throws BlockstitchError `document_not_found`, `store_failed`
   */
  async forget(scope: CacheScope, id: string, signal?: AbortSignal): Promise<void> {
    const { cuts, unnamed } = this.#parts;
    const work = async () => {
      await cuts.dropping(scope, id, () => unregister(this.#parts, scope, id, cuts.unwritten(scope, id)));
      cuts.written(scope, id);
      await unnamed.retry();
    };
    await this.#inOrder(orderKey(scope, id), work, signal);
  }

  /** The documents of a request, cut. @throws BlockstitchError see `cutInputs` */
  async inputs(request: InputsRequest): Promise<CutDocument[]> {
    return cutInputs(this.#parts, request);
  }

  /** Resolves when nothing is written behind the back of requests any more. Call before the store is closed. */
  async settle(): Promise<void> {
    await this.#parts.cuts.settle();
  }

  /** Behind what arrived before, and alone. */
  #inOrder<T>(order: string, work: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    return this.#arrivals.run(order, () => this.#parts.orders.run(order, work, signal), signal);
  }

  #check({ id, text, metadata }: NewDocument): void {
    if (id !== undefined) checkDocumentId(id);
    checkDocumentText(text, 'text', this.#parts.limits);
    checkMetadata(metadata);
  }
}
