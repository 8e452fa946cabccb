import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressPolicy, isNetwork } from './address-policy.js';

const strict = new AddressPolicy([]);
const passes = (policy: AddressPolicy, address: string, port = 443) => policy.check(address, port).ok;

describe('without allowed networks', () => {
  it.each([
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '169.254.169.254',
    '169.254.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.192',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.7',
    '224.0.0.1',
    '239.255.255.255',
    '240.0.0.1',
    '255.255.255.255',
    '168.63.129.16',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:10.0.0.1',
    '::ffff:93.184.216.34',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::a9fe:a9fe',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:20::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fe80::1%eth0',
    'fec0::1',
    'ff02::1',
    'localhost',
    '',
    '127.1',
    '0x7f000001',
    '2130706433',
  ])('refuses %s', (address) => {
    expect(strict.check(address, 443)).toMatchObject({ ok: false, fault: { code: 'url.not-public', field: 'url' } });
  });

  it.each(['93.184.216.34', '8.8.8.8', '172.32.0.1', '100.128.0.1', '11.0.0.1', '2606:4700:4700::1111', '2a00:1450:4001:80b::200e'])(
    'lets %s pass',
    (address) => {
      expect(strict.check(address, 443)).toEqual({ ok: true, value: address });
    },
  );

  it('refuses every address of the networks that are not public, in any IPv6 dress', () => {
    const tail = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255)).map((parts) => parts.join('.'));
    fc.assert(
      fc.property(fc.constantFrom('0', '10', '127', '224', '239', '240', '255'), tail, (head, rest) => {
        const address = `${head}.${rest}`;
        expect([address, `::ffff:${address}`, `::${address}`, `64:ff9b::${address}`].filter((one) => passes(strict, one))).toEqual([]);
      }),
    );
  });

  it('refuses ports of other services', () => {
    expect(passes(strict, '93.184.216.34', 80)).toBe(true);
    expect(passes(strict, '93.184.216.34', 8443)).toBe(true);
    for (const port of [1, 22, 25, 110, 143, 445, 587]) expect(passes(strict, '93.184.216.34', port)).toBe(false);
  });
});

describe('with allowed networks', () => {
  const policy = new AddressPolicy(['127.0.0.0/8', '10.1.0.0/16', 'fd12::/16', '192.168.7.7']);
  it('lets exactly these pass, on any port', () => {
    for (const address of ['127.0.0.1', '::ffff:127.0.0.1', '10.1.2.3', 'fd12::9', '192.168.7.7'])
      expect(passes(policy, address, 22)).toBe(true);
    for (const address of ['10.2.0.1', 'fd13::9', '192.168.7.8', '::1', '64:ff9b::10.1.2.3']) expect(passes(policy, address)).toBe(false);
  });

  it('never lets a metadata service pass', () => {
    const open = new AddressPolicy(['0.0.0.0/0', '::/0']);
    expect(passes(open, '10.9.9.9')).toBe(true);
    for (const address of ['169.254.169.254', '::ffff:169.254.169.254', '64:ff9b::169.254.169.254', 'fd00:ec2::254', '100.100.100.200']) {
      expect(passes(open, address)).toBe(false);
    }
  });

  it.each(['10.0.0.0/33', 'fd00::/129', '10.0.0/8', 'localhost', '10.0.0.0/8/8', '10.0.0.0/', '10.0.0.0/-1', 'fe80::1%eth0/64', ''])(
    'cannot be made with %j',
    (cidr) => {
      expect(isNetwork(cidr)).toBe(false);
      expect(() => new AddressPolicy([cidr])).toThrow(TypeError);
    },
  );
});
