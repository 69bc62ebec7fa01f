/** Sheds load when the event loop or the heap is in trouble: 503 `overloaded` with Retry-After, before a body is read. */

import { getHeapStatistics } from 'node:v8';
import underPressure from '@fastify/under-pressure';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { BlockstitchError } from '../../errors.js';

/** Mean event-loop delay over a second above which new requests are refused. */
const MAX_EVENT_LOOP_DELAY_MS = 1000;

export const loadShedding = fp(
  async (app: FastifyInstance) => {
    await app.register(underPressure, {
      maxEventLoopDelay: MAX_EVENT_LOOP_DELAY_MS,
      maxHeapUsedBytes: Math.floor(getHeapStatistics().heap_size_limit * 0.9),
      pressureHandler: (_request, _reply, type) => {
        throw new BlockstitchError('overloaded', { reason: `${type} is beyond its limit` });
      },
    });
  },
  { name: 'load-shedding' },
);
