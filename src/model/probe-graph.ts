/**
 * Cuts the probe out of a decoder's graph: the first layers, up to the second layer's values. The probe runs over a
 * prompt in context and shows how far these values lie from the cached ones (CacheBlend, arXiv 2405.16444, section 4).
 * Knows the graph's structure. The weights are the decoder's own, at the same offsets of the same files.
 */
import type { OnnxGraph, OnnxNode } from './onnx-schema.js';

/** The layer with the values that are compared: the first one that depends on context. */
export const PROBE_LAYER = 1;
/** The probe's only output, float32 [T, kvHeads * D]; its inputs are `input_ids` and `step_metadata`. */
export const PROBE_OUTPUT = 'values';

/** Index of `value` among the inputs of BlockAttention. */
const VALUE_INPUT = 2;

/** @returns undefined for a model of one layer: its keys and values do not depend on earlier tokens */
export function buildProbeGraph(decoder: OnnxGraph, kvWidth: number): OnnxGraph | undefined {
  const attention = decoder.nodes.find((node) => node.opType === 'BlockAttention' && isLayer(node, PROBE_LAYER));
  const values = attention?.inputs[VALUE_INPUT];
  if (values === undefined) return undefined;
  const wanted = new Set([values]);
  const nodes: OnnxNode[] = [];
  for (const node of decoder.nodes.toReversed()) {
    if (!node.outputs.some((output) => output !== '' && wanted.has(output))) continue;
    nodes.unshift(node);
    for (const input of node.inputs) if (input !== '') wanted.add(input);
  }
  nodes.push({
    opType: 'Identity',
    domain: '',
    name: 'probe',
    inputs: [values],
    outputs: [PROBE_OUTPUT],
    attributes: {},
  });
  return {
    ...decoder,
    name: `${decoder.name} probe`,
    nodes,
    initializers: decoder.initializers.filter(({ name }) => wanted.has(name)),
    inputs: decoder.inputs.filter(({ name }) => wanted.has(name)),
    outputs: [{ name: PROBE_OUTPUT, type: 'float32', dims: ['tokens', kvWidth] }],
  };
}

function isLayer({ attributes }: OnnxNode, layer: number): boolean {
  const attribute = attributes['layer'];
  return attribute !== undefined && 'int' in attribute && attribute.int === layer;
}
