import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { guardedLookup, isMetadataAddress } from './address.js';
import { targetOf } from './target.js';

const hex = (a: number, b: number): string => ((a << 8) | b).toString(16);

describe('metadata addresses', () => {
  it.each([
    '169.254.169.254',
    '169.254.170.2',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
    'fd00:ec2::254',
    'fd20:ce::254',
    'fe80::1',
    'fe80::a9fe:a9fe%eth0',
    '[fe80::1]',
    '::ffff:169.254.169.254',
    '::ffff:a9fe:a9fe',
    '::169.254.169.254',
    '64:ff9b::169.254.169.254',
    '64:ff9b:1::a9fe:a9fe',
    '2002:a9fe:a9fe::1',
  ])('%s is one', (address) => {
    expect(isMetadataAddress(address)).toBe(true);
  });

  it.each([
    '127.0.0.1',
    '10.0.0.7',
    '192.168.1.1',
    '172.16.3.4',
    '93.184.216.34',
    '::1',
    'fd12::9',
    '2606:4700::1111',
    'vllm.internal',
    '',
  ])('%j is none', (address) => {
    expect(isMetadataAddress(address)).toBe(false);
  });

  it('hold all of the link-local network in every IPv6 dress', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (c, d) => {
        const dotted = `169.254.${c}.${d}`;
        const dressed = [dotted, `::ffff:${dotted}`, `::${dotted}`, `64:ff9b::${dotted}`, `2002:a9fe:${hex(c, d)}::1`];
        expect(dressed.filter((address) => !isMetadataAddress(address))).toEqual([]);
      }),
    );
  });
});

describe('a base URL', () => {
  it('is taken apart into origin, API and root', () => {
    expect(targetOf('http://10.0.0.7:8000/v1/')).toEqual({
      ok: true,
      value: { origin: 'http://10.0.0.7:8000', apiPath: '/v1/', rootPath: '/' },
    });
    expect(targetOf('https://api.example.com/openai/v1')).toMatchObject({ value: { apiPath: '/openai/v1/', rootPath: '/openai/' } });
    expect(targetOf('http://[fd12::9]:8000')).toMatchObject({ value: { origin: 'http://[fd12::9]:8000', apiPath: '/', rootPath: '/' } });
  });

  it.each([
    'http://169.254.169.254/v1',
    'http://169.254.169.254./v1',
    'http://2852039166/v1',
    'http://0xa9fea9fe/v1',
    'http://0xa9.0xfe.0xa9.0xfe/v1',
    'http://0251.0376.0251.0376/v1',
    'http://169.254.43518/v1',
    'http://[::ffff:169.254.169.254]/v1',
    'http://[64:ff9b::a9fe:a9fe]/v1',
    'http://[fe80::1]/v1',
  ])('is refused when it spells a metadata address: %s', (baseUrl) => {
    expect(targetOf(baseUrl)).toMatchObject({ ok: false, fault: { code: 'engine.load-failed', field: 'spec.engine.baseUrl' } });
  });

  it.each([
    'not a url',
    'http://[fe80::1%25eth0]/v1',
    'file:///etc/passwd',
    'ftp://host/v1',
    'http://user:hunter2@host/v1',
    'http://169.254.169.254@host/v1',
    'http://host/v1?key=1',
    'http://host/v1#x',
  ])('is refused with a remedy: %s', (baseUrl) => {
    const target = targetOf(baseUrl);
    expect(target).toMatchObject({ ok: false, fault: { field: 'spec.engine.baseUrl', remedy: expect.any(String) } });
    expect(JSON.stringify(target)).not.toContain('hunter2');
  });
});

describe('a look-up', () => {
  const resolving = (...addresses: string[]) => {
    const answers: unknown[] = [];
    guardedLookup(
      'name.example.',
      {},
      (error, address) => answers.push(error?.message ?? address),
      (_hostname, _options, callback) =>
        callback(
          null,
          addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
        ),
    );
    return answers;
  };

  it('passes an ordinary address on', () => {
    expect(resolving('10.0.0.7')).toEqual(['10.0.0.7']);
  });

  it('refuses a name that leads to a metadata address, also beside a good one', () => {
    for (const bad of ['169.254.169.254', 'fd00:ec2::254', 'fe80::1%eth0', '64:ff9b::a9fe:a9fe']) {
      expect(resolving('10.0.0.7', bad)).toEqual(['name.example. resolves to a metadata address']);
    }
  });

  it('refuses a name without an address', () => {
    expect(resolving()).toEqual(['name.example. has no address']);
  });
});
