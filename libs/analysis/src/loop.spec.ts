// Answers that end by repeating themselves.
import { describe, expect, it } from 'vitest';
import { isLoop } from './loop.js';

describe('a loop', () => {
  it('is a sentence over and over', () => expect(isLoop(`Once. ${'The cat sat on the mat. '.repeat(12)}`)).toBe(true));
  it('may be cut in the middle of a turn', () => expect(isLoop(`${'The cat sat on the mat. '.repeat(8)}The cat`)).toBe(true));
  it('is one character 120 times, not 119', () => {
    expect(isLoop(`x${'-'.repeat(120)}`)).toBe(true);
    expect(isLoop(`x${'-'.repeat(119)}`)).toBe(false);
  });
  it('takes four turns of a long piece', () => {
    const piece = Array.from({ length: 100 }, (_, at) => String.fromCharCode(0x4e00 + at)).join('');
    expect(isLoop(piece.repeat(4))).toBe(true);
    expect(isLoop(piece.repeat(3))).toBe(false);
  });
  it('is over when the answer goes on', () => expect(isLoop(`${'ha '.repeat(100)}and so it ended.`)).toBe(false));
  it.each([
    ['a table', Array.from({ length: 30 }, (_, row) => `| ${row} | ${row * row} |`).join('\n')],
    ['a list', Array.from({ length: 40 }, (_, row) => `${row}. item`).join('\n')],
    ['JSON', JSON.stringify(Array.from({ length: 30 }, (_, id) => ({ id, ok: true })))],
    ['a separator', `The end.\n${'-'.repeat(80)}\n`],
  ])('is not %s', (_, text) => expect(isLoop(text)).toBe(false));
});
