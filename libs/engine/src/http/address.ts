// Upstream engines may live in private networks; the cloud's metadata service never is one. Checked for names as well, at the moment of connecting.
import { lookup as dnsLookup } from 'node:dns';
import { BlockList, isIP } from 'node:net';

const metadata = new BlockList();
metadata.addSubnet('169.254.0.0', 16, 'ipv4');
metadata.addAddress('100.100.100.200', 'ipv4');
metadata.addAddress('168.63.129.16', 'ipv4');
metadata.addAddress('192.0.0.192', 'ipv4');
metadata.addSubnet('fe80::', 10, 'ipv6');
metadata.addAddress('fd00:ec2::254', 'ipv6');
metadata.addAddress('fd00:ec2::23', 'ipv6');
metadata.addAddress('fd00:c1::a9fe:a9fe', 'ipv6');
metadata.addAddress('fd20:ce::254', 'ipv6');
// Detours to IPv4: translation, tunnels, and the compatible form that nobody else uses.
metadata.addSubnet('64:ff9b::', 96, 'ipv6');
metadata.addSubnet('64:ff9b:1::', 48, 'ipv6');
metadata.addSubnet('2002:a9fe::', 32, 'ipv6');
metadata.addSubnet('::a9fe:0', 112, 'ipv6');

/**
 * True for addresses that hand out machine credentials: link-local, known metadata services, IPv6 detours to them. Takes a literal with or
 * without brackets and zone. Other spellings of a number (decimal, hex, octal, a trailing dot) are made one by `new URL`.
 */
export function isMetadataAddress(address: string): boolean {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  const family = isIP(bare);
  return family !== 0 && metadata.check(bare, family === 6 ? 'ipv6' : 'ipv4');
}

type LookupCallback = (error: Error | null, address: string | { address: string; family: number }[], family?: number) => void;
type Resolver = (
  hostname: string,
  options: object,
  callback: (error: Error | null, addresses: { address: string; family: number }[]) => void,
) => void;

/** A DNS look-up that refuses metadata addresses. Literals bypass look-ups, so callers check the URL's host as well. */
export function guardedLookup(
  hostname: string,
  options: object,
  callback: LookupCallback,
  resolve: Resolver = dnsLookup as Resolver,
): void {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    if (addresses.some(({ address }) => isMetadataAddress(address)))
      return callback(new Error(`${hostname} resolves to a metadata address`), []);
    if ((options as { all?: boolean }).all) return callback(null, addresses);
    const first = addresses[0];
    if (!first) return callback(new Error(`${hostname} has no address`), []);
    return callback(null, first.address, first.family);
  });
}
