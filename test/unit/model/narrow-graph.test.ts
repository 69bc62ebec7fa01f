import { describe, expect, test } from 'vitest';
import { GraphBuilder, MICROSOFT_DOMAIN } from '../../../src/model/graph-builder.js';
import { narrowGraph } from '../../../src/model/narrow-graph.js';

const stored = (name: string, type: 'float32' | 'float16' | 'bfloat16' | 'uint8', dims: number[]) => {
  return { name, type, dims, location: 'weights.bin', offset: 0, bytes: 16 };
};

/** A decoder in small: lookup, widening, quantized product, attention, dense product that gives the logits. */
function graphOf(table: 'float32' | 'bfloat16') {
  const graph = new GraphBuilder();
  const ids = graph.input('input_ids', 'int64', ['tokens']);
  let rows = graph.node('Gather', 'embedding', [graph.external(stored('table', table, [8, 4])), ids]);
  if (table !== 'float32') rows = graph.node('Cast', 'widen', [rows], { attributes: { to: { int: 1 } } });
  const values = graph.external(stored('values', 'uint8', [4, 1, 16]));
  const scales = graph.external(stored('scales', 'float32', [4]));
  const query = graph.node('MatMulNBits', 'qkv', [rows, values, scales], { domain: MICROSOFT_DOMAIN });
  const [cos, sin] = ['rope.cos', 'rope.sin'].map((name) => graph.external(stored(name, 'float32', [4, 2])));
  const attended = graph.node('BlockAttention', 'attention', [query, query, query, cos as string, sin as string, 'm']);
  const head = graph.external(stored('head', 'bfloat16', [8, 4]));
  graph.node('Gemm', 'logits_product', [attended, head], { outputs: ['logits'] });
  graph.output('logits', 'float32', ['rows', 8]);
  return graph.build('small', {});
}

describe('a narrowed graph', () => {
  test.each(['float32', 'bfloat16'] as const)('looks rows up in a %s table and narrows only those', (table) => {
    const { nodes } = narrowGraph(graphOf(table), 'float16');
    const producer = (name: string) => nodes.find((node) => node.outputs.includes(name));
    const product = nodes.find((node) => node.opType === 'MatMulNBits');
    expect(producer(product?.inputs[0] ?? '')).toMatchObject({ opType: 'Cast', attributes: { to: { int: 10 } } });
    expect(nodes.filter((node) => node.inputs.includes('table')).map((node) => node.opType)).toEqual(['Gather']);
  });

  test('narrows scales and weights, leaves packed values and rotary tables, and gives float32 logits', () => {
    const narrowed = narrowGraph(graphOf('float32'), 'float16');
    const by = (opType: string) => narrowed.nodes.find((node) => node.opType === opType);
    expect(by('MatMulNBits')?.inputs.slice(1)).toEqual(['values', 'scales/narrow']);
    expect(by('BlockAttention')?.inputs.slice(3)).toEqual(['rope.cos', 'rope.sin', 'm']);
    expect(by('Gemm')?.inputs[1]).toBe('head/narrow');
    expect(narrowed.nodes.at(-1)).toMatchObject({
      opType: 'Cast',
      outputs: ['logits'],
      attributes: { to: { int: 1 } },
    });
    expect(narrowed.outputs).toEqual(graphOf('float32').outputs);
  });

  test('takes weights as they are where the checkpoint has the type already', () => {
    const { nodes } = narrowGraph(graphOf('bfloat16'), 'bfloat16');
    expect(nodes.find((node) => node.opType === 'Gemm')?.inputs[1]).toBe('head');
  });

  test('has every node once, after what it reads', () => {
    const { nodes, inputs, initializers } = narrowGraph(graphOf('bfloat16'), 'float16');
    const known = new Set([...inputs, ...initializers].map(({ name }) => name).concat('m', ''));
    for (const node of nodes) {
      for (const input of node.inputs) expect(known).toContain(input);
      for (const output of node.outputs) known.add(output);
    }
    expect(new Set(nodes.map(({ name }) => name)).size).toBe(nodes.length);
  });
});
