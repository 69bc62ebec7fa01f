/** Every case, in the order in which they run. */
import type { FaultCase } from './case.js';
import { LMDB_CASES } from './lmdb-cases.js';
import { PROCESS_CASES } from './process-cases.js';
import { REDIS_AWAY_CASES } from './redis-away-cases.js';
import { REDIS_VALUE_CASES } from './redis-value-cases.js';

export const CASES: readonly FaultCase[] = [...PROCESS_CASES, ...LMDB_CASES, ...REDIS_AWAY_CASES, ...REDIS_VALUE_CASES];
