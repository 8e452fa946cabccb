// What the reports of several gateways say together about one version.
import { describe, expect, it } from 'vitest';
import type { EngineReport, GatewayRow } from '#libs/storage';
import { healthOf } from './evidence.js';

function gateways(...reports: readonly (Partial<EngineReport> & Pick<EngineReport, 'state'>)[]): GatewayRow[] {
  return reports.map((report, index) => ({
    id: `g${index}`,
    bootId: 'b',
    incarnation: null,
    generation: 1,
    engines: { v: { reason: null, crashes: 0, pid: null, ...report } },
    droppedWindows: 0,
    address: null,
    seenAt: 0,
    live: true,
  }));
}

describe('the health of a version', () => {
  it('is that of the worst gateway for a candidate, of the best for stable', () => {
    const mixed = gateways({ state: 'ready' }, { state: 'unreachable', reason: 'connection refused', forS: 7 });
    expect(healthOf('v', 'candidate', mixed)).toEqual({ state: 'unreachable', reason: 'connection refused', forS: 7 });
    expect(healthOf('v', 'stable', mixed)).toEqual({ state: 'ready' });
  });

  it('is failed where one gateway says so, whatever others cannot reach', () => {
    const mixed = gateways({ state: 'unreachable', forS: 7 }, { state: 'failed', reason: 'it died' });
    for (const arm of ['candidate', 'stable'] as const) expect(healthOf('v', arm, mixed)).toEqual({ state: 'failed', reason: 'it died' });
  });

  it('is unreachable since the last gateway lost it', () => {
    const all = gateways({ state: 'unreachable', forS: 40 }, { state: 'unreachable', forS: 12 });
    expect(healthOf('v', 'stable', all)).toEqual({ state: 'unreachable', forS: 12 });
  });

  it('is unknown without a live gateway', () => {
    const dead = gateways({ state: 'ready' }).map((gateway) => ({ ...gateway, live: false }));
    expect(healthOf('v', 'candidate', dead).state).toBe('unknown');
  });
});
