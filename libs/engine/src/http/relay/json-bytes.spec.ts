import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readChunk } from '../chunk.js';
import { ChunkScan } from './chunk-scan.js';
import { notJson, past, valueEnd } from './json-bytes.js';

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function walks(text: string): boolean {
  const bytes = Buffer.from(text);
  const end = valueEnd(bytes, past(bytes, 0));
  return end >= 0 && past(bytes, end) === bytes.length;
}

/** JSON with a byte or two changed: most of it is none any more. */
const nearly = fc
  .tuple(
    fc.json({ maxDepth: 4 }),
    fc.array(
      fc.tuple(fc.nat(200), fc.constantFrom('', '"', '\\', ',', ':', '{', '}', '[', ']', '0', '-', '.', 'e', 'u', ' ', '\n', '\u0001')),
      { maxLength: 2 },
    ),
  )
  .map(([text, changes]) =>
    changes.reduce((now, [at, put]) => now.slice(0, at % (now.length + 1)) + put + now.slice((at % (now.length + 1)) + 1), text),
  );

describe('a walk over JSON', () => {
  it('says what JSON.parse says', () => {
    fc.assert(
      fc.property(nearly, (text) => {
        expect(walks(text)).toBe(isJson(text));
      }),
      { numRuns: 2_000 },
    );
  });

  it('gives up in the deep instead of the stack', () => {
    expect(valueEnd(Buffer.from('['.repeat(1_000_000)), 0)).toBe(notJson);
  });
});

describe('a scanned chunk', () => {
  const value = fc.constantFrom(
    'null',
    '""',
    '"x"',
    '0',
    '1',
    '[]',
    '{}',
    '"stop"',
    '[{"a":1}]',
    '"error"',
    '-1',
    '1.5',
    'tru',
    '{"content":[]}',
    '{"prompt_tokens":3}',
  );
  const member = (names: readonly string[]) => fc.tuple(fc.constantFrom(...names), value).map(([name, one]) => `"${name}":${one}`);
  const delta = fc
    .array(member(['content', 'refusal', 'reasoning', 'reasoning_content', 'tool_calls', 'role']), { maxLength: 3 })
    .map((all) => `"delta":{${all.join(',')}}`);
  const choice = fc
    .array(fc.oneof(delta, member(['index', 'text', 'finish_reason', 'logprobs', 'delta', 'matched_stop'])), { maxLength: 4 })
    .map((all) => `{${all.join(',')}}`);
  const chunk = fc
    .array(
      fc.oneof(
        fc.array(choice, { maxLength: 2 }).map((all) => `"choices":[${all.join(',')}]`),
        member(['choices', 'usage', 'error', 'detail', 'object', 'model', 'metrics', 'id']),
      ),
      { maxLength: 4 },
    )
    .map((all) => `{${all.join(',')}}`);

  it('never says yes where JSON.parse says no, and says the same', () => {
    let accepted = 0;
    fc.assert(
      fc.property(chunk, (text) => {
        const scan = new ChunkScan(null);
        const bytes = Buffer.from(text);
        if (!scan.scan(bytes, 0, bytes.length)) return;
        accepted += 1;
        const read = readChunk(text);
        if (read.kind !== 'chunk') throw new Error(`taken for a chunk: ${text}`);
        expect(scan.usage).toEqual(read.chunk.usage);
        expect(read.chunk.queueWaitMs).toBeNull();
        expect(
          scan.choices
            .slice(0, scan.count)
            .map(({ index, said, finishReason, logprobsFrom }) => ({ index, said, finishReason, told: logprobsFrom >= 0 })),
        ).toEqual(
          read.chunk.choices.map(({ index, text, reasoning, toolCalls, finishReason, logprobs }) => ({
            index,
            said: text !== '' || reasoning !== '' || toolCalls.length > 0,
            finishReason,
            told: logprobs !== null,
          })),
        );
      }),
      { numRuns: 5_000 },
    );
    expect(accepted).toBeGreaterThan(200);
  });
});
