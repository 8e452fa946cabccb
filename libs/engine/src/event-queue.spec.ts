import { describe, expect, it } from 'vitest';
import { EventQueue } from './event-queue.js';

async function drain<T>(queue: EventQueue<T>): Promise<T[]> {
  const seen: T[] = [];
  for await (const event of queue) seen.push(event);
  return seen;
}

describe('an event queue', () => {
  it('hands over in order what came before and during reading, then ends', async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.push(2);
    const reading = drain(queue);
    await Promise.resolve();
    queue.push(3);
    await Promise.resolve();
    queue.push(4);
    queue.end();
    expect(await reading).toEqual([1, 2, 3, 4]);
  });

  it('delivers falsy events like any other', async () => {
    const queue = new EventQueue<number | string | null>();
    for (const event of [0, '', null]) queue.push(event);
    queue.end();
    expect(await drain(queue)).toEqual([0, '', null]);
  });

  it('wakes a reader that waits on an empty queue, by an event, by the end and by a failure', async () => {
    for (const wake of ['push', 'end', 'fail'] as const) {
      const queue = new EventQueue<string>();
      const next = queue[Symbol.asyncIterator]().next();
      await Promise.resolve();
      if (wake === 'push') queue.push('x');
      else if (wake === 'end') queue.end();
      else queue.fail(new Error('broken'));
      if (wake === 'fail') await expect(next).rejects.toThrow('broken');
      else expect(await next).toEqual(wake === 'push' ? { value: 'x', done: false } : { value: undefined, done: true });
    }
  });

  it('delivers what came before a failure, then the first failure', async () => {
    const queue = new EventQueue<string>();
    queue.push('before');
    queue.fail(new Error('first'));
    queue.fail(new Error('second'));
    const iterator = queue[Symbol.asyncIterator]();
    expect(await iterator.next()).toEqual({ value: 'before', done: false });
    await expect(iterator.next()).rejects.toThrow('first');
  });

  it('that ended stays ended for who asks again', async () => {
    const queue = new EventQueue<string>();
    queue.end();
    expect(await drain(queue)).toEqual([]);
    expect(await drain(queue)).toEqual([]);
  });

  it('may be left early', async () => {
    const queue = new EventQueue<number>();
    queue.push(1);
    queue.push(2);
    for await (const event of queue) {
      expect(event).toBe(1);
      break;
    }
    queue.push(3);
    queue.end();
    expect(await drain(queue)).toEqual([2, 3]);
  });
});
