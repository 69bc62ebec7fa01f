import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { GraphBuilder } from '../../../src/model/graph-builder.js';
import { encodeModel, IR_VERSION } from '../../../src/model/onnx-schema.js';

type Fields = Map<number, (Uint8Array | number)[]>;

/** Reads any protobuf message by wire types alone, so that the writer's schema does not check itself. */
function read(bytes: Uint8Array): Fields {
  const reader = protobuf.Reader.create(bytes);
  const fields: Fields = new Map();
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const type = tag & 7;
    const value = type === 0 ? Number(reader.int64()) : type === 5 ? reader.float() : reader.bytes();
    fields.set(tag >>> 3, [...(fields.get(tag >>> 3) ?? []), value]);
  }
  return fields;
}

const message = (fields: Fields, number: number, index = 0) => read(fields.get(number)?.[index] as Uint8Array);
const text = (fields: Fields, number: number, index = 0) =>
  Buffer.from(fields.get(number)?.[index] as Uint8Array).toString();

describe('an ONNX file', () => {
  const builder = new GraphBuilder();
  const x = builder.input('x', 'float32', ['rows', 4]);
  const weight = builder.external({
    name: 'w',
    type: 'bfloat16',
    dims: [8, 4],
    location: 'weights.bin',
    offset: 2 ** 33,
    bytes: 64,
  });
  const bias = builder.float32('b', [2], Float32Array.of(1.5, -2));
  builder.node('Gemm', 'product', [x, weight, bias], {
    domain: 'com.microsoft',
    outputs: ['y'],
    attributes: { transB: { int: 1 }, alpha: { float: 0.25 }, axes: { ints: [-1, 3] }, mode: { string: 'é' } },
  });
  builder.output('y', 'float32', ['rows', 8]);
  const model = read(encodeModel(builder.build('test', { fingerprint: 'ab' })));
  const graph = message(model, 7);

  test('says its version, its opsets and its metadata', () => {
    expect(model.get(1)).toEqual([IR_VERSION]);
    const opsets = (model.get(8) as Uint8Array[]).map(read);
    expect(opsets.map((each) => [each.has(1) ? text(each, 1) : '', each.get(2)?.[0]])).toEqual([
      ['', 21],
      ['com.microsoft', 1],
      ['ai.blockstitch', 1],
    ]);
    expect([text(message(model, 14), 1), text(message(model, 14), 2)]).toEqual(['fingerprint', 'ab']);
  });

  test('writes nodes with their attributes by the numbers of the specification', () => {
    const node = message(graph, 1);
    expect((node.get(1) as Uint8Array[]).map((name) => Buffer.from(name).toString())).toEqual(['x', 'w', 'b']);
    expect([text(node, 2), text(node, 3), text(node, 4), text(node, 7)]).toEqual([
      'y',
      'product',
      'Gemm',
      'com.microsoft',
    ]);
    const attributes = (node.get(5) as Uint8Array[]).map(read);
    expect(attributes.map((each) => text(each, 1))).toEqual(['transB', 'alpha', 'axes', 'mode']);
    expect(attributes.map((each) => each.get(20)?.[0])).toEqual([2, 1, 7, 3]);
    expect([attributes[0]?.get(3)?.[0], attributes[1]?.get(2)?.[0]]).toEqual([1, 0.25]);
    expect(text(attributes[3] as Fields, 4)).toBe('é');
  });

  test('points to weights in other files, past 4 GiB too, and holds small ones itself', () => {
    const [external, inside] = (graph.get(5) as Uint8Array[]).map(read) as [Fields, Fields];
    expect([text(external, 8), external.get(2)?.[0], external.get(14)?.[0]]).toEqual(['w', 16, 1]);
    const places = (external.get(13) as Uint8Array[]).map(read).map((each) => [text(each, 1), text(each, 2)]);
    expect(places).toEqual([
      ['location', 'weights.bin'],
      ['offset', String(2 ** 33)],
      ['length', '64'],
    ]);
    const raw = Uint8Array.from(inside.get(9)?.[0] as Uint8Array);
    expect([...new Float32Array(raw.buffer)]).toEqual([1.5, -2]);
  });

  test('names sizes that differ from run to run', () => {
    const shape = message(message(message(message(graph, 11), 2), 1), 2);
    const [rows, columns] = (shape.get(1) as Uint8Array[]).map(read) as [Fields, Fields];
    expect(text(rows, 2)).toBe('rows');
    expect(columns.get(1)).toEqual([4]);
  });

  test('two nodes of one name are a mistake', () => {
    expect(() => builder.node('Add', 'product', ['x', 'x'])).toThrow('two nodes are named product');
  });
});
