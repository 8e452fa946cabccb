import { describe, expect, it } from 'vitest';
import { age, effectText, plain, shareText, table } from './text.js';

describe('text from elsewhere', () => {
  it('cannot steer the terminal', () => {
    expect(plain('fine\u001b[2J\u001b]0;owned\u0007 \u202etxt\r\nnext')).toBe('fine [2J ]0;owned   txt next');
  });

  it('keeps what people write', () => {
    expect(plain('größer als 5 % — 安全')).toBe('größer als 5 % — 安全');
  });
});

describe('tables', () => {
  it('are as wide as their widest cells and end without blanks', () => {
    expect(
      table([
        ['ID', 'NAME'],
        ['1', 'a'],
        ['22', ''],
      ]),
    ).toEqual(['ID  NAME', '1   a', '22']);
  });
});

describe('numbers', () => {
  it('carry sign and unit', () => {
    expect([effectText(0.0712, 'ratio'), effectText(-0.03, 'points'), effectText(8.123, 'ratio')]).toEqual(['+7.1%', '-3.0pt', '+812%']);
  });

  it('give a promoted candidate everything, whatever weight its row ended with', () => {
    expect(shareText({ phase: 'promoted', weightPct: 0 })).toBe('100%');
    expect(shareText({ phase: 'rolledBack', weightPct: 0 })).toBe('0%');
    expect(shareText({ phase: 'progressing', weightPct: 12.5 })).toBe('12.5%');
  });

  it('tell ages in one unit', () => {
    expect([500, 61_000, 7_200_000, 260_000_000].map((past) => age(0, past))).toEqual(['0s', '1m', '2h', '3d']);
  });
});
