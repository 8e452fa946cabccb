import { describe, expect, it } from 'vitest';
import { takeKeyFromAddress } from './session.js';

function at(address: string) {
  const url = new URL(address);
  const replaced: string[] = [];
  const key = takeKeyFromAddress(
    { hash: url.hash, pathname: url.pathname, search: url.search } as never,
    { replaceState: (_state: unknown, _title: string, to: string) => replaced.push(to) } as never,
  );
  return { key, replaced };
}

describe('a key in the address', () => {
  it('is taken out at once and the rest of the address stays', () => {
    expect(at('http://serin/rollouts/1?check=latency#key=sk-serin-abc_-9')).toEqual({
      key: 'sk-serin-abc_-9',
      replaced: ['/rollouts/1?check=latency'],
    });
  });

  it('is looked for nowhere else', () => {
    expect(at('http://serin/?key=sk-serin-abc')).toEqual({ key: null, replaced: [] });
    expect(at('http://serin/#main')).toEqual({ key: null, replaced: [] });
  });
});
