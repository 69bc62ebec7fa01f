/**
 * Reads the trees of an LMDB file as plain bytes before LMDB maps them into memory: a map of a damaged file ends the
 * process with a signal and without a word. Checks every page of every tree: its number, its kind, its bounds, the
 * order of its keys, and that nothing uses it twice.
 * Knows LMDB's file format (data version 2 of lmdb-js, 64 bits, little-endian). The codec knows the values.
 *
 * Page: u64 number · u64 transaction · u16 pad · u16 flags · u16 lower, u16 upper (overflow: u32 pages). Then the offsets
 * of the nodes, u16 each, up to `lower`; nodes stand from `upper` on, all counted from behind the header.
 * Node: u16 low, u16 high, u16 flags, u16 key bytes, key, value. Branch: low, high and flags are the child's number.
 * Leaf: low and high are the value's bytes; flags tell a value on overflow pages, or a database, from bytes.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';

const HEADER_BYTES = 24;
const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const NONE = 0xffff_ffff_ffff_ffffn;
const KIND = { branch: 0x01, leaf: 0x02, overflow: 0x04, all: 0x6f } as const;
const VALUE = { overflow: 0x01, database: 0x02 } as const;
/** Flag of a database: its last commits may not be on disk yet. */
const OVERLAPPING = 0x1000;
const META = { databases: 24 + 24, databaseBytes: 48, last: 24 + 120 } as const;
/** Milliseconds of reading in one turn of the event loop. */
const SLICE_MS = 10;
/** How often a failed look is repeated if another process writes to the store meanwhile. */
const LOOKS = 20;

interface Tree {
  root: bigint;
  depth: number;
  order: (a: Buffer, b: Buffer) => number;
}

interface Meta {
  transaction: bigint;
  boot: bigint;
  pageBytes: number;
  lastPage: number;
  overlapping: boolean;
  free: Tree;
  main: Tree;
}

class Damage extends Error {}

/**
 * @param values whether to read the heads of large values too: one page for each value
 * @returns what is wrong with the file; undefined if LMDB can use it
 */
export async function damageIn(path: string, values = true): Promise<string | undefined> {
  const file = openSync(path, 'r');
  try {
    for (let look = 1; ; look++) {
      const seen = chooseMeta(file);
      try {
        await new TreeReader(file, seen, values).readAll();
        return undefined;
      } catch (error) {
        if (!(error instanceof Damage)) throw error;
        if (look === LOOKS || chooseMeta(file).transaction === seen.transaction) return error.message;
      }
    }
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  } finally {
    closeSync(file);
  }
}

/** The state that LMDB will go on from: the newest. After a reboot it is the oldest, which is on disk for certain. */
function chooseMeta(file: number): Meta {
  const first = readMeta(file, 0, 'page 0 of data.mdb is damaged');
  const metas = [first, readMeta(file, first.pageBytes, 'page 1 of data.mdb is damaged')];
  const newest = metas.reduce((a, b) => (b.transaction > a.transaction ? b : a));
  const boot = thisBoot();
  if (!newest.overlapping || (boot !== 0n && newest.boot === boot)) return newest;
  try {
    const flushed = readMeta(file, first.pageBytes >> 1, '');
    if (flushed.transaction > 0n) metas.push(flushed);
  } catch {
    // There is none before the first flush.
  }
  return metas.reduce((a, b) => (b.transaction < a.transaction ? b : a));
}

function readMeta(file: number, at: number, otherwise: string): Meta {
  const bytes = Buffer.alloc(HEADER_BYTES + 144);
  if (readSync(file, bytes, 0, bytes.length, at) < bytes.length) throw new Damage(cutShort(file));
  const [magic, version] = [bytes.readUInt32LE(HEADER_BYTES), bytes.readUInt32LE(HEADER_BYTES + 4)];
  const pageBytes = bytes.readUInt32LE(META.databases);
  const sound = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0;
  if (magic !== MAGIC || (version & 0xffff) !== DATA_VERSION || !sound) throw new Damage(otherwise);
  const tree = (place: number, order: Tree['order']): Tree => treeAt(bytes, place, order);
  return {
    transaction: bytes.readBigUInt64LE(META.last + 8),
    boot: bytes.readBigInt64LE(META.last + 16),
    pageBytes,
    lastPage: Number(bytes.readBigUInt64LE(META.last)),
    overlapping: (bytes.readUInt16LE(META.databases + 4) & OVERLAPPING) !== 0,
    free: tree(META.databases, byNumber),
    main: tree(META.databases + META.databaseBytes, Buffer.compare),
  };
}

function treeAt(bytes: Buffer, at: number, order: Tree['order']): Tree {
  return { depth: bytes.readUInt16LE(at + 6), root: bytes.readBigUInt64LE(at + 40), order };
}

/** Linux's number of this boot, as LMDB writes it: its first hex digits. */
function thisBoot(): bigint {
  try {
    const [digits = ''] = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').split('-');
    return BigInt(`0x${digits}`);
  } catch {
    return 0n;
  }
}

class TreeReader {
  readonly #file: number;
  readonly #meta: Meta;
  readonly #values: boolean;
  readonly #bytes: number;
  /** One bit for each page of the file. */
  readonly #used: Uint8Array;
  #sliceEndMs = 0;

  constructor(file: number, meta: Meta, values: boolean) {
    this.#file = file;
    this.#values = values;
    this.#meta = meta;
    this.#bytes = fstatSync(file).size;
    this.#used = new Uint8Array(Math.ceil(this.#bytes / meta.pageBytes / 8));
  }

  async readAll(): Promise<void> {
    this.#use(0, 2);
    await this.#readTree(this.#meta.free, false);
    await this.#readTree(this.#meta.main, true);
  }

  async #readTree(tree: Tree, hasDatabases: boolean): Promise<void> {
    if (tree.root === NONE) return;
    await this.#readPage(Number(tree.root), 1, tree, hasDatabases);
  }

  async #readPage(number: number, level: number, tree: Tree, hasDatabases: boolean): Promise<void> {
    const leaf = level === tree.depth;
    const page = this.#load(number, leaf ? KIND.leaf : KIND.branch, this.#meta.pageBytes);
    this.#use(number, 1);
    if (performance.now() > this.#sliceEndMs) {
      await new Promise(setImmediate);
      this.#sliceEndMs = performance.now() + SLICE_MS;
    }
    const [lower, upper] = [page.readUInt16LE(20), page.readUInt16LE(22)];
    if (lower > upper || HEADER_BYTES + upper > page.length || (!leaf && lower === 0)) throw damaged(number);
    let before: Buffer | undefined;
    for (let at = HEADER_BYTES; at < HEADER_BYTES + lower; at += 2) {
      const node = HEADER_BYTES + page.readUInt16LE(at);
      if (node < HEADER_BYTES + upper || node + 8 > page.length) throw damaged(number);
      const [low, high, flags, keyBytes] = [0, 2, 4, 6].map((offset) => page.readUInt16LE(node + offset)) as Four;
      const value = node + 8 + keyBytes;
      if (value > page.length) throw damaged(number);
      const key = page.subarray(node + 8, value);
      // The first key of a branch stands for all smaller keys.
      const counts = leaf || at > HEADER_BYTES;
      if (counts && before !== undefined && tree.order(before, key) >= 0) throw damaged(number);
      if (counts) before = key;
      if (!leaf) {
        await this.#readPage(low + high * 2 ** 16 + flags * 2 ** 32, level + 1, tree, hasDatabases);
        continue;
      }
      const bytes = low + high * 2 ** 16;
      if ((flags & VALUE.overflow) !== 0) {
        if (value + 24 > page.length) throw damaged(number);
        this.#checkOverflow(Number(page.readBigUInt64LE(value)), bytes);
      } else if (value + bytes > page.length) throw damaged(number);
      else if (hasDatabases && (flags & VALUE.database) !== 0) {
        if (bytes < META.databaseBytes) throw damaged(number);
        await this.#readTree(treeAt(page, value, Buffer.compare), false);
      }
    }
  }

  #checkOverflow(number: number, bytes: number): void {
    const { pageBytes } = this.#meta;
    // Pages at the end of the file may be missing if nothing uses them.
    if (number * pageBytes + HEADER_BYTES + bytes > this.#bytes) throw new Damage(cutShort(this.#file));
    const needed = Math.ceil((HEADER_BYTES + bytes) / pageBytes);
    const pages = this.#values ? this.#load(number, KIND.overflow, HEADER_BYTES).readUInt32LE(20) : needed;
    if (pages < needed) throw damaged(number);
    this.#use(number, pages);
  }

  #load(number: number, kind: number, bytes: number): Buffer {
    const { pageBytes, lastPage } = this.#meta;
    if (!Number.isSafeInteger(number) || number > lastPage) {
      throw new Damage(`data.mdb points to page ${number}, which does not exist`);
    }
    const page = Buffer.allocUnsafe(bytes);
    if (readSync(this.#file, page, 0, bytes, number * pageBytes) < bytes) throw new Damage(cutShort(this.#file));
    const sound = page.readBigUInt64LE(0) === BigInt(number) && (page.readUInt16LE(18) & KIND.all) === kind;
    if (!sound) throw damaged(number);
    return page;
  }

  #use(from: number, pages: number): void {
    if (from + pages > this.#meta.lastPage + 1) throw damaged(from);
    // The unused rest of a value's last pages may lie behind the end of the file.
    const end = Math.min(from + pages, this.#used.length * 8);
    for (let page = from; page < end; page++) {
      const [index, bit] = [Math.floor(page / 8), 1 << (page % 8)];
      if (((this.#used[index] as number) & bit) !== 0) throw new Damage(`page ${page} of data.mdb is used twice`);
      this.#used[index] = (this.#used[index] as number) | bit;
    }
  }
}

type Four = [number, number, number, number];

const damaged = (page: number) => new Damage(`page ${page} of data.mdb is damaged`);
const cutShort = (file: number) => `data.mdb was cut short: pages behind its ${fstatSync(file).size} bytes are missing`;

/** Free pages are kept under the number of the transaction that freed them. */
function byNumber(a: Buffer, b: Buffer): number {
  if (a.length !== 8 || b.length !== 8) return 0;
  const [left, right] = [a.readBigUInt64LE(0), b.readBigUInt64LE(0)];
  return left < right ? -1 : left > right ? 1 : 0;
}
