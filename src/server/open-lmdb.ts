/** Opens LMDB as the store of blocks, documents and jobs. What lies there is known to src/cache and src/documents. */
import type { ByteStore } from '../cache/byte-store.js';
import { LmdbStore } from '../cache/lmdb-store.js';
import type { Config } from '../config.js';
import type { DocumentLogger } from '../documents/document-parts.js';
import type { Shelves } from '../documents/documents.js';
import { InProcessJobQueue } from '../documents/in-process-job-queue.js';
import { LmdbJobShelf } from '../documents/lmdb-job-shelf.js';
import { LmdbShelf } from '../documents/lmdb-shelf.js';

export interface OpenStores {
  blocks: ByteStore;
  shelves: Shelves;
  /** Of the shelves; the cache closes the store of blocks. */
  close: () => Promise<void>;
}

/** @throws BlockstitchError `config_invalid` if the directory cannot be used, `store_damaged` */
export async function openLmdb(
  config: Config,
  logger: DocumentLogger,
  notice: (line: string) => void = () => undefined,
): Promise<OpenStores> {
  const store = await LmdbStore.open(config.storeDir, {
    maxBytes: config.storeMaxBytes,
    onCheck: () => notice(`the store in ${config.storeDir} was not closed: its files are checked first`),
  });
  const jobs = new LmdbJobShelf(store);
  const queue = new InProcessJobQueue({ shelf: jobs, leases: jobs, logger, maxTaken: config.maxQueue });
  return {
    blocks: store,
    shelves: { documents: new LmdbShelf(store), jobs, queue },
    close: async () => {},
  };
}
