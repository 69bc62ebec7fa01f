/** Who is measured, and how each is started. Knows command lines; peers.ts knows what is asked, and when. */

import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GGUF_TYPES, PEER_SCRIPTS, PEERS_PYTHON, type PeersModel } from './models.js';
import { type MeasuredEngine, startPeer } from './peer-process.js';

/** Tokens of the longest prompt with its answer. */
export const CONTEXT = 8192;

export interface Contender {
  name: string;
  kind: 'vllm' | 'llama.cpp' | 'ours';
  /** llama.cpp has two ways of attention. */
  flash?: boolean;
  start(): Promise<MeasuredEngine>;
  /** Starts it over a store on disk, from which it can load what an earlier process computed; absent if it has none. */
  startWithStore?(directory: string): Promise<MeasuredEngine>;
}

export const VLLM = 'vLLM bf16';
export const OURS = ['ours int8', 'ours int4'] as const;

export function contendersOf(model: PeersModel, threads: number): Contender[] {
  const settings = [String(threads), String(CONTEXT)];
  const python = (name: string, script: string, ...argv: string[]) =>
    startPeer(name, PEERS_PYTHON, [join(PEER_SCRIPTS, script), ...argv]);
  const vllm: Contender = {
    name: VLLM,
    kind: 'vllm',
    start: () => python(VLLM, 'vllm_peer.py', model.directory, ...settings),
  };
  const llamas = GGUF_TYPES.flatMap((type) =>
    [true, false].map((flash): Contender => {
      const name = `llama.cpp ${type}${flash ? ' flash' : ''}`;
      const argv = [model.gguf[type], ...settings, flash ? 'on' : 'off'];
      return { name, kind: 'llama.cpp', flash, start: () => python(name, 'llama_cpp_peer.py', ...argv) };
    }),
  );
  const ours = OURS.map((name): Contender => {
    const script = fileURLToPath(new URL('./own-peer.js', import.meta.url));
    const argv = [script, model.own, name.replace('ours ', ''), String(threads)];
    const start = (...store: string[]) => startPeer(name, process.execPath, [...argv, ...store], false);
    return { name, kind: 'ours', start: () => start(), startWithStore: start };
  });
  return [vllm, ...llamas, ...ours];
}
