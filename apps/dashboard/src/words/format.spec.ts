import { describe, expect, it } from 'vitest';
import { ago, boundText, count, duration, effectText, signedPercent, utcTime, weight } from './format.js';

describe('numbers', () => {
  it('carry their sign and as many digits as they are worth', () => {
    expect([0.0712, 8.123, -0.03, 0.004, 0].map(signedPercent)).toEqual(['+7.1%', '+812%', '−3.0%', '+0.40%', '0%']);
  });

  it('are not called negative when they round to nothing', () => {
    expect(signedPercent(-0.0000001)).toBe('0%');
  });

  it('group thousands', () => {
    expect([count(999), count(1000), count(1_234_567), signedPercent(123.45)]).toEqual(['999', '1,000', '1,234,567', '+12,345%']);
  });

  it('name their unit', () => {
    expect(effectText(0.012, 'points')).toBe('+1.2 points');
    expect(effectText(0.012, 'ratio')).toBe('+1.2%');
  });

  it('show a chosen bound without the digits of a measurement', () => {
    expect([boundText(0.15, 'ratio'), boundText(-0.25, 'ratio'), boundText(0.005, 'points'), boundText(0.1, 'ratio', '±')]).toEqual([
      '+15%',
      '−25%',
      '+0.5 points',
      '±10%',
    ]);
  });

  it('show weights without needless zeros', () => {
    expect([weight(50), weight(12.5), weight(0.1), weight(33.333333)]).toEqual(['50%', '12.5%', '0.1%', '33.33%']);
  });
});

describe('times', () => {
  it('last two units at most', () => {
    expect([0, 42_000, 200_000, 3_600_000, 7_500_000, 273_600_000].map(duration)).toEqual([
      '0 s',
      '42 s',
      '3 min 20 s',
      '1 h',
      '2 h 5 min',
      '3 d 4 h',
    ]);
  });

  it('are never below nothing, whatever two clocks say', () => {
    expect(duration(-5_000)).toBe('0 s');
    expect(ago(10_000, 5_000)).toBe('just now');
  });

  it('are told as ages', () => {
    const now = 1_000_000_000;
    expect([1_000, 42_000, 59_999, 60_000, 7_200_000, 259_200_000].map((past) => ago(now - past, now))).toEqual([
      'just now',
      '42 s ago',
      '59 s ago',
      '1 min ago',
      '2 h ago',
      '3 d ago',
    ]);
  });

  it('have their exact moment in UTC', () => {
    expect(utcTime(Date.UTC(2026, 2, 24, 2, 51, 7, 120))).toBe('2026-03-24 02:51:07.120 UTC');
  });
});
