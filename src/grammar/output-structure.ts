/**
 * What an answer must look like: JSON of a schema, a regular expression, one of some strings, or a grammar.
 * Knows names only. `grammar-service.ts` compiles them.
 */
export type OutputStructure =
  /** A JSON Schema, as JSON text. */
  | { kind: 'json_schema'; schema: string }
  | { kind: 'regex'; pattern: string }
  | { kind: 'choice'; choices: readonly string[] }
  /** EBNF whose first rule is `root`. */
  | { kind: 'grammar'; ebnf: string };

/** Any JSON object. */
export const JSON_OBJECT: OutputStructure = {
  kind: 'json_schema',
  schema: '{"type":"object","additionalProperties":true}',
};

/** Equal for equal structures. */
export function structureKey(structure: OutputStructure): string {
  return JSON.stringify(structure);
}
