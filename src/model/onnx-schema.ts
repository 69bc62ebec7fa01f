/**
 * The part of the ONNX file format that this project writes: message and field numbers, as data for protobufjs.
 * Numbers follow the public ONNX IR specification. ONNX Runtime needs no more than this to read our graphs.
 * Knows encoding only. `graph-builder.ts` knows nodes.
 */
import protobuf from 'protobufjs';

/** Element types of the specification, by the numbers used on the wire. */
export const ONNX_TYPE = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  float16: 10,
  float64: 11,
  bfloat16: 16,
} as const;

export type OnnxType = keyof typeof ONNX_TYPE;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;

/** IR version 10 pairs with opset 21; ONNX Runtime 1.18 and newer read it. */
export const IR_VERSION = 10;

export type AttributeValue = { float: number } | { int: number } | { ints: readonly number[] } | { string: string };

export interface OnnxNode {
  opType: string;
  domain: string;
  name: string;
  inputs: readonly string[];
  outputs: readonly string[];
  attributes: Readonly<Record<string, AttributeValue>>;
}

/** A constant. Its bytes are inside the graph file, or at an offset of another file beside it. */
export interface OnnxInitializer {
  name: string;
  type: OnnxType;
  dims: readonly number[];
  data: { raw: Uint8Array } | { location: string; offset: number; bytes: number };
}

/** A graph input or output. A string names a dimension that changes from run to run. */
export interface OnnxValue {
  name: string;
  type: OnnxType;
  dims: readonly (number | string)[];
}

export interface OnnxGraph {
  name: string;
  /** Opset version by domain; '' is ONNX's own. */
  opsets: Readonly<Record<string, number>>;
  metadata: Readonly<Record<string, string>>;
  nodes: readonly OnnxNode[];
  initializers: readonly OnnxInitializer[];
  inputs: readonly OnnxValue[];
  outputs: readonly OnnxValue[];
}

type Field = [name: string, id: number, type: string, rule?: 'repeated'];

function message(...fields: Field[]): protobuf.IType {
  return {
    fields: Object.fromEntries(
      fields.map(([name, id, type, rule]) => [name, rule ? { id, type, rule } : { id, type }]),
    ),
  };
}

const root = protobuf.Root.fromJSON({
  nested: {
    Model: message(
      ['irVersion', 1, 'int64'],
      ['producerName', 2, 'string'],
      ['producerVersion', 3, 'string'],
      ['graph', 7, 'Graph'],
      ['opsetImport', 8, 'OperatorSet', 'repeated'],
      ['metadataProps', 14, 'StringEntry', 'repeated'],
    ),
    OperatorSet: message(['domain', 1, 'string'], ['version', 2, 'int64']),
    StringEntry: message(['key', 1, 'string'], ['value', 2, 'string']),
    Graph: message(
      ['node', 1, 'Node', 'repeated'],
      ['name', 2, 'string'],
      ['initializer', 5, 'Tensor', 'repeated'],
      ['input', 11, 'ValueInfo', 'repeated'],
      ['output', 12, 'ValueInfo', 'repeated'],
    ),
    Node: message(
      ['input', 1, 'string', 'repeated'],
      ['output', 2, 'string', 'repeated'],
      ['name', 3, 'string'],
      ['opType', 4, 'string'],
      ['attribute', 5, 'Attribute', 'repeated'],
      ['domain', 7, 'string'],
    ),
    Attribute: message(
      ['name', 1, 'string'],
      ['f', 2, 'float'],
      ['i', 3, 'int64'],
      ['s', 4, 'bytes'],
      ['ints', 8, 'int64', 'repeated'],
      ['type', 20, 'int32'],
    ),
    Tensor: message(
      ['dims', 1, 'int64', 'repeated'],
      ['dataType', 2, 'int32'],
      ['name', 8, 'string'],
      ['rawData', 9, 'bytes'],
      ['externalData', 13, 'StringEntry', 'repeated'],
      ['dataLocation', 14, 'int32'],
    ),
    ValueInfo: message(['name', 1, 'string'], ['type', 2, 'Type']),
    Type: message(['tensorType', 1, 'TensorType']),
    TensorType: message(['elemType', 1, 'int32'], ['shape', 2, 'Shape']),
    Shape: message(['dim', 1, 'Dimension', 'repeated']),
    Dimension: message(['dimValue', 1, 'int64'], ['dimParam', 2, 'string']),
  },
});

const Model = root.lookupType('Model');

/** @returns the bytes of an ONNX file */
export function encodeModel(graph: OnnxGraph): Uint8Array {
  return Model.encode({
    irVersion: IR_VERSION,
    producerName: 'blockstitch',
    opsetImport: Object.entries(graph.opsets).map(([domain, version]) => ({ domain, version })),
    metadataProps: Object.entries(graph.metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      node: graph.nodes.map(encodeNode),
      initializer: graph.initializers.map(encodeInitializer),
      input: graph.inputs.map(encodeValue),
      output: graph.outputs.map(encodeValue),
    },
  }).finish();
}

function encodeNode(node: OnnxNode): object {
  return {
    opType: node.opType,
    domain: node.domain,
    name: node.name,
    input: node.inputs,
    output: node.outputs,
    attribute: Object.entries(node.attributes).map(([name, value]) => ({ name, ...encodeAttribute(value) })),
  };
}

function encodeAttribute(value: AttributeValue): object {
  if ('float' in value) return { f: value.float, type: ATTRIBUTE_TYPE.float };
  if ('int' in value) return { i: value.int, type: ATTRIBUTE_TYPE.int };
  if ('ints' in value) return { ints: value.ints, type: ATTRIBUTE_TYPE.ints };
  return { s: Buffer.from(value.string, 'utf8'), type: ATTRIBUTE_TYPE.string };
}

function encodeInitializer({ name, type, dims, data }: OnnxInitializer): object {
  const tensor = { name, dataType: ONNX_TYPE[type], dims };
  if ('raw' in data) return { ...tensor, rawData: data.raw };
  const externalData = [
    { key: 'location', value: data.location },
    { key: 'offset', value: String(data.offset) },
    { key: 'length', value: String(data.bytes) },
  ];
  return { ...tensor, externalData, dataLocation: 1 };
}

function encodeValue({ name, type, dims }: OnnxValue): object {
  const dim = dims.map((size) => (typeof size === 'number' ? { dimValue: size } : { dimParam: size }));
  return { name, type: { tensorType: { elemType: ONNX_TYPE[type], shape: { dim } } } };
}
