/**
 * Typed access to the fields of one JSON file of a checkpoint. Errors name file, field and value.
 * Knows JSON and ranges. Callers know what a field means.
 */
import { open } from 'node:fs/promises';
import { BlockstitchError } from '../errors.js';
import { standInReason } from '../stand-in-file.js';

/** Larger files are refused without reading them: real ones have a few kilobytes. */
const MAX_BYTES = 4 * 1024 * 1024;

/**
 * Reads a JSON file of a checkpoint.
 *
 * @throws BlockstitchError `checkpoint_invalid` if the file is too large or cannot be read
 */
export async function readFieldFile(path: string): Promise<Uint8Array> {
  try {
    const handle = await open(path, 'r');
    try {
      const { size } = await handle.stat();
      if (size > MAX_BYTES) {
        const reason = `it has ${size} bytes, more than the limit of ${MAX_BYTES}`;
        throw new BlockstitchError('checkpoint_invalid', { path, reason });
      }
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    if (cause instanceof BlockstitchError) throw cause;
    const reason = `it cannot be read (${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message})`;
    throw new BlockstitchError('checkpoint_invalid', { path, reason }, { cause });
  }
}

/** A value of a file for a message: cut to a length, and without errors of its own. */
export function shownValue(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? 'undefined').slice(0, 200);
  } catch {
    return 'nested too deeply to show';
  }
}

export class FieldReader {
  readonly record: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #prefix: string;
  readonly #labels: ReadonlyMap<string, string>;

  private constructor(
    path: string,
    record: Record<string, unknown>,
    prefix: string,
    labels: ReadonlyMap<string, string> = new Map(),
  ) {
    this.#path = path;
    this.record = record;
    this.#prefix = prefix;
    this.#labels = labels;
  }

  /** @param labels names of fields in the file, if they are others there */
  static of(path: string, record: Record<string, unknown>, labels?: ReadonlyMap<string, string>): FieldReader {
    return new FieldReader(path, record, '', labels);
  }

  /** @throws BlockstitchError `checkpoint_invalid` if the bytes are not a JSON object */
  static parse(path: string, bytes: Uint8Array): FieldReader {
    const standIn = standInReason(bytes);
    if (standIn !== undefined) throw new BlockstitchError('checkpoint_invalid', { path, reason: standIn });
    let json: unknown;
    try {
      json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    } catch (cause) {
      throw new BlockstitchError(
        'checkpoint_invalid',
        { path, reason: `it is not JSON (${(cause as Error).message})` },
        { cause },
      );
    }
    if (!isObject(json)) throw new BlockstitchError('checkpoint_invalid', { path, reason: 'it is not a JSON object' });
    return new FieldReader(path, json, '');
  }

  /** A nested object; undefined if absent or null. */
  section(key: string): FieldReader | undefined {
    const value = this.record[key] ?? undefined;
    if (value === undefined) return undefined;
    if (!isObject(value)) return this.#refuse(key, 'an object');
    return new FieldReader(this.#path, value, `${this.#prefix}${key}.`);
  }

  integer(key: string, min: number, max: number): number {
    return this.optionalInteger(key, min, max) ?? this.fail(`${this.#label(key)} is missing`);
  }

  optionalInteger(key: string, min: number, max: number): number | undefined {
    const value = this.optionalNumber(key, min, max);
    return value === undefined || Number.isInteger(value) ? value : this.#refuse(key, 'an integer');
  }

  optionalNumber(key: string, min: number, max: number): number | undefined {
    const value = this.record[key] ?? undefined;
    if (value === undefined) return undefined;
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      return this.#refuse(key, `a number from ${min} to ${max}`);
    }
    return value;
  }

  optionalBoolean(key: string): boolean | undefined {
    const value = this.record[key] ?? undefined;
    if (value === undefined || typeof value === 'boolean') return value;
    return this.#refuse(key, 'true or false');
  }

  /** One id or a list of ids below `vocabSize`; empty if absent. */
  tokenIds(key: string, vocabSize: number): number[] {
    const value = this.record[key] ?? [];
    const ids: unknown[] = Array.isArray(value) ? value : [value];
    for (const id of ids) {
      if (!Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize) {
        this.#refuse(key, `token ids below ${vocabSize}`);
      }
    }
    return ids as number[];
  }

  /** @throws BlockstitchError `checkpoint_invalid` with this file's path */
  fail(reason: string): never {
    throw new BlockstitchError('checkpoint_invalid', { path: this.#path, reason });
  }

  #refuse(key: string, expected: string): never {
    return this.fail(`its ${this.#label(key)} is ${shownValue(this.record[key])}, not ${expected}`);
  }

  #label(key: string): string {
    return this.#labels.get(key) ?? `${this.#prefix}${key}`;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
