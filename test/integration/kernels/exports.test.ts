/** The addon has exactly the exports of `native-addon.ts`. Each refuses bad arguments with the exact reason. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { PACKAGE_DIR } from '../../../src/config.js';
import { loadAddon } from '../../../src/kernels/load-addon.js';
import type { PoolShape } from '../../../src/kernels/native-addon.js';

const SHAPE: PoolShape = { pages: 4, pageTokens: 16, layers: 2, kvHeads: 2, headDim: 32, dtype: 'float16' };

/** Members of the interface NativeAddon, read from its file. */
function listedMembers(): string[] {
  const source = readFileSync(join(PACKAGE_DIR, 'src/kernels/native-addon.ts'), 'utf8');
  const body = source.slice(source.indexOf('export interface NativeAddon'));
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)[(:]/gm)].map((match) => match[1] as string);
}

function makePool(shape: PoolShape = SHAPE): number {
  const addon = loadAddon();
  const id = addon.createPool(shape);
  onTestFinished(() => addon.destroyPool(id));
  return id;
}

/** Calls an export with arguments that its type forbids. */
function call(name: string, ...args: unknown[]): unknown {
  return (loadAddon() as unknown as Record<string, (...args: unknown[]) => unknown>)[name]?.(...args);
}

test('the interface and the addon have the same members', () => {
  expect(listedMembers().length).toBeGreaterThan(10);
  expect(Object.keys(loadAddon()).sort()).toEqual(listedMembers().sort());
});

test.each<[string, Partial<Record<keyof PoolShape, unknown>>, RegExp]>([
  ['no pages', { pages: 0 }, /^RangeError: pages must be a whole number from 1 to 2147483647$/],
  ['half a layer', { layers: 1.5 }, /^RangeError: layers must be a whole number from 1 to/],
  ['a text for a number', { kvHeads: '2' }, /^TypeError: kvHeads must be a number$/],
  ['odd pages', { pageTokens: 20 }, /^RangeError: pageTokens must be a multiple of 16$/],
  ['a wide head', { headDim: 264 }, /^RangeError: headDim must be a multiple of 8 up to 256$/],
  ['an unknown dtype', { dtype: 'float8' }, /^RangeError: there is no KV dtype 'float8': use float32, float16/],
  [
    'more bytes than can be counted',
    { pages: 2147483647, layers: 2147483647, kvHeads: 2147483647 },
    /^RangeError: a KV pool of that shape is larger than the address space$/,
  ],
  ['a device before its library', { device: 0 }, /^Error: the device library is not open/],
])('a pool of %s is refused', (_, change, reason) => {
  expect(() => call('createPool', { ...SHAPE, ...change })).toThrow(expect.toSatisfy((e) => reason.test(String(e))));
});

test.each<[string, (id: number) => unknown, RegExp]>([
  ['a pool that is not there', () => call('pageBytes', 987654), /^RangeError: there is no KV pool 987654$/],
  ['no argument', () => call('pageBytes'), /^TypeError: pool id must be a number$/],
  ['too few pages', (id) => copy(id, [0], 17), /^RangeError: 1 pages are too few for 17 tokens$/],
  ['a page outside', (id) => copy(id, [4], 1), /^RangeError: page 4 lies outside the pool of 4 pages$/],
  [
    'pages of another type',
    (id) => call('readPages', id, [0], 1, new Uint8Array()),
    /^TypeError: pages must be an Int32Array$/,
  ],
  [
    'a payload of another length',
    (id) => call('readPages', id, Int32Array.of(0), 1, new Uint8Array(3)),
    /^RangeError: the payload of 1 tokens has 512 bytes, not 3$/,
  ],
  ['a layer too many', (id) => compare(id, 2, [0, 0, 1], 64), /^RangeError: layer must be a whole number from 0 to 1$/],
  ['a place cut short', (id) => compare(id, 0, [0, 0], 64), /^RangeError: places must hold page, slot and count/],
  [
    'rows past the page',
    (id) => compare(id, 0, [0, 10, 7], 448),
    /^RangeError: place 0 lies outside the pool: page 0, slot 10, count 7$/,
  ],
  ['too few values', (id) => compare(id, 0, [0, 0, 2], 127), /^RangeError: there are too few values for 2 rows$/],
  ['an unknown level', () => call('setKernelLevel', 'sse'), /^RangeError: there is no kernel level 'sse'/],
  [
    'a library that is not there',
    () => call('openDeviceLibrary', '/nowhere.so'),
    /^Error: the device library cannot be opened: .*nowhere/,
  ],
])('a call with %s is refused', (_, attempt, reason) => {
  expect(() => attempt(makePool())).toThrow(expect.toSatisfy((error) => reason.test(String(error))));
});

function copy(id: number, pages: number[], tokens: number): unknown {
  return call('readPages', id, Int32Array.from(pages), tokens, new Uint8Array(tokens * 512));
}

function compare(id: number, layer: number, places: number[], values: number): unknown {
  return call('valueDeviations', id, layer, Int32Array.from(places), new Float32Array(values));
}

test('a copy holds on to its pool: destroying it meanwhile changes nothing', async () => {
  const addon = loadAddon();
  const id = addon.createPool(SHAPE);
  const bytes = addon.payloadBytes(id, 64);
  const pages = Int32Array.of(3, 1, 0, 2);
  const written = Uint8Array.from({ length: bytes }, (_, at) => at % 251);
  await addon.writePages(id, pages, 64, written);
  const read = new Uint8Array(bytes);
  const copying = addon.readPages(id, pages, 64, read);
  addon.destroyPool(id);
  await copying;
  expect(read).toEqual(written);
});
