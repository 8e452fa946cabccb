import { describe, expect, it } from 'vitest';
import type { EvidenceResource, RolloutEventResource, RolloutResource } from '#libs/contract';
import { inOrder, newer, withEvent, withEvidence, withRollout } from './merge.js';

const rollout = (id: string, more: Partial<RolloutResource> = {}): RolloutResource =>
  ({ id, revision: 1, createdAt: 0, endedAt: null, ...more }) as RolloutResource;

describe('the stream over what was fetched', () => {
  it('never lets a late answer undo a newer message', () => {
    const known = rollout('a', { revision: 5 });
    expect(newer(known, rollout('a', { revision: 4 }))).toBe(known);
    expect(newer(known, rollout('a', { revision: 5, sentence: 'later' })).sentence).toBe('later');
  });

  it('puts an unknown rollout first and a known one in its place', () => {
    const list = [rollout('a'), rollout('b')];
    expect(withRollout(list, rollout('c')).map(({ id }) => id)).toEqual(['c', 'a', 'b']);
    expect(withRollout(list, rollout('b', { revision: 2 })).map(({ id, revision }) => [id, revision])).toEqual([
      ['a', 1],
      ['b', 2],
    ]);
  });

  it('keeps each event once and in order', () => {
    const event = (seq: number): RolloutEventResource => ({ seq }) as RolloutEventResource;
    const all = [3, 1, 2, 3].reduce<RolloutEventResource[]>((events, seq) => withEvent(events, event(seq)), []);
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it('keeps looks in bounds without losing the newest', () => {
    const look = (at: number): EvidenceResource => ({ at }) as EvidenceResource;
    let looks: EvidenceResource[] = [];
    for (let at = 0; at < 2_500; at += 1) looks = withEvidence(looks, look(at));
    expect(looks.length).toBeLessThanOrEqual(2_000);
    expect(looks.at(-1)?.at).toBe(2_499);
    expect(looks[0]?.at).toBe(0);
    expect(looks.map(({ at }) => at)).toEqual(looks.map(({ at }) => at).toSorted((a, b) => a - b));
  });

  it('shows live ones first, then the newest', () => {
    const list = [
      rollout('old', { createdAt: 1, endedAt: 2 }),
      rollout('live', { createdAt: 0 }),
      rollout('new', { createdAt: 5, endedAt: 6 }),
    ];
    expect(inOrder(list).map(({ id }) => id)).toEqual(['live', 'new', 'old']);
  });
});
