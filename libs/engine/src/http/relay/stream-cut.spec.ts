import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ChunkScan } from './chunk-scan.js';
import { LogprobScan } from './logprob-scan.js';
import { AnswerCut, type CutWishes, Splices } from './stream-cut.js';

describe('changes to a block of bytes', () => {
  /** Places that do not overlap, with what is put there, in any order. */
  const changes = fc
    .tuple(
      fc.uint8Array({ maxLength: 60 }),
      fc.uniqueArray(fc.nat(60), { maxLength: 12 }),
      fc.array(fc.option(fc.string({ maxLength: 5 })), { minLength: 6, maxLength: 6 }),
    )
    .chain(([bytes, places, puts]) => {
      const within = places.filter((place) => place <= bytes.length).sort((a, b) => a - b);
      const all = Array.from({ length: Math.floor(within.length / 2) }, (_, index) => ({
        from: within[2 * index] as number,
        to: within[2 * index + 1] as number,
        put: puts[index] ?? null,
      }));
      return fc.tuple(fc.constant(Buffer.from(bytes)), fc.shuffledSubarray(all));
    });

  it('are made as by hand, in whatever order they were told', () => {
    fc.assert(
      fc.property(changes, ([bytes, told]) => {
        const splices = new Splices();
        for (const { from, to, put } of told) splices.replace(from, to, put === null ? null : Buffer.from(put));
        const byHand: Buffer[] = [];
        let at = 0;
        for (const { from, to, put } of told.toSorted((a, b) => a.from - b.from)) {
          byHand.push(bytes.subarray(at, from), Buffer.from(put ?? ''));
          at = to;
        }
        const wanted = Buffer.concat([...byHand, bytes.subarray(at)]);
        const made = splices.taken(bytes, 0, bytes.length);
        if (wanted.length === 0) expect(made).toBeNull();
        else expect(made).toEqual(wanted);
        // Taken once, they are forgotten.
        if (bytes.length > 0) expect(splices.taken(bytes, 0, bytes.length)).toBe(bytes);
      }),
      { numRuns: 1_000 },
    );
  });

  it('copy nothing where one piece is left', () => {
    const bytes = Buffer.from('keep this, not that');
    const splices = new Splices();
    splices.replace(9, bytes.length, null);
    const made = splices.taken(bytes, 0, bytes.length);
    expect(String(made)).toBe('keep this');
    expect(made?.buffer).toBe(bytes.buffer);
  });
});

const wishes = (more: Partial<CutWishes> = {}): CutWishes => ({
  ...{ clientTop: null, askedTop: 5, withUsage: false, modelShown: 'support' },
  ...more,
});

const step = fc.record({
  token: fc.string({ maxLength: 4 }),
  logprob: fc.double({ min: -9, max: 0, noNaN: true }),
  top_logprobs: fc
    .array(fc.record({ token: fc.string({ maxLength: 4 }), logprob: fc.double({ min: -9, max: 0, noNaN: true }) }), { maxLength: 5 })
    .map((all) => all.toSorted((a, b) => b.logprob - a.logprob)),
});
const choice = fc.record(
  {
    index: fc.constantFrom(0, 1),
    delta: fc.record({ content: fc.string({ maxLength: 5 }) }),
    finish_reason: fc.constantFrom(null, 'stop'),
    logprobs: fc.option(fc.record({ content: fc.array(step, { maxLength: 2 }) })),
  },
  { requiredKeys: ['index'] },
);
const usage = fc.constantFrom(null, { prompt_tokens: 3, completion_tokens: 2 });
const chunk = fc
  .record(
    {
      id: fc.string({ maxLength: 4 }),
      model: fc.constantFrom('support', 'qwen', 'a "b"'),
      choices: fc.array(choice, { maxLength: 2 }),
      usage,
    },
    { requiredKeys: ['choices', 'model'] },
  )
  .chain((made) =>
    fc.shuffledSubarray(Object.entries(made), { minLength: Object.keys(made).length }).map((entries) => Object.fromEntries(entries)),
  );

describe('what a client gets of a chunk', () => {
  it('is the same by places in the bytes as by JSON', () => {
    let passed = 0;
    fc.assert(
      fc.property(chunk, fc.boolean(), fc.boolean(), fc.constantFrom(null, 0, 2, 5), (json, spaced, withUsage, clientTop) => {
        const text = spaced ? JSON.stringify(json, null, 1).replaceAll('\n', '') : JSON.stringify(json);
        const bytes = Buffer.from(`data: ${text}\n\n`);
        const wanted = wishes({ clientTop, withUsage });
        const scan = new ChunkScan(new LogprobScan({ ...wanted, askedTop: 5, bounds: false, vocabularySize: null }));
        if (!scan.scan(bytes, 6, bytes.length - 2)) return;
        passed += 1;
        const cut = new AnswerCut(wanted);
        cut.chunk(bytes, scan, 0, bytes.length);
        const made = cut.splices.taken(bytes, 0, bytes.length);
        const recast = new AnswerCut(wanted).recast(JSON.parse(text) as Record<string, unknown>, true);
        if (recast === 'drop') {
          expect(made).toBeNull();
          return;
        }
        expect(JSON.parse(String(made).slice(6))).toEqual(recast ?? JSON.parse(text));
        if (recast === null) expect(made).toBe(bytes);
      }),
      { numRuns: 1_000 },
    );
    expect(passed).toBeGreaterThan(500);
  });
});
