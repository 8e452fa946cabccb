import { describe, expect, it } from 'vitest';
import { cloudEvent } from './cloud-event.js';

describe('an event', () => {
  it('has every attribute that CloudEvents 1.0 requires, and its data', () => {
    const event = cloudEvent({
      id: 'e-1',
      type: 'rollout.rolled_back',
      source: 'http://serin.example',
      subject: 'rollout/1',
      atMs: Date.parse('2026-01-02T03:04:05.678Z'),
      data: { model: 'support' },
    });
    expect(event).toEqual({
      specversion: '1.0',
      id: 'e-1',
      source: 'http://serin.example',
      type: 'serin.rollout.rolled_back',
      subject: 'rollout/1',
      time: '2026-01-02T03:04:05.678Z',
      datacontenttype: 'application/json',
      data: { model: 'support' },
    });
  });
});
