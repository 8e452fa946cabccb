// `serin key create`, `list` and `revoke`.
import type { z } from 'zod';
import { type ApiKeyResource, apiKeyResource, type createApiKey, createdApiKey, page, type Scope } from '#libs/contract';
import type { Client } from '../client.js';
import { CliError, type ExitCode, exitCodes } from '../exit-codes.js';
import type { Io } from '../io.js';
import { keyTable, plain } from '../text.js';

const dayMs = 86_400_000;
const pageSize = 200;

export interface CreateKeyOptions {
  readonly scope: Scope[];
  readonly requestsPerMinute?: number;
  readonly tokensPerMinute?: number;
  readonly concurrentRequests?: number;
  readonly days?: number;
  readonly json?: boolean;
}

/** The text of the key is the only line on standard output: `KEY=$(serin key create ci)` works. */
export async function createKey(client: Client, io: Io, name: string, options: CreateKeyOptions): Promise<ExitCode> {
  const { scope, requestsPerMinute, tokensPerMinute, concurrentRequests, days, json } = options;
  const limits = { requestsPerMinute, tokensPerMinute, concurrentRequests };
  const body: z.input<typeof createApiKey> = {
    name,
    scopes: scope,
    ...(Object.values(limits).some((limit) => limit !== undefined) ? { limits } : {}),
    ...(days === undefined ? {} : { expiresAt: io.clock.now() + days * dayMs }),
  };
  const made = await client.post('/api-keys', body, createdApiKey);
  // A lost answer was asked for again, and the text is answered once.
  if (made.key === null) {
    throw new CliError(
      exitCodes.unexpected,
      `The key ${made.id} was made, but the answer with its text was lost on the way.`,
      `Revoke it and make another: serin key revoke ${made.id}`,
    );
  }
  if (json) io.out(JSON.stringify(made));
  else {
    io.err(`Key "${plain(made.name)}" (${made.id}) may ${made.scopes.map(plain).join(', ')}${endOf(made)}. It is shown once:`);
    io.out(made.key);
  }
  return exitCodes.ok;
}

function endOf({ expiresAt }: ApiKeyResource): string {
  return expiresAt === null ? '' : `, until ${new Date(expiresAt).toISOString()}`;
}

export interface ListKeysOptions {
  readonly all?: boolean;
  readonly json?: boolean;
}

export async function listKeys(client: Client, io: Io, { all, json }: ListKeysOptions): Promise<ExitCode> {
  const items: ApiKeyResource[] = [];
  let cursor: string | null = null;
  do {
    const query = new URLSearchParams({ limit: String(pageSize), ...(cursor === null ? {} : { cursor }) });
    const answer: { items: ApiKeyResource[]; nextCursor: string | null } = await client.get(`/api-keys?${query}`, page(apiKeyResource));
    items.push(...answer.items.filter(({ state }) => all || state === 'active'));
    cursor = answer.nextCursor;
  } while (cursor !== null);
  if (json) io.out(JSON.stringify({ items }));
  else if (items.length === 0) io.out('No key. Make one: serin key create NAME');
  else for (const line of keyTable(items, io.clock.now())) io.out(line);
  return exitCodes.ok;
}

export async function revokeKey(client: Client, io: Io, id: string, { json }: { readonly json?: boolean }): Promise<ExitCode> {
  const revoked = await client.delete(`/api-keys/${encodeURIComponent(id)}`, apiKeyResource);
  if (json) io.out(JSON.stringify(revoked));
  else io.out(`Key "${plain(revoked.name)}" is revoked.`);
  if (revoked.self) io.err('That was the key you use: the next command needs another one.');
  return exitCodes.ok;
}
