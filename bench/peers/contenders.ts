/** Who is measured, and how each is started. Knows command lines; peers.ts knows what is asked, and when. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GGUF_TYPES, type GgufType, PEER_SCRIPTS, PEERS_PYTHON, type PeersModel } from './models.js';
import { type MeasuredEngine, startPeer } from './peer-process.js';

/** Tokens of the longest prompt with its answer. */
export const CONTEXT = 8192;
/** Requests at once, where many are asked; each of llama.cpp's slots then has a context of its own. */
export const STREAMS = 16;
const SLOT_CONTEXT = 1792;

export interface Contender {
  name: string;
  kind: 'vllm' | 'llama.cpp' | 'ours';
  /** llama.cpp has two ways of attention. */
  flash?: boolean;
  /** Requests that llama.cpp takes at once: those with one slot have the whole context. */
  slots?: number;
  start(): Promise<MeasuredEngine>;
  /** Starts it over a store on disk, from which it can load what an earlier process computed; absent if it has none. */
  startWithStore?(directory: string): Promise<MeasuredEngine>;
}

export const VLLM = 'vLLM bf16';
export const OURS = ['ours int8', 'ours int4'] as const;

export function contendersOf(model: PeersModel, threads: number): Contender[] {
  const python = (name: string, script: string, ...argv: string[]) =>
    startPeer(name, PEERS_PYTHON, [join(PEER_SCRIPTS, script), ...argv]);
  const vllm: Contender = {
    name: VLLM,
    kind: 'vllm',
    start: () => python(VLLM, 'vllm_peer.py', model.directory, String(threads), String(CONTEXT)),
  };
  const llama = (type: GgufType, flash: boolean, slots: number): Contender => {
    const name = `llama.cpp ${type}${flash ? ' flash' : ''}${slots === 1 ? '' : `, ${slots} slots`}`;
    const context = slots === 1 ? CONTEXT : SLOT_CONTEXT;
    const argv = [model.gguf[type], ...[threads, context].map(String), flash ? 'on' : 'off', String(slots)];
    return { name, kind: 'llama.cpp', flash, slots, start: () => python(name, 'llama_cpp_peer.py', ...argv) };
  };
  const llamas = [
    ...GGUF_TYPES.flatMap((type) => [true, false].map((flash) => llama(type, flash, 1))),
    ...(['Q4_0', 'Q8_0'] as const).map((type) => llama(type, true, STREAMS)),
  ];
  const ours = OURS.map((name): Contender => {
    const script = fileURLToPath(new URL('./own-peer.js', import.meta.url));
    const argv = [script, model.own, name.replace('ours ', ''), String(threads)];
    const start = (...store: string[]) => startPeer(name, process.execPath, [...argv, ...store], false);
    return { name, kind: 'ours', start: () => start(), startWithStore: start };
  });
  return [vllm, ...llamas, ...ours];
}
