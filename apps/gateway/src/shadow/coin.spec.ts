// Who is mirrored: the planned share, the same unit always, and nothing to do with who will meet the candidate.
import { describe, expect, it } from 'vitest';
import { uniforms } from '../../../../test/support/random.js';
import { assign } from '../routing/assign.js';
import { type Candidature, isMirrored } from './coin.js';

const uniform = uniforms(7);
const units = Array.from({ length: 40_000 }, () => `unit-${Math.floor(uniform() * 2 ** 48).toString(36)}`);
const rollout = (share: number, salt = '9f86d081884c7d659a2feaa0c55ad015'): Candidature => ({
  id: 'r1',
  candidate: 'v2',
  weight: 0,
  epoch: 1,
  salt,
  shadow: { share, concurrentRequests: 1, tokensPerSecond: 1 },
});
const mirroredBy = (one: Candidature): Set<string> => new Set(units.filter((unit) => isMirrored(one, unit)));

describe('the coin of mirrors', () => {
  it.each([0.01, 0.1, 0.5])('falls for a share of %f of the units', (share) => {
    const n = units.length;
    expect(Math.abs(mirroredBy(rollout(share)).size - n * share)).toBeLessThan(4 * Math.sqrt(n * share * (1 - share)));
  });

  it('falls for all of them, and for none without a policy', () => {
    expect(mirroredBy(rollout(1)).size).toBe(new Set(units).size);
    const { shadow: _, ...without } = rollout(1);
    expect(mirroredBy(without).size).toBe(0);
  });

  it('keeps who is mirrored when the share grows', () => {
    const many = mirroredBy(rollout(0.3));
    for (const unit of mirroredBy(rollout(0.1))) expect(many.has(unit)).toBe(true);
  });

  it("is independent of the arms' coin under the same salt, by chi-square", () => {
    const share = 0.2;
    const weight = 0.3;
    const one = rollout(share);
    const table = [
      [0, 0],
      [0, 0],
    ];
    for (const unit of units) {
      const arm = assign({ model: 'm', stable: 'v1', rollout: { ...one, weight } }, unit, { candidate: true, control: true })?.arm;
      const row = table[isMirrored(one, unit) ? 1 : 0] as number[];
      row[arm === 'candidate' ? 1 : 0] = (row[arm === 'candidate' ? 1 : 0] ?? 0) + 1;
    }
    const n = units.length;
    let chiSquare = 0;
    for (const [mirrored, row] of table.entries()) {
      for (const [candidate, seen] of row.entries()) {
        const expected = n * (mirrored ? share : 1 - share) * (candidate ? weight : 1 - weight);
        chiSquare += (seen - expected) ** 2 / expected;
      }
    }
    // 99.9th percentile of chi-square with three degrees of freedom.
    expect(chiSquare).toBeLessThan(16.3);
  });

  it('falls otherwise in another rollout', () => {
    const other = mirroredBy(rollout(0.5, '00112233445566778899aabbccddeeff'));
    const both = [...mirroredBy(rollout(0.5))].filter((unit) => other.has(unit)).length;
    expect(Math.abs(both - units.length / 4)).toBeLessThan(4 * Math.sqrt((units.length * 3) / 16));
  });
});
