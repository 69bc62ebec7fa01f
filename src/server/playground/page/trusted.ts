/**
 * The page's one Trusted Types policy. The server's policy forbids every other way from text to script or markup. Two uses
 * need it: a parser for HTML files, whose document is never shown and runs nothing, and pdf.js' worker.
 */

interface Policy {
  createHTML(text: string): string;
  createScriptURL(url: string): string;
}

const identity = { createHTML: (text: string) => text, createScriptURL: (url: string) => url };
const factory = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: Policy): Policy } }).trustedTypes;

/** Browsers without Trusted Types take plain strings. */
export const trusted: Policy = factory?.createPolicy('blockstitch', identity) ?? identity;
