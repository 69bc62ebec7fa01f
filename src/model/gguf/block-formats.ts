/**
 * Decodes GGUF's blocks of small integers. Every format is the same underneath: a run of 16 or 32 weights shares one
 * scale and, in some formats, one offset, and weight = scale * quant + offset. The layouts are those of ggml-common.h
 * (struct block_q4_0 and so on); the K formats pack eight or sixteen such runs into a block of 256 weights.
 * All products are exact in float32, so a weight is rounded once, by the addition, as in the reference decoder.
 * Knows bytes of one block; `weight-writer.ts` streams tensors.
 */
import { float16Values } from '../float-conversion.js';
import type { BlockDtype } from '../stored-dtype.js';

/** What the runs of a format are like. */
export interface RunShape {
  /** Weights that share a scale. */
  run: 16 | 32;
  /** Bits that a quant takes in MatMulNBits. Formats of 5 and 6 bits take 8. */
  bits: 4 | 8;
  /** True if runs have an offset. Their quants are 0 .. 2^n - 1; the others' are around 0. */
  hasOffset: boolean;
  /** The middle of the quants that have an offset: 2^(n-1). 0 for the others. */
  middle: number;
}

export const RUN_SHAPES: Readonly<Record<BlockDtype, RunShape>> = {
  Q4_0: { run: 32, bits: 4, hasOffset: false, middle: 0 },
  Q4_1: { run: 32, bits: 4, hasOffset: true, middle: 8 },
  Q5_0: { run: 32, bits: 8, hasOffset: false, middle: 0 },
  Q5_1: { run: 32, bits: 8, hasOffset: true, middle: 16 },
  Q8_0: { run: 32, bits: 8, hasOffset: false, middle: 0 },
  Q4_K: { run: 32, bits: 4, hasOffset: true, middle: 8 },
  Q5_K: { run: 32, bits: 8, hasOffset: true, middle: 16 },
  Q6_K: { run: 16, bits: 8, hasOffset: false, middle: 0 },
};

/** Decoded runs: weight i of run r = scales[r] * quants[r * run + i] + offsets[r]. */
export interface Runs {
  quants: Int8Array;
  scales: Float32Array;
  /** All 0 in formats without offsets. */
  offsets: Float32Array;
}

/** Decodes one block. `at` is its first byte, `quant` and `run` the places where its quants and runs begin. */
type BlockDecoder = (bytes: Uint8Array, at: number, out: Runs, quant: number, run: number) => void;

/** Bytes and weights of a block, and its decoder. */
const DECODERS: Readonly<Record<BlockDtype, readonly [number, number, BlockDecoder]>> = {
  Q4_0: [18, 32, decodeQ40],
  Q4_1: [20, 32, decodeQ41],
  Q5_0: [22, 32, decodeQ50],
  Q5_1: [24, 32, decodeQ51],
  Q8_0: [34, 32, decodeQ80],
  Q4_K: [144, 256, decodeQ4K],
  Q5_K: [176, 256, decodeQ5K],
  Q6_K: [210, 256, decodeQ6K],
};

/** @param bytes whole blocks */
export function decodeRuns(dtype: BlockDtype, bytes: Uint8Array): Runs {
  const [blockBytes, weights, decode] = DECODERS[dtype];
  const { run } = RUN_SHAPES[dtype];
  const blocks = bytes.byteLength / blockBytes;
  const runs = (blocks * weights) / run;
  const out = {
    quants: new Int8Array(blocks * weights),
    scales: new Float32Array(runs),
    offsets: new Float32Array(runs),
  };
  for (let block = 0; block < blocks; block++) {
    decode(bytes, block * blockBytes, out, block * weights, (block * weights) / run);
  }
  return out;
}

/**
 * @param bytes whole blocks
 * @param target float32, filled from its start
 */
export function decodeBlocks(dtype: BlockDtype, bytes: Uint8Array, target: Float32Array): void {
  const { quants, scales, offsets } = decodeRuns(dtype, bytes);
  const { run, hasOffset } = RUN_SHAPES[dtype];
  for (let index = 0, at = 0; index < scales.length; index++) {
    const scale = scales[index] as number;
    // -0 and not 0: a weight of -0 stays so.
    const offset = hasOffset ? (offsets[index] as number) : -0;
    for (const end = at + run; at < end; at++) target[at] = scale * (quants[at] as number) + offset;
  }
}

function float16(bytes: Uint8Array, at: number): number {
  return float16Values()[(bytes[at] as number) | ((bytes[at + 1] as number) << 8)] as number;
}

/** Low nibbles are the first half of the run, high nibbles the second. */
function decodeQ40(bytes: Uint8Array, at: number, { quants, scales }: Runs, quant: number, run: number): void {
  scales[run] = float16(bytes, at);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + 2 + i] as number;
    quants[quant + i] = (byte & 15) - 8;
    quants[quant + 16 + i] = (byte >> 4) - 8;
  }
}

function decodeQ41(bytes: Uint8Array, at: number, { quants, scales, offsets }: Runs, quant: number, run: number): void {
  scales[run] = float16(bytes, at);
  offsets[run] = float16(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + 4 + i] as number;
    quants[quant + i] = byte & 15;
    quants[quant + 16 + i] = byte >> 4;
  }
}

/** Bit i of four bytes is the fifth bit of quant i. */
function fifthBit(bytes: Uint8Array, at: number, i: number): number {
  return (((bytes[at + (i >> 3)] as number) >> (i & 7)) & 1) << 4;
}

function decodeQ50(bytes: Uint8Array, at: number, { quants, scales }: Runs, quant: number, run: number): void {
  scales[run] = float16(bytes, at);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + 6 + i] as number;
    quants[quant + i] = ((byte & 15) | fifthBit(bytes, at + 2, i)) - 16;
    quants[quant + 16 + i] = ((byte >> 4) | fifthBit(bytes, at + 2, i + 16)) - 16;
  }
}

function decodeQ51(bytes: Uint8Array, at: number, { quants, scales, offsets }: Runs, quant: number, run: number): void {
  scales[run] = float16(bytes, at);
  offsets[run] = float16(bytes, at + 2);
  for (let i = 0; i < 16; i++) {
    const byte = bytes[at + 8 + i] as number;
    quants[quant + i] = (byte & 15) | fifthBit(bytes, at + 4, i);
    quants[quant + 16 + i] = (byte >> 4) | fifthBit(bytes, at + 4, i + 16);
  }
}

function decodeQ80(bytes: Uint8Array, at: number, { quants, scales }: Runs, quant: number, run: number): void {
  scales[run] = float16(bytes, at);
  // The array is of signed bytes: it takes each byte as it is.
  for (let i = 0; i < 32; i++) quants[quant + i] = bytes[at + 2 + i] as number;
}

/** Scales and offsets of the eight runs of Q4_K and Q5_K: two float16, then 6-bit factors in twelve bytes. */
function decodeKScales(bytes: Uint8Array, at: number, { scales, offsets }: Runs, run: number): void {
  const scale = float16(bytes, at);
  const least = float16(bytes, at + 2);
  const byte = (index: number) => bytes[at + 4 + index] as number;
  for (let i = 0; i < 4; i++) {
    scales[run + i] = scale * (byte(i) & 63);
    offsets[run + i] = -least * (byte(4 + i) & 63);
    scales[run + 4 + i] = scale * ((byte(8 + i) & 15) | ((byte(i) >> 2) & 48));
    offsets[run + 4 + i] = -least * ((byte(8 + i) >> 4) | ((byte(4 + i) >> 2) & 48));
  }
}

/** 32 bytes hold two runs: low nibbles the first, high nibbles the second. */
function decodeQ4K(bytes: Uint8Array, at: number, out: Runs, quant: number, run: number): void {
  decodeKScales(bytes, at, out, run);
  const { quants } = out;
  for (let pair = 0; pair < 4; pair++) {
    for (let i = 0; i < 32; i++) {
      const byte = bytes[at + 16 + pair * 32 + i] as number;
      quants[quant + pair * 64 + i] = byte & 15;
      quants[quant + pair * 64 + 32 + i] = byte >> 4;
    }
  }
}

/** As Q4_K. Bit r of byte i of the 32 behind the scales is the fifth bit of quant i of run r. */
function decodeQ5K(bytes: Uint8Array, at: number, out: Runs, quant: number, run: number): void {
  decodeKScales(bytes, at, out, run);
  const { quants } = out;
  for (let pair = 0; pair < 4; pair++) {
    for (let i = 0; i < 32; i++) {
      const byte = bytes[at + 48 + pair * 32 + i] as number;
      const high = bytes[at + 16 + i] as number;
      quants[quant + pair * 64 + i] = (byte & 15) | (((high >> (2 * pair)) & 1) << 4);
      quants[quant + pair * 64 + 32 + i] = (byte >> 4) | (((high >> (2 * pair + 1)) & 1) << 4);
    }
  }
}

/** 128 bytes of low nibbles, 64 bytes of high bit pairs, sixteen signed scales, one float16. */
function decodeQ6K(bytes: Uint8Array, at: number, { quants, scales }: Runs, quant: number, run: number): void {
  const scale = float16(bytes, at + 208);
  for (let i = 0; i < 16; i++) scales[run + i] = scale * (((bytes[at + 192 + i] as number) << 24) >> 24);
  for (let half = 0; half < 2; half++) {
    const low = at + half * 64;
    const start = quant + half * 128;
    for (let i = 0; i < 32; i++) {
      const first = bytes[low + i] as number;
      const second = bytes[low + 32 + i] as number;
      const high = bytes[at + 128 + half * 32 + i] as number;
      quants[start + i] = ((first & 15) | ((high & 3) << 4)) - 32;
      quants[start + 32 + i] = ((second & 15) | (((high >> 2) & 3) << 4)) - 32;
      quants[start + 64 + i] = ((first >> 4) | (((high >> 4) & 3) << 4)) - 32;
      quants[start + 96 + i] = ((second >> 4) | ((high >> 6) << 4)) - 32;
    }
  }
}
