// How many answers are taken for cold: fifty a start, of children and of endpoints alike.
import { expect, it } from 'vitest';
import { ColdStart, coldAnswers } from './cold-start.js';

const up = (name: string, state: 'up' | 'down' | 'ejected' = 'up') => ({ name, state, ...rest });
const rest = { reason: null, running: 0, limit: 1, ttftMs: null, ended: { ok: 0, failed: 0, cancelled: 0, refused: 0 } };

function takeAll(cold: ColdStart): number {
  let n = 0;
  while (cold.take()) n += 1;
  return n;
}

it('counts fifty answers from each start of a child, however often it is looked at', () => {
  const cold = new ColdStart();
  expect(takeAll(cold)).toBe(0);
  for (let look = 0; look < 3; look += 1) cold.look({ state: 'ready', pid: 7 });
  expect(takeAll(cold)).toBe(coldAnswers);
  cold.look({ state: 'restarting', pid: null });
  cold.look({ state: 'ready', pid: 8 });
  cold.look({ state: 'ready', pid: 8 });
  expect(takeAll(cold)).toBe(coldAnswers);
});

it('counts fifty for each endpoint that comes up, and none for one that was only left out', () => {
  const cold = new ColdStart();
  cold.look({ state: 'ready', pid: null, endpoints: [up('a'), up('b', 'down')] });
  expect(takeAll(cold)).toBe(coldAnswers);
  cold.look({ state: 'ready', pid: null, endpoints: [up('a', 'ejected'), up('b')] });
  expect(takeAll(cold)).toBe(coldAnswers);
  cold.look({ state: 'ready', pid: null, endpoints: [up('a'), up('b')] });
  expect(takeAll(cold)).toBe(0);
  cold.look({ state: 'unreachable', pid: null, endpoints: [up('a', 'down'), up('b', 'down')] });
  cold.look({ state: 'ready', pid: null, endpoints: [up('a'), up('b')] });
  expect(takeAll(cold)).toBe(2 * coldAnswers);
});
