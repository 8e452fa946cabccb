import { describe, expect, it } from 'vitest';
import { AnswerMeter } from './answer-meter.js';
import type { SeenChoice } from './chunk-scan.js';

const seen = (more: Partial<SeenChoice> = {}): SeenChoice => ({
  ...{ index: 0, said: false, finishReason: null, listed: 0, measured: 0, lowerNats: 0, upperNats: 0, nllNats: 0 },
  ...more,
});
const facts = { endMark: true, usageInStreams: true };
const usage = { inputTokens: 3, outputTokens: 2, cachedTokens: null };

describe('the measure of an answer', () => {
  it('counts pieces of text, or the tokens that log probabilities list', () => {
    const meter = new AnswerMeter(1);
    meter.choice(seen({ said: true }), 10);
    meter.choice(seen({ said: true, listed: 3 }), 20);
    meter.choice(seen({ listed: 1 }), 30);
    meter.choice(seen(), 40);
    expect(meter.summary('a')).toMatchObject({ tokens: 5, firstTokenAtMs: 10, lastTokenAtMs: 30, longestGapMs: 10, upstream: 'a' });
  });

  it('knows no times where nothing tells them', () => {
    const meter = new AnswerMeter(1);
    meter.token(4, null);
    expect(meter.summary(null)).toMatchObject({ tokens: 4, firstTokenAtMs: null, lastTokenAtMs: null, longestGapMs: null });
  });

  it('is a mean over the tokens that were measured, and none without', () => {
    const meter = new AnswerMeter(2);
    expect(meter.summary(null).uncertainty).toBeNull();
    meter.choice(seen({ said: true, listed: 2, measured: 2, lowerNats: 1, upperNats: 3, nllNats: 2 }), 1);
    meter.choice(seen({ index: 1, said: true, listed: 4, measured: 2, lowerNats: 3, upperNats: 5, nllNats: 4 }), 2);
    expect(meter.summary(null).uncertainty).toEqual({ tokens: 4, lowerNats: 1, upperNats: 2, nllNats: 1.5 });
  });

  it('tells the usage, with no cached tokens where none are told, and the wait of the upstream', () => {
    const meter = new AnswerMeter(1);
    meter.count(usage);
    meter.waited(12);
    expect(meter.summary(null)).toMatchObject({ usage: { inputTokens: 3, outputTokens: 2, cachedTokens: 0 }, queueWaitMs: 12 });
  });

  it.each([
    [['stop', 'length'], 'length'],
    [['length', 'stop'], 'length'],
    [['stop', 'tool_calls'], 'tool_calls'],
    [['stop', 'stop'], 'stop'],
    [['eos_token', 'stop'], 'stop'],
  ])('of choices that ended by %j says %s', (reasons, told) => {
    const meter = new AnswerMeter(reasons.length);
    for (const [index, finishReason] of reasons.entries()) expect(meter.choice(seen({ index, finishReason }), 1)).toBeNull();
    expect(meter.summary(null).finishReason).toBe(told);
  });
});

describe('an answer is not whole', () => {
  it('while a choice goes on, without its end mark, or without its usage, in this order', () => {
    const meter = new AnswerMeter(2);
    meter.choice(seen({ finishReason: 'stop' }), 1);
    expect(meter.missing(facts, true)?.message).toMatch(/in the middle/);
    meter.choice(seen({ index: 1, finishReason: 'length' }), 1);
    expect(meter.missing(facts, false)?.message).toMatch(/end mark/);
    expect(meter.missing(facts, true)?.message).toMatch(/usage/);
    meter.count(usage);
    expect(meter.missing(facts, true)).toBeNull();
    expect(meter.missing({ endMark: false, usageInStreams: false }, false)).toBeNull();
  });

  it('when a choice ends twice instead of two', () => {
    const meter = new AnswerMeter(2);
    for (let time = 0; time < 2; time += 1) meter.choice(seen({ finishReason: 'stop' }), 1);
    expect(meter.missing(facts, true)?.message).toMatch(/in the middle/);
  });

  it.each<[string, Partial<SeenChoice>[], RegExp]>([
    ['of a choice that nobody asked for', [{ index: 1, said: true }], /choice 1 that nobody asked for/],
    ['that goes on after its end', [{ finishReason: 'stop' }, { said: true }], /went on/],
    ['that goes on with tokens alone', [{ finishReason: 'stop' }, { listed: 1 }], /went on/],
    ['that the upstream gave up', [{ finishReason: 'abort' }], /gave the request up/],
  ])('%s', (_, pieces, message) => {
    const meter = new AnswerMeter(1);
    const faults = pieces.map((piece) => meter.choice(seen(piece), 1));
    expect(faults.at(-1)).toMatchObject({ code: 'engine.upstream-error', message: expect.stringMatching(message) });
    expect(faults.slice(0, -1).every((fault) => fault === null)).toBe(true);
  });

  it('but may say after its end that it said nothing more', () => {
    const meter = new AnswerMeter(1);
    meter.choice(seen({ said: true, finishReason: 'stop' }), 1);
    expect(meter.choice(seen({ finishReason: 'length' }), 2)).toBeNull();
    expect(meter.summary(null).finishReason).toBe('stop');
  });
});
