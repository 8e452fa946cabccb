import { describe, expect, it } from 'vitest';
import { retryAfterMs, transportFault } from './faults.js';

describe('Retry-After', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['7', 7_000],
    ['0', 0],
    ['0.25', 250],
    [' 3 ', 3_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['Fri, 01 Jan 2027 00:00:00 GMT', 3_600_000],
    ['999999', 3_600_000],
    ['soon', undefined],
    ['', undefined],
    ['9'.repeat(30), undefined],
  ])('%j is %j ms', (header, expected) => {
    expect(retryAfterMs(header, now)).toBe(expected);
  });
});

describe('a connection that failed', () => {
  const failed = (code: string): Error => Object.assign(new Error('it failed'), { code });
  it('was never there, or was cut', () => {
    for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'UND_ERR_CONNECT_TIMEOUT', 'CERT_HAS_EXPIRED']) {
      expect(transportFault(failed(code), false)).toMatchObject({
        code: 'engine.upstream-unreachable',
        retryable: true,
        field: 'spec.engine.baseUrl',
      });
    }
    for (const code of ['ECONNRESET', 'UND_ERR_SOCKET', 'EPIPE', 'UND_ERR_HEADERS_OVERFLOW']) {
      expect(transportFault(failed(code), false)).toMatchObject({ code: 'engine.upstream-error', retryable: true });
    }
    expect(transportFault(failed('ECONNREFUSED'), true)).toMatchObject({ code: 'engine.upstream-error' });
  });
});
