/**
 * The grammar of calls, in EBNF: the notation's text around the JSON of each function's arguments. Each part's grammar
 * comes as EBNF whose first rule is `root`; its rules are renamed, so that parts do not meet.
 * Knows EBNF as xgrammar prints it.
 */
import type { CallsStructure, OutputStructure } from './output-structure.js';

/** Strings and classes, in which names are none; and names. */
const TOKEN = /"(?:[^"\\]|\\.)*"|\[(?:[^\]\\]|\\.)*\]|\b(?<name>[A-Za-z_]\w*)/g;

/** @param ebnfOf makes the grammar of a part */
export async function ebnfOfCalls(
  structure: CallsStructure,
  ebnfOf: (part: OutputStructure) => Promise<string>,
): Promise<string> {
  const { opening, separator, closing, calls, most, instead } = structure;
  const rules: string[] = [];
  const parts = new Map<string, string>();
  /** @returns the rule that stands for a part; equal parts share one */
  const ruleOf = async (part: OutputStructure): Promise<string> => {
    const ebnf = await ebnfOf(part);
    const known = parts.get(ebnf);
    if (known !== undefined) return known;
    const prefix = `part_${parts.size}_`;
    rules.push(renamed(ebnf, prefix));
    parts.set(ebnf, `${prefix}root`);
    return `${prefix}root`;
  };
  const alternatives: string[] = [];
  for (const { begin, schema, end } of calls) {
    const rule = await ruleOf({ kind: 'json_schema', schema });
    alternatives.push(`(${quoted(begin)} ${rule} ${quoted(end)})`);
  }
  const more = most > 1 ? ` (${quoted(separator)} call){0,${most - 1}}` : '';
  rules.push(`call ::= ${alternatives.join(' | ')}`, `calls ::= call${more} ${quoted(closing)}`);
  const whole = `${quoted(opening)} calls`;
  if (instead === undefined) rules.unshift(`root ::= ${whole}`);
  else if (instead.kind !== 'text') rules.unshift(`root ::= (${whole}) | ${await ruleOf(instead)}`);
  else {
    const { trigger, bare } = instead;
    const rest = opening.startsWith(trigger) ? opening.slice(trigger.length) : opening;
    const dispatch = `TagDispatch((${plain(trigger)}, triggered), stop_eos=true, stop_str=(), loop_after_dispatch=true)`;
    rules.push(`text ::= ${dispatch}`, `triggered ::= ${quoted(rest)} calls`);
    // Neither white space nor a brace begins a text that is no call, nor anything that hides a trigger.
    const first = `([^{< \\t\\r\\n] text) | ("<" ("" | [^|] text)) | text_trigger`;
    if (bare) rules.push(`text_trigger ::= ${quoted(trigger)} triggered text`);
    rules.unshift(`root ::= ${bare ? `"" | (${whole} text) | ${first}` : 'text'}`);
  }
  return rules.join('\n');
}

function renamed(ebnf: string, prefix: string): string {
  return ebnf.replace(TOKEN, (token, name: string | undefined) => (name === undefined ? token : `${prefix}${name}`));
}

/** A string of EBNF: everything but letters and digits as its code point. */
export function quoted(text: string): string {
  const characters = Array.from(text, (character) => {
    if (/[A-Za-z0-9 ]/.test(character)) return character;
    return `\\U${(character.codePointAt(0) as number).toString(16).padStart(8, '0')}`;
  });
  return `"${characters.join('')}"`;
}

/** A string of a dispatch, which takes no escapes of code points. */
function plain(text: string): string {
  return JSON.stringify(text);
}
