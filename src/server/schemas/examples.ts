/**
 * Examples of the OpenAPI document: what a client sends to the demo model, and what it answered. Tests hold each to its
 * schema and send each request to a served model. Knows wire formats only.
 */
const HASH = '8c33ee07089cb4617080ef3664dce036b835939badc051c7c018273efb7fb2cb';
const TEXT = 'Zokego is held in Limoga. Its host is Sobako.';
const CREATED = 1795870984;

const report = {
  attention: 'block',
  blocks: [{ hash: HASH, tokens: 10, origin: 'computed', kind: 'document', repaired_tokens: 0 }],
  timings: { queue_ms: 0.44, prefill_ms: 8.44, ttft_ms: 10.07, total_ms: 22.28 },
};
const usage = {
  prompt_tokens: 25,
  completion_tokens: 10,
  total_tokens: 35,
  prompt_tokens_details: { cached_tokens: 5 },
  completion_tokens_details: { accepted_prediction_tokens: 4, rejected_prediction_tokens: 1 },
};

export const chatRequest = {
  messages: [{ role: 'user', content: 'Where is Zokego held?' }],
  documents: [{ title: 'Fairs', text: 'Zokego is held in Limoga.' }],
  max_tokens: 16,
  temperature: 0,
};
export const chatCompletion = {
  id: 'chatcmpl-req-1abcfeb3-1e4d-4c66-b42f-0b33bbd5a848',
  object: 'chat.completion',
  created: CREATED,
  model: 'demo',
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: 'Zokego is held in Limoga.', refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage,
  blockstitch: report,
};
const chatChunk = {
  id: chatCompletion.id,
  object: 'chat.completion.chunk',
  created: CREATED,
  model: 'demo',
  choices: [{ index: 0, delta: { content: 'Zok' }, logprobs: null, finish_reason: null }],
};
export const chatEvent = { data: JSON.stringify(chatChunk) };

export const completionRequest = {
  blocks: ['Zokego is held in Limoga.'],
  prompt: ' Zokego is held in',
  max_tokens: 4,
  temperature: 0,
};
export const completion = {
  id: 'cmpl-req-96b63646-d4dc-4eb0-833d-4d8b1faf04ba',
  object: 'text_completion',
  created: CREATED,
  model: 'demo',
  choices: [{ index: 0, text: ' Limoga', logprobs: null, finish_reason: 'length' }],
  usage,
  blockstitch: report,
};
export const completionEvent = {
  data: JSON.stringify({
    id: completion.id,
    object: 'text_completion',
    created: CREATED,
    model: 'demo',
    choices: [{ index: 0, text: ' Lim', logprobs: null, finish_reason: null }],
  }),
};

export const documentRequest = { id: 'fairs', title: 'Fairs', text: TEXT, metadata: { year: '2026' } };
const listed = {
  id: 'fairs',
  object: 'document',
  created_at: CREATED,
  title: 'Fairs',
  metadata: { year: '2026' },
  characters: 45,
  tokens: 20,
  bytes: 51328,
  prefilled: { blocks: 1, tokens: 20, seconds: 0.041 },
  block_count: 1,
};
export const document = { ...listed, text: TEXT, blocks: [{ hash: HASH, tokens: 20, start: 0, end: 45 }] };
export const documentLines = `${JSON.stringify(documentRequest)}\n${JSON.stringify({ text: ' ' })}\n`;
export const documentResult = {
  line: 1,
  status: 'done',
  id: 'fairs',
  tokens: 20,
  computed_tokens: 20,
  block_count: 1,
};
export const documentList = { object: 'list', data: [listed], damaged: [], has_more: false, last_id: 'fairs' };
export const documentDeleted = { id: 'fairs', object: 'document.deleted', deleted: true };

export const job = {
  id: 'job-0mx0f7s2y-9584856a372a0a58256d',
  object: 'job',
  status: 'running',
  document_id: 'fairs',
  created_at: CREATED,
  blocks_done: 1,
  blocks_total: 3,
  error: null,
};
export const jobEvent = { event: 'progress', data: JSON.stringify(job) };

export const segmentRequest = { text: TEXT, include_text: true };
export const segmentList = {
  object: 'list',
  characters: 45,
  tokens: 19,
  data: [{ start: 0, end: 45, tokens: 19, boundary_score: 1, text: TEXT }],
};

export const block = { hash: HASH, object: 'block', tiers: ['pool', 'host', 'lmdb'], tokens: 10, bytes: 25824 };
export const blockDeleted = { hash: HASH, object: 'block.deleted', deleted: true };
export const cacheFlushed = { object: 'cache.flushed', blocks: 11 };
export const cacheStatistics = {
  object: 'cache',
  pool: {
    pages: 1637,
    free_pages: 1614,
    cached_pages: 23,
    active_pages: 0,
    page_tokens: 16,
    page_bytes: 40960,
    cached_blocks: 11,
  },
  tiers: [
    {
      tier: 'host',
      entries: 11,
      bytes: 337920,
      hits: 0,
      misses: 14,
      corrupt: 0,
      loaded_bytes: 0,
      load_seconds: 0,
    },
  ],
  store: { tier: 'lmdb', breaker: 'closed', failures: 0 },
  tenant: { blocks: 11, bytes: 339328, limit: null },
  queried_tokens: 38,
  hit_tokens: { pool: 19, host: 0, lmdb: 0, redis: 0 },
};

export const model = {
  id: 'demo',
  object: 'model',
  created: CREATED,
  owned_by: 'blockstitch',
  root: 'demo',
  parent: null,
  max_model_len: 4096,
  blockstitch: {
    family: 'llama',
    weights: 'int8',
    fingerprint: '94e71c244af15288d6bfa5fa562e4adfeae35d4928a9fdbed3c325ab4b83e819',
    attention: 'block',
    repair: 0,
    kv_dtype: 'float16',
    sink_token_ids: [0, 1451, 1452, 1453, 1454],
    block_start_token_ids: [],
    block_end_token_ids: [],
  },
};
export const modelList = { object: 'list', data: [model] };
export const health = { status: 'ok' };
export const ready = { status: 'ready', model: 'demo', store: 'ok' };

export const tokenizeRequest = { prompt: 'Zokego is held', return_token_strs: true };
export const tokenized = {
  count: 9,
  max_model_len: 4096,
  tokens: [0, 1451, 1452, 1453, 1454, 1061, 736, 266, 432],
  token_strs: ['<|bos|>', '<|sink_0|>', '<|sink_1|>', '<|sink_2|>', '<|sink_3|>', 'Zok', 'ego', ' is', ' held'],
};
export const detokenizeRequest = { tokens: [1061, 736, 266, 432] };
export const detokenized = { prompt: 'Zokego is held' };

export const responseRequest = {
  input: 'Where is Zokego held?',
  documents: ['Zokego is held in Limoga.'],
  max_output_tokens: 16,
  temperature: 0,
};
export const response = {
  id: 'resp_req-0a07f0bd-81da-44fa-a856-39d80a9dd5c4',
  object: 'response',
  created_at: CREATED,
  status: 'completed',
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: 16,
  model: 'demo',
  output: [
    {
      id: 'msg_req-0a07f0bd-81da-44fa-a856-39d80a9dd5c4',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Zokego is held in Limoga.', annotations: [] }],
    },
  ],
  parallel_tool_calls: true,
  previous_response_id: null,
  store: false,
  temperature: 0,
  top_p: null,
  text: { format: { type: 'text' } },
  tool_choice: 'auto',
  tools: [],
  truncation: 'disabled',
  metadata: {},
  usage: {
    input_tokens: 25,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 10,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 35,
  },
  blockstitch: report,
};
export const responseEvent = {
  event: 'response.output_text.delta',
  data: JSON.stringify({
    type: 'response.output_text.delta',
    sequence_number: 4,
    item_id: response.output[0]?.id,
    output_index: 0,
    content_index: 0,
    delta: 'Zok',
    logprobs: [],
  }),
};
