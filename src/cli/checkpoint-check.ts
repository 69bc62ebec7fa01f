/**
 * Checks a checkpoint as far as that goes without converting its weights: config, headers, tokenizer, chat template and
 * special tokens. `import` and `doctor` use it, so that they refuse what `serve` would refuse.
 */
import { resolve } from 'node:path';
import { openCheckpoint } from '../model/checkpoint.js';
import { storedTypes } from '../model/import-model.js';
import type { ModelConfig } from '../model/imported-model.js';
import { PromptBuilder } from '../prompt/prompt-builder.js';
import { resolveSpecialTokens } from '../server/special-tokens.js';
import { createTextService, outsideNotices } from '../text/text-service.js';

export interface CheckedCheckpoint {
  config: ModelConfig;
  /** Forms in which its weights are stored, for `requantizationNotice`. */
  storedTypes: readonly string[];
  /** What is unusual but harmless, a line each. */
  notices: string[];
}

/**
 * @param path a Hugging Face directory or a GGUF file
 * @param adapter directory of an adapter; empty for none
 * @throws BlockstitchError `checkpoint_invalid` with file and reason
 */
export async function checkCheckpoint(path: string, adapter: string): Promise<CheckedCheckpoint> {
  const { config, entries } = await openCheckpoint(resolve(path), adapter === '' ? undefined : resolve(adapter));
  const { vocabSize } = config.model;
  const text = await createTextService({ checkpointDir: path, vocabSize });
  try {
    const { sinkTokenIds, notices } = resolveSpecialTokens({ config: config.model }, text);
    new PromptBuilder({ textService: text, sinkTokenIds });
    const untalkative = text.chatTemplate === undefined ? ['it has no chat template: /v1/completions only'] : [];
    const lines = [...untalkative, ...outsideNotices(text, vocabSize), ...notices];
    return { config: config.model, storedTypes: storedTypes(entries), notices: lines };
  } finally {
    await text.close();
  }
}
