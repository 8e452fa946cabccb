// What counting one answer per unit is for: equal versions must not be told apart because users differ.
import { expect, it } from 'vitest';
import { bucketOf, fitLogTilt, histogramOf, labelIncrement, lnRepresentative, logMeanExp, logTilt, logTiltGrid } from '#libs/analysis';
import type { Route } from '#libs/rollout';
import { normals, uniforms } from '../../../../test/support/random.js';
import { assign } from './assign.js';
import { FirstAnswers } from './first-answers.js';

const alpha = 0.05;
const runs = 100;
const users = 200;
const answersPerUser = 20;
const weight = 0.5;
/** Logarithmic spread of users, and of the answers to one of them. */
const between = 0.3;
const within = 0.4;
const signs = [1, -1] as const;

/** Share of rollouts of two equal versions in which an alarm is raised at any of the looks after each answer. */
function falseAlarms(counts: (answers: FirstAnswers, answered: Parameters<FirstAnswers['compared']>[0]) => boolean, seed: number): number {
  const uniform = uniforms(seed);
  const normal = normals(uniform);
  const score = logTilt(fitLogTilt(histogramOf(Array.from({ length: 4_000 }, () => Math.exp(between * normal() + within * normal())))));
  const added = (arm: 0 | 1, value: number): number[] =>
    signs.flatMap((sign) =>
      score.grid(sign).map((point) => labelIncrement(arm, weight, score.logR(sign, point, lnRepresentative(bucketOf(value))))),
    );
  let alarms = 0;
  for (let run = 0; run < runs; run += 1) {
    const route: Route = {
      model: 'm',
      stable: 'v1',
      rollout: { id: `r${run}`, candidate: 'v2', weight, epoch: 1, salt: (run + 1).toString(16).padStart(32, '0'), stickyBy: 'user' },
    };
    const means = Array.from({ length: users }, () => between * normal());
    const answers = new FirstAnswers();
    const sums = new Float64Array(2 * logTiltGrid.shifts.length);
    for (let answer = 0; answer < users * answersPerUser; answer += 1) {
      const user = Math.floor(uniform() * users);
      const unit = `user-${user}`;
      const assignment = assign(route, unit, { candidate: true, control: true });
      const value = Math.exp((means[user] ?? 0) + within * normal());
      if (!assignment || !counts(answers, { route, assignment, unit, named: true })) continue;
      for (const [point, more] of added(assignment.arm === 'candidate' ? 1 : 0, value).entries()) sums[point] = (sums[point] ?? 0) + more;
      if (logMeanExp([...sums]) < Math.log(1 / alpha)) continue;
      alarms += 1;
      break;
    }
  }
  return alarms / runs;
}

it('keeps the promised bound on false alarms, which counting every answer of a user breaks', () => {
  expect(falseAlarms((answers, answered) => answers.compared(answered).arm !== null, 1)).toBeLessThanOrEqual(alpha);
  expect(falseAlarms(() => true, 2)).toBeGreaterThan(4 * alpha);
});
