import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterDeath, type Death, noDeaths, type RestartDecision, type RestartHistory, usualRestartRule as rule } from './restart-policy.js';

function run(deaths: readonly Death[]): { decisions: RestartDecision[]; history: RestartHistory } {
  let history = noDeaths;
  const decisions = deaths.map((death) => {
    const next = afterDeath(history, death);
    history = next.history;
    return next.decision;
  });
  return { decisions, history };
}

const pauses = (decisions: readonly RestartDecision[]): (number | null)[] =>
  decisions.map((decision) => (decision.kind === 'restart' ? decision.afterMs : null));

describe('restarting an engine', () => {
  it('waits 200 ms, doubles, and gives up at the sixth crash within a minute', () => {
    const deaths = [0, 1, 2, 3, 4, 5].map((second) => ({ atMs: second * 1_000, servedMs: 500 }));
    const { decisions } = run(deaths);
    expect(pauses(decisions)).toEqual([200, 400, 800, 1_600, 3_200, null]);
    expect(decisions[5]).toEqual({ kind: 'giveUp', reason: 'it died 6 times within 60 s' });
  });

  it('never waits longer than 10 s', () => {
    const deaths = Array.from({ length: 12 }, (_, index) => ({ atMs: index * 20_000, servedMs: 9_000 }));
    expect(pauses(run(deaths).decisions)).toEqual([200, 400, 800, 1_600, 3_200, 6_400, ...Array<number>(6).fill(10_000)]);
  });

  it('forgets the streak of an engine that served for a whole window', () => {
    const { decisions } = run([
      { atMs: 0, servedMs: 1_000 },
      { atMs: 2_000, servedMs: 1_000 },
      { atMs: 65_000, servedMs: 60_000 },
    ]);
    expect(pauses(decisions)).toEqual([200, 400, 200]);
  });

  it('gives up a start that fails again and again however slowly', () => {
    const deaths = Array.from({ length: 6 }, (_, index) => ({ atMs: index * 120_000, servedMs: null }));
    expect(run(deaths).decisions.at(-1)).toEqual({ kind: 'giveUp', reason: '6 starts in a row failed' });
  });

  it('counts failed starts only in a row', () => {
    const deaths = Array.from({ length: 30 }, (_, index) => ({ atMs: index * 120_000, servedMs: index % 3 === 0 ? 100_000 : null }));
    expect(run(deaths).decisions.every((decision) => decision.kind === 'restart')).toBe(true);
  });

  it('remembers no more than a window, and gives up exactly when a window holds too many deaths or too many starts failed', () => {
    const death = fc.record({ pauseMs: fc.integer({ min: 0, max: 40_000 }), served: fc.boolean() });
    fc.assert(
      fc.property(fc.array(death, { maxLength: 60 }), (steps) => {
        let atMs = 0;
        const deaths: Death[] = steps.map(({ pauseMs, served }) => {
          atMs += pauseMs;
          return { atMs, servedMs: served ? pauseMs : null };
        });
        let history = noDeaths;
        deaths.forEach((one, index) => {
          const next = afterDeath(history, one);
          history = next.history;
          const within = deaths.slice(0, index + 1).filter((other) => other.atMs >= one.atMs - rule.crashWindowMs);
          expect(history.deathsMs).toEqual(within.map((other) => other.atMs));
          const lastReady = deaths.slice(0, index + 1).findLastIndex((other) => other.servedMs !== null);
          const expected = within.length > rule.toleratedCrashes || index - lastReady > rule.toleratedCrashes;
          expect(next.decision.kind === 'giveUp').toBe(expected);
        });
      }),
    );
  });
});
