/** Typed client for Blockstitch. `Blockstitch` has helpers; `components` and the names below have every shape of the API. */
export { Blockstitch, type BlockstitchOptions } from './blockstitch.js';
export { BlockstitchError, UnexpectedAnswer } from './errors.js';
export type { JobChange } from './events.js';
export type * from './generated/schema.js';
