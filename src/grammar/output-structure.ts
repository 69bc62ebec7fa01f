/**
 * What an answer must look like: JSON of a schema, a regular expression, one of some strings, a grammar, or calls.
 * Knows names only. `grammar-service.ts` compiles them.
 */
export type OutputStructure =
  /** A JSON Schema, as JSON text. */
  | { kind: 'json_schema'; schema: string }
  | { kind: 'regex'; pattern: string }
  | { kind: 'choice'; choices: readonly string[] }
  /** EBNF whose first rule is `root`. */
  | { kind: 'grammar'; ebnf: string }
  | CallsStructure;

/** Calls of functions. Texts are written as they stand; src/tools knows what they are. */
export interface CallsStructure {
  kind: 'calls';
  /** In front of the first call, between calls, behind the last. */
  opening: string;
  separator: string;
  closing: string;
  /** The calls that may be made: text, JSON of a schema (as JSON text), text. */
  calls: readonly { begin: string; schema: string; end: string }[];
  /** Calls in a row. */
  most: number;
  /** What the answer may be instead. If absent, it is calls. */
  instead?: OutputStructure | FreeText;
}

/** Any text, in which calls begin with a trigger. */
export interface FreeText {
  kind: 'text';
  /** A beginning of `opening`, or a text that may stand in front of it: behind it a call must come. */
  trigger: string;
  /** Whether a text that begins like a call must be one. */
  bare: boolean;
}

/** Any JSON object. */
export const JSON_OBJECT: OutputStructure = {
  kind: 'json_schema',
  schema: '{"type":"object","additionalProperties":true}',
};

/** Equal for equal structures. */
export function structureKey(structure: OutputStructure): string {
  return JSON.stringify(structure);
}
