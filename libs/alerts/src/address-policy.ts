// Where a URL that a user gave may lead: public addresses, and private networks that the operator named. Everything else is refused.
import { BlockList, isIP } from 'node:net';
import { fail, type Outcome, ok } from '#libs/base';

/** IANA special-purpose registries, IPv4. */
const notPublicV4 = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
];
/** Only 2000::/3 is global unicast: mapped, NAT64, unique-local, link-local, site-local and multicast forms all lie outside it. */
const globalV6 = ['2000::/3'];
/** Inside 2000::/3 but not public: protocol assignments with Teredo, documentation, 6to4. */
const notPublicV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'];
/** Cloud metadata services hand out credentials: refused even inside a network that the operator allowed. */
const metadata = ['169.254.169.254', '169.254.170.2', '169.254.170.23', '100.100.100.200', '168.63.129.16', '192.0.0.192'];
const metadataV6 = ['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254'];

const lowestOpenPort = 1024;
const webPorts = new Set([80, 443]);

interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** `10.0.0.0/8`, `fd00::/8` or a single address; null for anything else. */
function networkOf(cidr: string): Network | null {
  const [address = '', bits, ...rest] = cidr.split('/');
  const version = isIP(address);
  const size = version === 4 ? 32 : 128;
  const length = bits === undefined ? size : /^\d{1,3}$/.test(bits) ? Number(bits) : -1;
  if (version === 0 || rest.length > 0 || length < 0 || length > size || address.includes('%')) return null;
  return { address, bits: length, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** True for what `AddressPolicy` takes as a network. */
export function isNetwork(cidr: string): boolean {
  return networkOf(cidr) !== null;
}

function listOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const network = networkOf(cidr);
    if (!network) throw new TypeError(`${JSON.stringify(cidr)} is not a network such as 10.0.0.0/8 or fd00::/8`);
    list.addSubnet(network.address, network.bits, network.family);
  }
  return list;
}

/** An IPv4 address as the last 32 bits of the well-known NAT64 prefix. */
function nat64(address: string): string {
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  return `64:ff9b::${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
}

const refusedV4 = listOf(notPublicV4);
const reachedV6 = listOf(globalV6);
const refusedV6 = listOf(notPublicV6);
const never = listOf([...metadata, ...metadata.map(nat64), ...metadataV6]);

export class AddressPolicy {
  private readonly allowed: BlockList;

  /** `allowCidrs`: networks that may be reached although they are not public. Throws TypeError naming the one that is none. */
  constructor(allowCidrs: readonly string[]) {
    this.allowed = listOf(allowCidrs);
  }

  /** Judges one resolved address and port. Fault: `url.not-public`. */
  check(address: string, port: number): Outcome<string> {
    const version = isIP(address);
    // A zone (fe80::1%eth0) only makes sense for addresses that are refused anyway.
    if (version === 0 || address.includes('%')) return refuse(`"${address}" is not an address`);
    const family = version === 4 ? 'ipv4' : 'ipv6';
    if (never.check(address, family)) return refuse(`${address} belongs to a cloud metadata service`);
    if (this.allowed.check(address, family)) return ok(address);
    const isPublic =
      version === 4 ? !refusedV4.check(address, family) : reachedV6.check(address, family) && !refusedV6.check(address, family);
    if (!isPublic) return refuse(`${address} is not a public address`);
    if (port < lowestOpenPort && !webPorts.has(port)) return refuse(`port ${port} is not one for web servers`);
    return ok(address);
  }
}

function refuse(why: string): Outcome<never> {
  return fail({
    code: 'url.not-public',
    message: `The URL leads where webhooks may not go: ${why}.`,
    field: 'url',
    remedy: 'Name a public https:// address, or let the operator add the network to SERIN_WEBHOOK_ALLOW_CIDRS.',
  });
}
