import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseMetrics } from './prometheus-text.js';

const samplesOf = (page: string) => {
  const parsed = parseMetrics(page);
  if (!parsed.ok) throw new Error(parsed.fault.message);
  return parsed.value;
};

describe('a page of metrics', () => {
  it('gives names, labels and values, and skips comments', () => {
    const page = [
      '# HELP vllm:num_requests_running Number of requests.',
      '# TYPE vllm:num_requests_running gauge',
      'vllm:num_requests_running{engine="0",model_name="Qwen/Qwen3-8B"} 3.0',
      'llamacpp:requests_deferred 0',
      '',
      'process_start_time_seconds 1.7e+09 1700000000000',
      'x_bucket{le="+Inf",} 12 # {trace_id="a"} 1 2',
    ].join('\r\n');
    expect(samplesOf(page)).toEqual([
      { name: 'vllm:num_requests_running', labels: { engine: '0', model_name: 'Qwen/Qwen3-8B' }, value: 3 },
      { name: 'llamacpp:requests_deferred', labels: {}, value: 0 },
      { name: 'process_start_time_seconds', labels: {}, value: 1.7e9 },
      { name: 'x_bucket', labels: { le: '+Inf' }, value: 12 },
    ]);
  });

  it('keeps what is not a number apart from numbers', () => {
    expect(samplesOf('a NaN\nb +Inf\nc -Inf\nd -0.5').map(({ value }) => value)).toEqual([
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
      -0.5,
    ]);
  });

  it('reads back any label', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!text.includes('\r'));
        const escaped = text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`));
        expect(samplesOf(`m{a="1",b="${escaped}"} 1`)[0]?.labels).toEqual({ a: '1', b: text });
      }),
    );
  });

  it.each([
    '<html>',
    'name',
    'name{a="1" 2',
    'name{a=1} 2',
    'name{a="1"b="2"} 3',
    'name{="1"} 2',
    '9name 1',
    'name one',
    'name 1 2 3',
    '{"error": 1}',
  ])('is refused with the line: %s', (line) => {
    expect(parseMetrics(`ok 1\n${line}\n`)).toMatchObject({ ok: false, fault: { code: 'metrics.malformed', message: /line 2/ } });
  });

  it('never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'am{}=",\\\n\r 1.#+N') }), (page) => {
        parseMetrics(page);
      }),
    );
  });
});
