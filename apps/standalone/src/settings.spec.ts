import { describe, expect, it } from 'vitest';
import { readSettings } from './settings.js';

const url = 'postgres://serin@pooler:6432/serin';
const direct = 'postgres://serin@db:5432/serin';

describe('the settings of one process', () => {
  it('serve without limits and without a database of somebody else when nothing is set', () => {
    expect(readSettings({})).toMatchObject({
      databaseUrl: null,
      serving: { keyLimits: { requestsPerMinute: null, tokensPerMinute: null, concurrentRequests: null } },
    });
    expect(readSettings({}).serving).not.toHaveProperty('directDatabaseUrl');
  });

  it('limit keys and lead past a pooler as those of a gateway do', () => {
    const env = {
      DATABASE_URL: url,
      DIRECT_DATABASE_URL: direct,
      SERIN_KEY_REQUESTS_PER_MINUTE: '600',
      SERIN_KEY_TOKENS_PER_MINUTE: '90000',
      SERIN_KEY_CONCURRENT_REQUESTS: '20',
    };
    expect(readSettings(env).serving).toMatchObject({
      directDatabaseUrl: direct,
      keyLimits: { requestsPerMinute: 600, tokensPerMinute: 90_000, concurrentRequests: 20 },
    });
  });

  it.each([
    ['SERIN_KEY_REQUESTS_PER_MINUTE', { SERIN_KEY_REQUESTS_PER_MINUTE: '0' }],
    ['SERIN_KEY_TOKENS_PER_MINUTE', { SERIN_KEY_TOKENS_PER_MINUTE: 'many' }],
    ['SERIN_KEY_CONCURRENT_REQUESTS', { SERIN_KEY_CONCURRENT_REQUESTS: '2.5' }],
    // It would listen to one database and read another.
    ['DIRECT_DATABASE_URL', { DIRECT_DATABASE_URL: direct }],
  ])('name %s when it is wrong', (name, env) => {
    expect(() => readSettings(env)).toThrow(name);
  });
});
