import { describe, expect, it } from 'vitest';
import { type Answered, answeredBy } from '../../../test/support/answered.js';
import { testedOptions } from '../../../test/support/judge-options.js';
import { fitScores, type JudgeOptions, Ledger, type Window } from './index.js';

const answered = answeredBy(31);
const chat = { promptClass: 'chat', inputTokens: 80 };
const code = { promptClass: 'code', entropyNats: 1.2, inputTokens: 300 };
const reference = [...answered({ arm: null, n: 1_400, ...chat }), ...answered({ arm: null, n: 600, ...code })];
const scores = fitScores(reference, { minResponses: 500, minPerClass: 500 });

function judged(windows: readonly Window[], more: Partial<JudgeOptions> = {}) {
  const ledger = new Ledger();
  ledger.add(windows);
  return ledger.judge(testedOptions({ scores, interval: true, now: 10_000_000, ...more }));
}

/** Answers of both arms, halves. */
const both = (chats: number, codes: number, more: Partial<Answered> = {}): Window[] =>
  (['stable', 'candidate'] as const).flatMap((arm) => [
    ...answered({ arm, n: chats / 2, ...chat, ...more }),
    ...answered({ arm, n: codes / 2, ...code, ...more }),
  ]);

describe('other users', () => {
  it('are told apart from another model: a new mix moves the input and no check', () => {
    const { drift, findings } = judged(both(400, 1_600));
    expect(drift?.mix).toMatchObject({
      moved: true,
      classes: [{ promptClass: 'code', share: 0.8, reference: 0.3 }, { promptClass: 'chat' }],
    });
    expect(drift?.mix.distance).toBeCloseTo(0.5, 9);
    // The prompts of each class are as long as they were.
    expect(drift?.length?.moved).toBe(false);
    expect(findings.every(({ verdict }) => verdict !== 'fail')).toBe(true);
  });

  it('with longer prompts are seen within their classes', () => {
    const { drift } = judged(both(1_400, 600, { inputTokens: 200 }));
    expect(drift?.mix.moved).toBe(false);
    expect(drift?.length?.moved).toBe(true);
  });

  it('are not seen in a few prompts, nor where nothing moved', () => {
    const few = judged(both(4, 4)).drift;
    expect(few?.mix).toMatchObject({ moved: false });
    expect(few?.mix.noise).toBeGreaterThan(0.4);
    const same = judged(both(1_400, 600)).drift;
    expect(same).toMatchObject({ responses: 2_000, mix: { moved: false }, length: { moved: false } });
  });

  it('of a class that the reference never saw count, too', () => {
    const strangers = (['stable', 'candidate'] as const).flatMap((arm) => answered({ arm, n: 500, promptClass: 'new' }));
    expect(judged([...both(700, 300), ...strangers]).drift?.mix).toMatchObject({
      moved: true,
      classes: [{ promptClass: 'new', reference: 0 }, {}, {}],
    });
  });

  it('are not spoken of without a reference, without answers, or when nobody asks', () => {
    expect(judged(both(100, 100), { scores: null }).drift).toBeNull();
    expect(judged([]).drift).toBeNull();
    expect(judged(both(100, 100), { interval: false }).drift).toBeNull();
  });

  it('another model is no other users', () => {
    const windows = [...answered({ arm: 'stable', n: 700, ...chat }), ...answered({ arm: 'candidate', n: 700, ...chat, entropyNats: 0.9 })];
    const { drift, findings } = judged([...windows, ...both(0, 600)]);
    expect(findings.find(({ check }) => check === 'entropy')?.verdict).toBe('fail');
    expect(drift).toMatchObject({ mix: { moved: false }, length: { moved: false } });
  });
});

describe('the share of each arm', () => {
  const arms = (stable: number, candidate: number, more: Partial<Answered> = {}) => [
    ...answered({ arm: 'stable', n: stable, ...chat }),
    ...answered({ arm: 'candidate', n: candidate, ...chat, ...more }),
  ];

  it('is as the coin says', () => {
    const { assignment, amber } = judged(arms(950, 50), { epochs: [{ epoch: 1, weight: 0.05, since: 0 }] });
    expect(assignment).toMatchObject({ share: 0.05, expected: 0.05, skewed: false, leaving: false, note: null });
    expect(amber).toEqual([]);
  });

  it('that is not is amber, whichever arm lacks answers, and rolls nobody back', () => {
    for (const [stable, candidate] of [
      [1_000, 500],
      [500, 1_000],
    ] as const) {
      const { assignment, amber, findings } = judged(arms(stable, candidate));
      expect(assignment).toMatchObject({ skewed: true, expected: 0.5 });
      expect(amber).toContain('errors');
      expect(findings.find(({ check }) => check === 'errors')).toMatchObject({
        amber: true,
        note: expect.stringContaining('the coin gave 50.0%'),
      });
      expect(findings.filter(({ verdict }) => verdict === 'fail')).toEqual([]);
    }
  });

  it('is not judged where several answers hang on one coin', () => {
    const sticky = arms(1_000, 500).map((window, at) => ({ ...window, counts: { ...window.counts, units: at % 3 === 0 ? 1 : 0 } }));
    expect(judged(sticky).assignment).toMatchObject({ skewed: false, logE: 0 });
  });

  it('tells that clients leave one arm', () => {
    const { assignment, amber } = judged(arms(1_000, 1_000, { gone: 0.2 }));
    expect(assignment).toMatchObject({ leaving: true, skewed: false, note: 'clients leave the candidate more often' });
    expect(amber).toEqual(['errors']);
    expect(
      judged([...answered({ arm: 'stable', n: 1_000, ...chat, gone: 0.2 }), ...answered({ arm: 'candidate', n: 1_000, ...chat })])
        .assignment.note,
    ).toBe('clients leave stable more often');
  });

  it('short of answers that are still on their way is no evidence of a slow candidate: those of a slower one come later', () => {
    const { findings } = judged(arms(300, 100));
    for (const check of ['ttft', 'interToken', 'latency']) expect(findings.find((one) => one.check === check)?.logE).toBeLessThan(0.5);
  });
});
