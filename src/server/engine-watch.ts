/**
 * Follows the engine's state for the server: a log line for each change, and the end of patience with an engine that
 * stays down. Knows states and time; the engine decides what state it is in.
 */
import type { Engine, EngineState } from '../engine/engine.js';

export interface WatchLogger {
  info(details: object, message: string): void;
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
}

const LEVELS = { running: 'info', restarting: 'warn', down: 'error' } as const;

/**
 * @param maxDownMs time for which the engine may stay down; 0 sets no limit
 * @param giveUp    called once, with the reason, when that time has passed
 * @returns stops watching
 */
export function watchEngine(
  engine: Pick<Engine, 'state' | 'onStateChange'>,
  { maxDownMs, log, giveUp }: { maxDownMs: number; log: WatchLogger; giveUp: (reason: string) => void },
): () => void {
  let patience: NodeJS.Timeout | undefined;
  const stopListening = engine.onStateChange((state: EngineState) => {
    const { name, reason, restarts } = state;
    log[LEVELS[name]]({ engine: name, reason, restarts }, `engine is ${name}`);
    if (name !== 'down') {
      clearTimeout(patience);
      patience = undefined;
    } else if (maxDownMs > 0) patience ??= setTimeout(() => giveUp(reason), maxDownMs);
  });
  return () => {
    clearTimeout(patience);
    stopListening();
  };
}
