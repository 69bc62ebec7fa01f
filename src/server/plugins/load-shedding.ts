/**
 * Refuses requests while the event loop or the heap is in trouble: 503 `overloaded` with Retry-After, before a body is
 * read. One late second is not trouble: other work on the machine makes any loop late. Knows the process, no request.
 */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import { getHeapStatistics } from 'node:v8';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';

export interface LoadSheddingOptions {
  /** Mean event-loop delay over a sample above which it is late. */
  maxDelayMs?: number;
  /** Samples in a row that must be late. */
  lateSamples?: number;
  sampleMs?: number;
  /** Share of the heap's limit above which requests are refused. */
  maxHeapShare?: number;
}

const RESOLUTION_MS = 20;

export const loadShedding = fp<LoadSheddingOptions>(
  (app: FastifyInstance, options, done) => {
    const { maxDelayMs = 1000, lateSamples = 3, sampleMs = 1000, maxHeapShare = 0.9 } = options;
    const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
    const maxHeapBytes = getHeapStatistics().heap_size_limit * maxHeapShare;
    let lateInRow = 0;
    let heapBytes = 0;
    const sample = () => {
      lateInRow = meanDelayMs(delay, sampleMs) > maxDelayMs ? lateInRow + 1 : 0;
      heapBytes = process.memoryUsage().heapUsed;
      delay.reset();
    };
    const timer = setInterval(sample, sampleMs).unref();
    delay.enable();
    app.addHook('onRequest', async () => {
      if (lateInRow >= lateSamples) throw new BlockstitchError('overloaded', { reason: 'the event loop is late' });
      if (heapBytes > maxHeapBytes) throw new BlockstitchError('overloaded', { reason: 'the heap is nearly full' });
    });
    app.addHook('onClose', async () => {
      clearInterval(timer);
      delay.disable();
    });
    done();
  },
  { name: 'load-shedding' },
);

/** In a sample without a measure the loop never turned. */
function meanDelayMs({ count, mean }: IntervalHistogram, sampleMs: number): number {
  return count === 0 ? sampleMs : Math.max(0, mean / 1e6 - RESOLUTION_MS);
}
