import { describe, expect, it } from 'vitest';
import { aWindow } from '../../../test/support/observation.js';
import { normals, uniforms } from '../../../test/support/random.js';
import { advanceWatch, answerWatch, emptyHistograms, histogramOf, newWatch, type WatchState, type Window, watchedInput } from './index.js';

const minuteMs = 60_000;
const dayMs = 86_400_000;
const policy = { referenceMs: 7 * dayMs };
const startAt = 20_000 * dayMs;

/** Minutes of traffic: 14 answers each, of two classes; the world's entropy swings by `swing` over the day. */
function traffic(
  {
    from,
    minutes,
    entropy = 1,
    swing = 0,
    share = 0.5,
    prompt = 60,
  }: Record<'from' | 'minutes', number> & Partial<Record<'entropy' | 'swing' | 'share' | 'prompt', number>>,
  seed = 1,
): Window[] {
  const uniform = uniforms(seed);
  const normal = normals(uniforms(seed + 1_000));
  return Array.from({ length: minutes }, (_, n) => n).flatMap((n) => {
    const at = from + n * minuteMs;
    const day = 1 + swing * Math.sin((2 * Math.PI * at) / dayMs);
    return ['faq', 'story'].map((promptClass, which) => {
      const count = Array.from({ length: 14 }, () => uniform() < share).filter((faq) => faq === (which === 0)).length;
      const values = (mean: number, sd: number): number[] => Array.from({ length: count }, () => mean * Math.exp(sd * normal()));
      const histograms = {
        ...emptyHistograms(),
        entropy: histogramOf(values((which === 0 ? 0.4 : 1.2) * entropy * day, 0.45)),
        length: histogramOf(values(which === 0 ? 80 : 400, 0.5)),
        input: histogramOf(values(prompt, 0.4)),
      };
      return aWindow({ promptClass, secondAt: at, arm: null, epoch: null, rolloutId: null }, { responses: count, histograms });
    });
  });
}

const learned = (swing = 0): WatchState =>
  advanceWatch(newWatch(startAt), traffic({ from: startAt, minutes: 7 * 1_440, swing }), startAt + 7 * dayMs, policy);
const later = (state: WatchState, how: Omit<Parameters<typeof traffic>[0], 'from'>, seed = 9): WatchState =>
  advanceWatch(state, traffic({ from: state.nextAt, ...how }, seed), state.nextAt + how.minutes * minuteMs, policy);

describe('the watch of a promoted version', { timeout: 30_000 }, () => {
  const steady = learned();

  it('learns for seven whole days, then holds the version to them', () => {
    const early = advanceWatch(newWatch(startAt), traffic({ from: startAt, minutes: 100 }), startAt + 100 * minuteMs, policy);
    expect(early.reference).toBeNull();
    expect(steady.reference).toMatchObject({ days: 7, margins: { entropy: 0.1, length: 0.1 } });
    expect(steady.learning).toBeNull();
  });

  it('goes on learning when seven days brought too few answers', () => {
    const thin = advanceWatch(newWatch(startAt), traffic({ from: startAt, minutes: 10 }), startAt + 8 * dayMs, policy);
    expect(thin.reference).toBeNull();
    expect(thin.learning?.since).toBe(startAt);
  });

  it('stays quiet for days of the same, and of a change within its margin', () => {
    expect(later(steady, { minutes: 3 * 1_440 }).alarm).toBeNull();
    expect(later(steady, { minutes: 1_440, entropy: 1.05 }).alarm).toBeNull();
  });

  it.each([
    ['more entropy by half', { entropy: 1.5 }, 'up', 30],
    ['less by a third', { entropy: 0.65 }, 'down', 30],
    ['a collapse', { entropy: 0.1 }, 'down', 3],
  ])('tells %s within minutes, with its metric and direction', (_what, how, direction, minutes) => {
    expect(later(steady, { minutes, ...how }).alarm).toMatchObject({ metric: 'entropy', direction });
  });

  it('tolerates more where its own days differ more', () => {
    const swinging = learned(0.1);
    const margin = swinging.reference?.margins.entropy ?? 0;
    expect(margin).toBeGreaterThanOrEqual(0.1);
    expect(later(swinging, { minutes: 1_440, swing: 0.1 }).alarm).toBeNull();
  });

  it('never mistakes other users for another model: a new mix or longer prompts show as input, without an alarm', () => {
    const mixed = later(steady, { minutes: 600, share: 0.9, prompt: 120 });
    expect(mixed.alarm).toBeNull();
    const input = watchedInput(mixed);
    expect(input?.mix).toMatchObject({ moved: true });
    expect(input?.classes.find(({ promptClass }) => promptClass === 'faq')).toMatchObject({ moved: true });
    const same = watchedInput(later(steady, { minutes: 600 }));
    expect(same?.mix.moved).toBe(false);
    expect(same?.classes.some(({ moved }) => moved)).toBe(false);
  });

  it('gives the same state whether minutes come one by one or together, and after a way through JSON', () => {
    const windows = traffic({ from: steady.nextAt, minutes: 20, entropy: 1.2 }, 4);
    const until = steady.nextAt + 20 * minuteMs;
    const together = advanceWatch(steady, windows, until, policy);
    let single = steady;
    for (let at = steady.nextAt + minuteMs; at <= until; at += minuteMs) {
      single = JSON.parse(JSON.stringify(advanceWatch(single, windows, at, policy))) as WatchState;
    }
    expect(single).toEqual(JSON.parse(JSON.stringify(together)));
  });

  it('keeps an alarm until somebody answers it; then it watches on, or learns anew', () => {
    const alarmed = later(steady, { minutes: 20, entropy: 0.2 });
    expect(later(alarmed, { minutes: 60 }).alarm).toEqual(alarmed.alarm);
    const answered = answerWatch(alarmed, null);
    expect(answered.alarm).toBeNull();
    expect(answered.reference).toEqual(steady.reference);
    expect(answerWatch(alarmed, alarmed.nextAt)).toMatchObject({ alarm: null, reference: null, learning: { since: alarmed.nextAt } });
  });
});
