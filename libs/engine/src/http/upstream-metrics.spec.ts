import { describe, expect, it } from 'vitest';
import type { Dialect } from './dialect.js';
import { parseMetrics } from './prometheus-text.js';
import { noMetrics, type Reading, readMetrics } from './upstream-metrics.js';

function reading(atMs: number, page: string): Reading {
  const parsed = parseMetrics(page);
  if (!parsed.ok) throw new Error(parsed.fault.message);
  return { atMs, page: parsed.value };
}

const of = (dialect: Dialect, maxParallel: number | null = null) => ({ dialect, model: 'm', maxParallel });

describe("an upstream's figures", () => {
  it('of vLLM are gauges, rates and means since the page before, over all its engines', () => {
    const page = (running: number, prompt: number, ttftSum: number, ttftCount: number): string => `
vllm:num_requests_running{engine="0",model_name="m"} ${running}
vllm:num_requests_running{engine="1",model_name="m"} 1
vllm:num_requests_waiting{engine="0",model_name="m"} 7
vllm:kv_cache_usage_perc{engine="0",model_name="m"} 0.5
vllm:kv_cache_usage_perc{engine="1",model_name="m"} 0.25
vllm:cache_config_info{block_size="16",num_gpu_blocks="1000",engine="0"} 1
vllm:prompt_tokens_total{engine="0",model_name="m"} ${prompt}
vllm:prefix_cache_queries_total{engine="0",model_name="m"} ${prompt}
vllm:prefix_cache_hits_total{engine="0",model_name="m"} ${prompt / 4}
vllm:time_to_first_token_seconds_sum{engine="0",model_name="m"} ${ttftSum}
vllm:time_to_first_token_seconds_count{engine="0",model_name="m"} ${ttftCount}
vllm:time_to_first_token_seconds_bucket{le="0.1",model_name="m"} 99`;
    const first = reading(0, page(3, 1_000, 10, 100));
    expect(readMetrics(first, null, of('vllm'))).toEqual({
      ...noMetrics,
      running: 4,
      waiting: 7,
      kvUsage: 0.375,
      kvCellsTotal: 16_000,
      kvCellsUsed: 6_000,
    });
    const second = readMetrics(reading(5_000, page(3, 1_500, 12, 110)), first, of('vllm', 8));
    expect(second).toMatchObject({
      inputTokensPerS: 100,
      prefixHitShare: 0.25,
      ttftMs: 200,
      queueWaitMs: null,
      outputTokensPerS: null,
      occupancy: 0.5,
    });
  });

  it('of vLLM before 0.10 go by their old names', () => {
    const page = reading(0, 'vllm:gpu_cache_usage_perc{model_name="m"} 0.9\nvllm:num_requests_running{model_name="m"} 0');
    expect(readMetrics(page, null, of('vllm'))).toMatchObject({ kvUsage: 0.9, running: 0, waiting: null });
  });

  it.each<[Dialect, string, object]>([
    [
      'sglang',
      'sglang:num_running_reqs{model_name="m"} 2\nsglang:num_queue_reqs{model_name="m"} 1\nsglang:token_usage{model_name="m"} 0.28\nsglang:num_used_tokens{model_name="m"} 280\nsglang:max_total_num_tokens{model_name="m"} 1000\nsglang:cache_hit_rate{model_name="m"} 0.5',
      { running: 2, waiting: 1, kvUsage: 0.28, kvCellsUsed: 280, kvCellsTotal: 1_000, prefixHitShare: 0.5 },
    ],
    [
      'llama-server',
      'llamacpp:requests_processing 2\nllamacpp:requests_deferred 0',
      { running: 2, waiting: 0, kvUsage: null, kvCellsUsed: null, ttftMs: null },
    ],
    ['tgi', 'tgi_batch_current_size 4\ntgi_queue_size 9', { running: 4, waiting: 9, kvUsage: null }],
    ['ollama', 'ollama_anything 4', noMetrics],
    ['openai', 'http_requests_total 4', noMetrics],
  ])('of %s', (dialect, page, expected) => {
    expect(readMetrics(reading(0, page), null, of(dialect))).toMatchObject(expected);
  });

  it('of llama-server tell prefix hits by what had to be computed', () => {
    const before = reading(0, 'llamacpp:prompt_tokens_total 100\nllamacpp:prompt_tokens_cached_total 0');
    const after = reading(5_000, 'llamacpp:prompt_tokens_total 130\nllamacpp:prompt_tokens_cached_total 90');
    expect(readMetrics(after, before, of('llama-server'))).toMatchObject({ prefixHitShare: 0.75, inputTokensPerS: 6 });
  });

  it('are those of our model where a page has several', () => {
    const page = reading(0, 'vllm:num_requests_running{model_name="m"} 1\nvllm:num_requests_running{model_name="other"} 5');
    expect(readMetrics(page, null, of('vllm')).running).toBe(1);
    expect(readMetrics(page, null, { ...of('vllm'), model: 'an-adapter' }).running).toBe(6);
  });

  it('are unknown, not zero, for what is absent, not a number, or counted from anew after a restart', () => {
    expect(readMetrics(reading(0, 'vllm:num_requests_running NaN'), null, of('vllm'))).toEqual(noMetrics);
    const before = reading(0, 'vllm:prompt_tokens_total 900');
    expect(readMetrics(reading(5_000, 'vllm:prompt_tokens_total 100'), before, of('vllm')).inputTokensPerS).toBeNull();
    expect(readMetrics(reading(5_000, 'vllm:prompt_tokens_total 900'), before, of('vllm')).inputTokensPerS).toBe(0);
  });
});
