/**
 * Documents in the embedded store, one value under `tenant/id`.
 * The list is read from the keys themselves, so ids and texts cannot part.
 */
import type { LmdbStore } from '../cache/lmdb-store.js';
import { type DocumentShelf, type Head, headOf, idKey, idOf, sameHead } from './document-shelf.js';

/** LMDB takes no longer key. No document was ever kept under one. */
const MAX_KEY_BYTES = 1978;

export class LmdbShelf implements DocumentShelf {
  readonly #store: Pick<LmdbStore, 'documents' | 'write'>;

  constructor(store: Pick<LmdbStore, 'documents' | 'write'>) {
    this.#store = store;
  }

  async get(tenant: string, id: string): Promise<Buffer | undefined> {
    const key = keyOf(tenant, id);
    return key.length > MAX_KEY_BYTES ? undefined : this.#store.documents.get(key);
  }

  put(tenant: string, id: string, value: Buffer, read: Head): Promise<boolean> {
    return this.#change(keyOf(tenant, id), read, (key) => void this.#store.documents.put(key, value));
  }

  remove(tenant: string, id: string, read: Head): Promise<boolean> {
    return this.#change(keyOf(tenant, id), read, (key) => void this.#store.documents.remove(key));
  }

  async listIds(tenant: string, after: string | undefined, limit: number): Promise<string[]> {
    const start = after === undefined ? `${tenant}/` : `${keyOf(tenant, after)}\u0001`;
    const keys = this.#store.documents.getKeys({ start, end: `${tenant}0`, limit });
    return Array.from(keys, (key) => idOf(String(key).slice(tenant.length + 1)));
  }

  async *tenants(): AsyncGenerator<string> {
    for (let start = ''; ; ) {
      const [key] = this.#store.documents.getKeys({ start, limit: 1 });
      if (key === undefined) return;
      const tenant = String(key).slice(0, String(key).indexOf('/'));
      yield tenant;
      // The character behind the slash.
      start = `${tenant}0`;
    }
  }

  /** Nothing to do: what has no value has no key. */
  async unlist(): Promise<void> {}

  /** One transaction compares and changes; other processes on the directory wait for it. */
  #change(key: string, read: Head, change: (key: string) => void): Promise<boolean> {
    return this.#store.write(() => {
      const same = sameHead(headOf(this.#store.documents.get(key)), read);
      return () => {
        if (same) change(key);
        return same;
      };
    });
  }
}

function keyOf(tenant: string, id: string): string {
  return `${tenant}/${idKey(id)}`;
}
