// Processes that count units together.
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import type { Route } from '#libs/rollout';
import { assign } from '../routing/assign.js';
import { type CountedUnits, isCountedUnits, SharedFirstAnswers } from './counted-units.js';

const route: Route = {
  model: 'support',
  stable: 'v1',
  rollout: { id: 'r1', candidate: 'v2', weight: 0.5, epoch: 3, salt: '9f86d081884c7d65', stickyBy: 'user' },
};

function counts(of: SharedFirstAnswers, unit: string): boolean {
  const assignment = assign(route, unit, { candidate: true, control: true });
  if (!assignment) throw new Error('no version in service');
  return of.answers.compared({ route, assignment, unit, named: true }).arm !== null;
}

it('count each unit once among them, as soon as the news have arrived, and tell nothing twice', async () => {
  const sent: CountedUnits[] = [];
  const first: SharedFirstAnswers = new SharedFirstAnswers((news) => {
    sent.push(news);
    second.hear(JSON.parse(JSON.stringify(news)) as CountedUnits);
  });
  const second: SharedFirstAnswers = new SharedFirstAnswers((news) => {
    sent.push(news);
    first.hear(news);
  });
  const users = Array.from({ length: 50 }, (_, at) => `user-${at}`);
  expect(users.map((user) => counts(first, user))).toEqual(users.map(() => true));
  await turn();
  expect(users.map((user) => counts(second, user))).toEqual(users.map(() => false));
  expect(counts(second, 'another')).toBe(true);
  await turn();
  expect(counts(first, 'another')).toBe(false);
  expect(sent).toHaveLength(2);
  expect(sent.every(isCountedUnits)).toBe(true);
  expect(isCountedUnits('ping')).toBe(false);
});
