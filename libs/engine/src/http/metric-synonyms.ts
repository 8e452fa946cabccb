// What each family of servers calls the same figure. Names changed between releases; an absent series is unknown, never zero.
import type { Dialect } from './dialect.js';

/** Series of one meaning, newest name first: the first that the page has is taken. */
export interface Synonyms {
  readonly running: readonly string[];
  readonly waiting: readonly string[];
  readonly kvUsage: readonly string[];
  readonly kvUsed: readonly string[];
  readonly kvTotal: readonly string[];
  readonly hits: readonly string[];
  readonly lookups: readonly string[];
  /** Prompt tokens that had to be computed, where lookups are not counted. */
  readonly misses: readonly string[];
  readonly hitShare: readonly string[];
  /** Histograms, in seconds, without `_sum` and `_count`. */
  readonly ttft: readonly string[];
  readonly queueWait: readonly string[];
  readonly inputTokens: readonly string[];
  readonly outputTokens: readonly string[];
}

const none: Synonyms = {
  running: [],
  waiting: [],
  kvUsage: [],
  kvUsed: [],
  kvTotal: [],
  hits: [],
  lookups: [],
  misses: [],
  hitShare: [],
  ttft: [],
  queueWait: [],
  inputTokens: [],
  outputTokens: [],
};

const vllm: Synonyms = {
  ...none,
  running: ['vllm:num_requests_running'],
  waiting: ['vllm:num_requests_waiting'],
  kvUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  hits: ['vllm:prefix_cache_hits_total', 'vllm:prefix_cache_hits', 'vllm:gpu_prefix_cache_hits_total', 'vllm:gpu_prefix_cache_hits'],
  lookups: [
    'vllm:prefix_cache_queries_total',
    'vllm:prefix_cache_queries',
    'vllm:gpu_prefix_cache_queries_total',
    'vllm:gpu_prefix_cache_queries',
  ],
  ttft: ['vllm:time_to_first_token_seconds'],
  queueWait: ['vllm:request_queue_time_seconds'],
  inputTokens: ['vllm:prompt_tokens_total'],
  outputTokens: ['vllm:generation_tokens_total'],
};

export const synonyms: Readonly<Record<Dialect, Synonyms>> = {
  vllm,
  sglang: {
    ...none,
    running: ['sglang:num_running_reqs'],
    waiting: ['sglang:num_queue_reqs'],
    kvUsage: ['sglang:token_usage'],
    kvUsed: ['sglang:num_used_tokens'],
    kvTotal: ['sglang:max_total_num_tokens'],
    hits: ['sglang:cached_tokens_total'],
    lookups: ['sglang:prompt_tokens_total'],
    hitShare: ['sglang:cache_hit_rate'],
    ttft: ['sglang:time_to_first_token_seconds'],
    queueWait: ['sglang:queue_time_seconds'],
    inputTokens: ['sglang:prompt_tokens_total'],
    outputTokens: ['sglang:generation_tokens_total'],
  },
  'llama-server': {
    ...none,
    running: ['llamacpp:requests_processing'],
    waiting: ['llamacpp:requests_deferred'],
    kvUsage: ['llamacpp:kv_cache_usage_ratio'],
    kvUsed: ['llamacpp:kv_cache_tokens'],
    hits: ['llamacpp:prompt_tokens_cached_total'],
    misses: ['llamacpp:prompt_tokens_total'],
    inputTokens: ['llamacpp:prompt_tokens_total'],
    outputTokens: ['llamacpp:tokens_predicted_total'],
  },
  tgi: {
    ...none,
    running: ['tgi_batch_current_size'],
    waiting: ['tgi_queue_size'],
    queueWait: ['tgi_request_queue_duration'],
    inputTokens: ['tgi_request_input_length_sum'],
    outputTokens: ['tgi_request_generated_tokens_sum'],
  },
  // Has no such page.
  ollama: none,
  // Not told apart: any of the pages may be behind a proxy.
  openai: vllm,
};
