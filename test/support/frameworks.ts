/** The Python that `make frameworks` makes, with LangChain, LlamaIndex, Haystack, LiteLLM, OpenAI's Agents SDK and Pydantic AI. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_DIR } from '../../src/config.js';

/** @returns undefined if it was not made: the index could not be reached */
export function frameworksPython(): string | undefined {
  const python = join(PACKAGE_DIR, 'build', 'frameworks', 'bin', 'python');
  // The stamp says that the install went through.
  return existsSync(join(PACKAGE_DIR, 'build', 'stamps', 'frameworks')) && existsSync(python) ? python : undefined;
}
