// Everything that a gateway needs around it: a Postgres of its own, the schema, keys and a folder that is removed again.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiKeyStore, openDatabase, startEmbeddedPostgres } from '#libs/storage';
import { createLog } from '#libs/telemetry';

export class Stage {
  static async open() {
    const stage = new Stage();
    stage.dir = await mkdtemp(join(tmpdir(), 'serin-bench-'));
    stage.closers = [];
    // An interrupted run must not leave a Postgres behind.
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => void stage.close().finally(() => process.exit(130)));
    await stage.startPostgres();
    stage.database = await stage.connect();
    await stage.database.migrate();
    const { key } = await new ApiKeyStore().create(stage.database.manager, {
      name: 'bench',
      scopes: ['inference:invoke', 'inference:pin'],
    });
    stage.key = key;
    return stage;
  }

  async connect() {
    return await openDatabase({ url: this.postgres.url, applicationName: 'serin-bench', poolSize: 3, onConnectionError: () => undefined });
  }

  /** Again after `stopPostgres`: the same folder, the same address. */
  async startPostgres() {
    // Not on the proxy's core, if it has one: children inherit the binding of whoever starts them.
    const started = await startEmbeddedPostgres({ dataDir: join(this.dir, 'pg'), log: createLog('bench-postgres', 'fatal') });
    if (!started.ok) throw new Error(`${started.fault.message} ${started.fault.remedy ?? ''}`);
    this.postgres = started.value;
  }

  async close() {
    for (const closer of this.closers.splice(0).reverse()) await closer().catch((error) => console.error(error));
    await this.database?.close().catch(() => undefined);
    await this.postgres?.stop();
    await rm(this.dir, { recursive: true, force: true });
  }
}
