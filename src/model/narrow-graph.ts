/**
 * Turns a decoder's float32 graph into one with float16 or bfloat16 hidden states, for a GPU. Cast nodes narrow the
 * constants. ONNX Runtime folds these nodes when it loads the graph, so the weights file is the same for all types.
 * Rotary tables and the logits that leave the graph stay float32. Draws are left out: the operator runs on the CPU, and
 * every step would copy its logits there.
 * Knows the graph's structure. `weight-plan.ts` knows where weights lie.
 */
import { DRAW_TOKEN } from './graph-builder.js';
import { ONNX_TYPE, type OnnxGraph, type OnnxNode, type OnnxType } from './onnx-schema.js';

/** Element type of hidden states, queries, keys and values inside the graph. */
export type ActivationType = 'float32' | 'float16' | 'bfloat16';

const FLOATS: readonly OnnxType[] = ['float32', 'float16', 'bfloat16'];
const LOGITS = 'logits';
/** Inputs of BlockAttention that stay float32: cosines and sines. */
const ROTARY_INPUTS = [3, 4];

/** @returns the graph with the same inputs and outputs, of the same types, but those of draws */
export function narrowGraph(graph: OnnxGraph, type: 'float16' | 'bfloat16'): OnnxGraph {
  const types = new Map(graph.initializers.map((each) => [each.name, each.type]));
  const casts: OnnxNode[] = [];
  const narrowed = new Map<string, string>();
  const narrow = (name: string): string => {
    const stored = types.get(name);
    if (stored === undefined || !FLOATS.includes(stored) || stored === type) return name;
    let output = narrowed.get(name);
    if (output === undefined) {
      output = `${name}/narrow`;
      narrowed.set(name, output);
      casts.push(cast(name, output, type));
    }
    return output;
  };
  const nodes: OnnxNode[] = [];
  const draw = graph.nodes.find(({ opType }) => opType === DRAW_TOKEN);
  const [, , ...drawInputs] = draw?.inputs ?? [];
  for (const node of graph.nodes) {
    if (node === draw) continue;
    if (isLookup(node, types)) {
      // The table stays as it is. Only the rows that are looked up are narrowed.
      const [output = ''] = node.outputs;
      const rows = `${output}/stored`;
      nodes.push({ ...node, outputs: [rows] }, cast(rows, output, type));
    } else if (node.opType === 'Cast') {
      nodes.push({ ...node, attributes: { to: { int: ONNX_TYPE[type] } } });
    } else {
      const keeps = node.opType === 'BlockAttention' ? ROTARY_INPUTS : [];
      const inputs = node.inputs.map((name, index) => (keeps.includes(index) ? name : narrow(name)));
      const outputs = node.outputs.map((name) => (name === LOGITS ? `${LOGITS}/narrow` : name));
      nodes.push({ ...node, inputs, outputs });
      if (node.outputs.includes(LOGITS)) nodes.push(cast(`${LOGITS}/narrow`, LOGITS, 'float32'));
    }
  }
  return {
    ...graph,
    name: `${graph.name} ${type}`,
    nodes: [...casts, ...nodes],
    inputs: graph.inputs.filter(({ name }) => !drawInputs.includes(name)),
    outputs: graph.outputs.filter(({ name }) => draw?.outputs.includes(name) !== true),
  };
}

function cast(from: string, to: string, type: OnnxType): OnnxNode {
  const attributes = { to: { int: ONNX_TYPE[type] } };
  return { opType: 'Cast', domain: '', name: `${to}/cast`, inputs: [from], outputs: [to], attributes };
}

/** Whether a node looks up rows of a constant table. */
function isLookup(node: OnnxNode, types: ReadonlyMap<string, OnnxType>): boolean {
  return node.opType === 'Gather' && types.has(node.inputs[0] ?? '');
}
