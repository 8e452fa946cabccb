import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { longestPauseMs, pauseOfOneMs, prefillPauseMs } from './prefill-pause.js';

describe('the pause of running answers for the prompts of others', () => {
  it('is a beat for one newcomer and for scored texts, which nobody waits for', () => {
    expect(prefillPauseMs(1)).toBe(pauseOfOneMs);
    expect(prefillPauseMs(0)).toBe(pauseOfOneMs);
  });

  it('is a beat for each of a few, and bounded for a burst', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 256 }), (opening) => {
        expect(prefillPauseMs(opening)).toBe(Math.min(longestPauseMs, opening * prefillPauseMs(1)));
      }),
    );
  });
});
