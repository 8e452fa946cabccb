import { describe, expect, it } from 'vitest';
import { uniforms } from '../../../test/support/random.js';
import { heartbeatFails, nextHeartbeatLogR, readHeartbeat } from './index.js';

const uniform = uniforms(3);
const stored = Array.from({ length: 40 }, () => ({ nllNats: 0.05 + uniform(), entropyNats: 0.1 + uniform() }));
const read = (change: (nats: number) => number) =>
  readHeartbeat(stored.map((one) => ({ stored: one, now: { nllNats: change(one.nllNats), entropyNats: change(one.entropyNats) } })));

describe('the heartbeat', () => {
  it('is evidence against a change where nothing changed but the last digits', () => {
    const reading = read((nats) => nats * (1 + 1e-3 * (uniform() - 0.5)));
    expect(reading.logE).toBeLessThan(0);
    expect(reading.nllRatio).toBeCloseTo(1, 3);
  });

  it('stays quiet for a year of hours of the same', () => {
    let lnR = -700;
    for (let hour = 0; hour < 365 * 24; hour += 1) {
      lnR = nextHeartbeatLogR(lnR, read((nats) => nats * (1 + 0.01 * (uniform() - 0.5))).logE);
      expect(heartbeatFails(lnR)).toBe(false);
    }
  });

  it.each([
    ['twice as unsure', 2],
    ['half as unsure', 0.5],
    ['a tenth more unsure everywhere', 1.1],
  ])('finds other weights at the first beat: %s', (_what, factor) => {
    expect(heartbeatFails(nextHeartbeatLogR(-700, read((nats) => nats * factor).logE))).toBe(true);
  });

  it('finds within two beats that a third of the texts moved, half of them up and half down', () => {
    let turn = 0;
    const moved = (): number => {
      turn += 1;
      return turn % 3 > 0 ? 1 : turn % 2 > 0 ? 4 : 0.25;
    };
    const beat = (lnR: number): number => {
      turn = 0;
      return nextHeartbeatLogR(lnR, read((nats) => nats * moved()).logE);
    };
    expect(heartbeatFails(beat(beat(-700)))).toBe(true);
  });

  it('does without entropies where the engine tells none', () => {
    const pairs = stored.map(({ nllNats }) => ({
      stored: { nllNats, entropyNats: null },
      now: { nllNats: nllNats * 3, entropyNats: null },
    }));
    expect(heartbeatFails(nextHeartbeatLogR(-700, readHeartbeat(pairs).logE))).toBe(true);
  });
});
