/** One-shot forms of PromptBuilder for callers that make one plan: they remember nothing between calls. */
import { type ChatInput, type CompletionInput, PromptBuilder, type PromptBuilderOptions } from './prompt-builder.js';
import type { PromptPlan } from './prompt-plan.js';

/** A plan of messages and documents; see PromptBuilder.chat. */
export function buildChatPlan(input: ChatInput & PromptBuilderOptions): Promise<PromptPlan> {
  return new PromptBuilder(input).chat(input);
}

/** A plan of a plain prompt behind blocks; see PromptBuilder.completion. */
export function buildCompletionPlan(input: CompletionInput & PromptBuilderOptions): Promise<PromptPlan> {
  return new PromptBuilder(input).completion(input);
}
