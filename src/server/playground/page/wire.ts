/**
 * What the page reads of the server's answers: only the fields that it uses. docs/api.md has all of them; a test holds these
 * types equal to the server's own.
 */

export type Tier = 'pool' | 'host' | 'lmdb' | 'redis';

/** One block of `POST /v1/segment` with `include_cache`. */
export interface CutBlock {
  /** UTF-16 offsets in the text; the blocks cover it. */
  start: number;
  end: number;
  tokens: number;
  /** Of the boundary at `end`, 0 to 1. */
  boundary_score: number;
  /** `null`: the block has no tokens. */
  hash?: string | null;
  /** Nearest first; empty = a miss. */
  tiers?: Tier[];
}

export interface CutAnswer {
  tokens: number;
  data: CutBlock[];
}

export interface ReportBlock {
  hash: string;
  tokens: number;
  origin: Tier | 'computed';
  kind: 'template' | 'document';
  /** Whose text it is, by its place in the request; absent for `template`. */
  document?: { index: number; start: number; end: number };
  /** A passage of a message, which the server cut by itself. */
  message?: { index: number; start: number; end: number };
}

/** The `blockstitch` field of an answer. */
export interface Report {
  attention: 'block' | 'full';
  /** In prompt order. */
  blocks: ReportBlock[];
  timings: { ttft_ms: number; total_ms: number };
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details: { cached_tokens: number };
}

export interface ChatChunk {
  choices: { delta: { content?: string }; finish_reason: string | null }[];
  usage?: Usage | null;
  blockstitch?: Report;
}

export interface ErrorAnswer {
  error: { message: string; code: string; param: string | null; remedy: string };
}

export interface Model {
  id: string;
  max_model_len: number;
  blockstitch: { attention: 'block' | 'full'; weights: string };
}

export interface Samples {
  documents: { name: string; text: string }[];
  questions: string[];
}

/** The body of `POST /v1/chat/completions`, as this page sends it. */
export interface ChatBody {
  model: string;
  messages: { role: 'user'; content: string }[];
  documents?: { text: string }[];
  segmentation?: { granularity: number };
  attention?: 'block' | 'full';
  cache_salt?: string;
  temperature: number;
  max_tokens: number;
  stream: true;
  stream_options: { include_usage: true };
}
