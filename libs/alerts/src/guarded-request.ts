// One HTTP request to a URL that a user gave: resolved once, every address checked, connected to a checked address, no redirect followed.
import { promises as dns, type LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { Agent, type Dispatcher, request } from 'undici';
import { fail, type Outcome, ok } from '#libs/base';
import type { AddressPolicy } from './address-policy.js';

const lookupLimitMs = 5_000;
const connectLimitMs = 5_000;
const totalLimitMs = 15_000;
const maxHeaderBytes = 16_384;
const longestUrl = 2_048;

/** Resolves a host name to all its addresses. */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

const systemResolve: Resolve = async (host) => await dns.lookup(host, { all: true, verbatim: true });

export interface CheckedTarget {
  readonly url: URL;
  /** All allowed. */
  readonly addresses: readonly LookupAddress[];
}

/** Reads and resolves a URL. Faults: `url.invalid`, `url.unresolvable` (retryable), `url.not-public` (one bad address is enough). */
export async function checkTarget(url: string, policy: AddressPolicy, resolve: Resolve = systemResolve): Promise<Outcome<CheckedTarget>> {
  const parsed = URL.canParse(url) && url.length <= longestUrl ? new URL(url) : null;
  if (!parsed || (parsed.protocol !== 'http:' && parsed.protocol !== 'https:')) return invalid('It must begin with https:// or http://.');
  if (parsed.username || parsed.password) return invalid('It must not hold a user name or a password.');
  // The URL parser has turned 0x7f.1, 2130706433, 0177.0.0.1 and the like into plain addresses by now.
  const host = parsed.hostname.replace(/^\[(.*)\]$/, '$1');
  // RFC 6761: localhost is loopback by definition; what a resolver says about it does not matter.
  const literal = isIP(host) ? host : /(^|\.)localhost\.?$/i.test(host) ? '127.0.0.1' : null;
  let addresses: readonly LookupAddress[];
  try {
    addresses = literal ? [{ address: literal, family: isIP(literal) }] : await within(resolve(host), lookupLimitMs);
  } catch (error) {
    return unresolvable(host, codeOf(error));
  }
  if (addresses.length === 0) return unresolvable(host, 'no address');
  const port = Number(parsed.port || (parsed.protocol === 'https:' ? 443 : 80));
  for (const { address } of addresses) {
    const checked = policy.check(address, port);
    if (!checked.ok) return checked;
  }
  return ok({ url: parsed, addresses });
}

export interface GuardedRequest {
  readonly url: string;
  readonly policy: AddressPolicy;
  readonly method: 'POST' | 'GET';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Milliseconds for everything, default 15 s. */
  readonly limitMs?: number;
  readonly signal?: AbortSignal;
  readonly resolve?: Resolve;
}

/** Head of an answer. `close` must be called; until then the connection stays open and the body unread. */
export interface GuardedResponse {
  readonly status: number;
  header(name: string): string | undefined;
  /** At most `maxBytes` of the body; the rest is never read. */
  text(maxBytes: number): Promise<string>;
  close(): Promise<void>;
}

/** Resolves when the head of the answer is there, whatever its status. Faults: those of `checkTarget`, `send.timed-out` and `send.failed` (both retryable). */
export async function guardedRequest(options: GuardedRequest): Promise<Outcome<GuardedResponse>> {
  const { policy, method, headers, body, limitMs = totalLimitMs } = options;
  const deadline = AbortSignal.timeout(limitMs);
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  const target = await checkTarget(options.url, policy, options.resolve);
  if (!target.ok) return target;
  const { url, addresses } = target.value;
  // An agent of its own for each request: a pooled connection would have been made by an older resolution.
  const agent = new Agent({
    connections: 1,
    pipelining: 1,
    headersTimeout: limitMs,
    bodyTimeout: limitMs,
    maxHeaderSize: maxHeaderBytes,
    allowH2: false,
    connect: {
      timeout: Math.min(connectLimitMs, limitMs),
      // Whoever asks for the name gets the addresses that were checked, so DNS cannot change its mind in between.
      lookup: (_host, { all }, done) => {
        const [first] = addresses;
        if (all) done(null, [...addresses]);
        else done(null, first?.address ?? '', first?.family);
      },
    },
  });
  try {
    const response = await request(url, {
      dispatcher: agent,
      method,
      // A compressed answer could unfold without end.
      headers: { ...headers, 'accept-encoding': 'identity', 'user-agent': 'Serin/0.1' },
      body: body ?? null,
      signal,
    });
    return ok(responseOf(response, agent));
  } catch (error) {
    await agent.destroy();
    if (deadline.aborted || /TIMEOUT/.test(codeOf(error))) {
      return fail({ code: 'send.timed-out', message: `No answer within ${limitMs / 1000} s.`, retryable: true });
    }
    return fail({ code: 'send.failed', message: `The connection failed (${codeOf(error)}).`, retryable: true });
  }
}

function responseOf(response: Dispatcher.ResponseData, agent: Agent): GuardedResponse {
  // A body that breaks off after its head is no business of ours; unheard, the error would end the process.
  response.body.on('error', () => undefined);
  return {
    status: response.statusCode,
    header: (name) => {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    text: async (maxBytes) => {
      const chunks: Buffer[] = [];
      let size = 0;
      for await (const chunk of response.body as AsyncIterable<Buffer>) {
        chunks.push(chunk.subarray(0, maxBytes - size));
        size += chunk.length;
        if (size >= maxBytes) break;
      }
      return Buffer.concat(chunks).toString('utf8');
    },
    close: async () => {
      await agent.destroy();
    },
  };
}

async function within<T>(work: Promise<T>, limitMs: number): Promise<T> {
  const limit = AbortSignal.timeout(limitMs);
  return await Promise.race([
    work,
    new Promise<never>((_done, reject) => {
      limit.addEventListener('abort', () => reject(new Error('the resolver did not answer')), { once: true });
    }),
  ]);
}

/** The stable code of a system or undici error; its message may quote addresses and is kept out. */
function codeOf(error: unknown): string {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return typeof code === 'string' ? code : typeof name === 'string' ? name : 'unknown error';
}

function invalid(why: string): Outcome<never> {
  return fail({
    code: 'url.invalid',
    message: `The URL cannot be used. ${why}`,
    field: 'url',
    remedy: 'Send a full URL such as https://example.com/hooks.',
  });
}

function unresolvable(host: string, why: string): Outcome<never> {
  return fail({
    code: 'url.unresolvable',
    message: `The host "${host}" cannot be resolved (${why}).`,
    retryable: true,
    field: 'url',
    remedy: 'Check the name, and that this machine’s DNS knows it.',
  });
}
