// A gateway on a test database: versions and routes are put into the table directly, engines are real or fake as the spec asks.
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EngineFactory, GatewayOptions, RunningGateway } from '#apps/gateway';
import { startGateway } from '#apps/gateway';
import { ok } from '#libs/base';
import type { Scope } from '#libs/contract';
import { type FakeBehaviour, FakeEngine } from '#libs/engine';
import type { RoutingTable, ServedVersion } from '#libs/rollout';
import { ApiKeyStore } from '#libs/storage';
import { createLog } from '#libs/telemetry';
import type { TestDatabase } from './postgres.js';

export const demoModels = new URL('../../demo/models', import.meta.url).pathname;

export interface TestGateway extends RunningGateway {
  readonly dataDir: string;
  remove(): Promise<void>;
}

/** A version of the fake kind; `label` chooses its behaviour in `fakeFactory`. */
export function aVersion(
  label: string,
  spec: unknown = { engine: { kind: 'llama', file: `${label}.gguf` } },
  model = 'support',
): ServedVersion {
  return { id: randomUUID(), model, label, digest: '0'.repeat(64), spec };
}

/** Engines by version label; versions without one answer "Hello there". */
export function fakeFactory(engines: Record<string, FakeEngine | FakeBehaviour> = {}): EngineFactory {
  return async (_spec, version) => {
    const given = engines[version.label];
    return ok(given instanceof FakeEngine ? given : new FakeEngine(given ?? {}));
  };
}

/** Replaces the routing table and tells the gateways; returns the new generation. */
export async function publish(
  test: TestDatabase,
  body: Pick<RoutingTable, 'routes'> & { versions: readonly ServedVersion[] },
): Promise<number> {
  const versions = Object.fromEntries(body.versions.map((version) => [version.id, version]));
  return await test.database.transaction(async (tx) => {
    const [row] = await tx.query<{ generation: string }[]>(
      'with changed as (update routing_table set generation = generation + 1, body = $1 returning generation) select generation from changed',
      [JSON.stringify({ routes: body.routes, versions })],
    );
    await tx.query("select pg_notify('serin_routing', $1)", [row?.generation]);
    return Number(row?.generation);
  });
}

export async function aKey(test: TestDatabase, scopes: readonly Scope[] = ['inference:invoke', 'inference:pin']): Promise<string> {
  return (await new ApiKeyStore().create(test.database.manager, { name: 'test', scopes: [...scopes] })).key;
}

export async function aGateway(databaseUrl: string, options: Partial<GatewayOptions> = {}): Promise<TestGateway> {
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'serin-gateway-')));
  const gateway = await startGateway({
    databaseUrl,
    host: '127.0.0.1',
    port: 0,
    dataDir,
    modelRoots: [demoModels],
    gatewayId: 'test-gateway',
    log: createLog('test-gateway', 'silent'),
    ...options,
  });
  return {
    ...gateway,
    dataDir,
    remove: async () => {
      await gateway.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Polls until `look` is true; fails loudly after ten seconds. */
export async function until(look: () => boolean | Promise<boolean>, what: string, limitMs = 10_000): Promise<void> {
  const giveUpAt = Date.now() + limitMs;
  while (!(await look())) {
    if (Date.now() > giveUpAt) throw new Error(`waited in vain for: ${what}`);
    await new Promise((done) => setTimeout(done, 20));
  }
}

/** The verbose readiness of a gateway. */
export async function readyz(url: string): Promise<{
  status: number;
  checks: {
    database: boolean;
    hints: string;
    routingTable: { generation: number; ageS: number | null } | null;
    refusedTable: { generation: number; reason: string } | null;
    gateways: number | null;
    engines: Record<string, { state: string; reason: string | null; crashes: number; pid: number | null }>;
  };
}> {
  const response = await fetch(`${url}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
  return { ...((await response.json()) as object), status: response.status } as Awaited<ReturnType<typeof readyz>>;
}

/** Waits until the gateway serves by the generation with all its engines ready. */
export async function untilServing(url: string, generation: number): Promise<void> {
  await until(
    async () => {
      const { checks } = await readyz(url);
      return checks.routingTable?.generation === generation && Object.values(checks.engines).every((engine) => engine.state === 'ready');
    },
    `generation ${generation} with ready engines`,
    60_000,
  );
}
