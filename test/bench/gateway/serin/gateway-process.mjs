// The real gateway as the real process, alone: no controller beside it, its own data folder, found by /readyz.
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../clock.mjs';
import { freePort } from '../peers/portkey.mjs';
import { Child } from '../process.mjs';

const script = fileURLToPath(new URL('../../../../dist/apps/gateway/src/main.js', import.meta.url));
/** Ends it in order when the bench that started it is gone, however that went. */
export const orphanWatch = ['--import', new URL('../../../../dist/apps/standalone/src/orphan-watch.js', import.meta.url).href];
const readyLimitMs = 90_000;
const startedAtOnce = 2;

export class GatewayProcess {
  /** `profile`: writes a CPU profile into `<stage>/<name>` when it ends. */
  constructor(stage, { name = 'gateway', where = null, env = {}, execArgv = [], profile = false } = {}) {
    Object.assign(this, { stage, name, where, env, execArgv, profile, dataDir: join(stage.dir, name), child: null, port: null });
    stage.closers.push(async () => await this.end());
  }

  get pid() {
    return this.child.pid;
  }

  async start() {
    await mkdir(this.dataDir, { recursive: true });
    this.port ??= await freePort();
    this.child = new Child(script, {
      name: this.name,
      where: this.where,
      execArgv: [
        ...orphanWatch,
        ...this.execArgv,
        ...(this.profile ? ['--cpu-prof', `--cpu-prof-dir=${this.dataDir}`, '--cpu-prof-interval=500'] : []),
      ],
      env: {
        DATABASE_URL: this.stage.postgres.url,
        SERIN_GATEWAY_PORT: String(this.port),
        SERIN_GATEWAY_ID: this.name,
        SERIN_DATA_DIR: this.dataDir,
        SERIN_LOG_LEVEL: 'error',
        NODE_ENV: 'production',
        ...this.env,
      },
    });
    return this;
  }

  /** What it says of itself; null while it does not answer. */
  async readyz() {
    try {
      const response = await fetch(`http://127.0.0.1:${this.port}/readyz?verbose`, { signal: AbortSignal.timeout(5_000) });
      return (await response.json()).checks ?? null;
    } catch {
      return null;
    }
  }

  /** Until it routes by this generation (or a newer one) and all its engines are ready. */
  async ready(generation = 1) {
    await until(
      async () => {
        if (!this.child.running) throw new Error(`${this.name} ended: ${this.child.said.slice(-2_000)}`);
        const checks = await this.readyz();
        if (checks === null || (checks.routingTable?.generation ?? 0) < generation) return false;
        return Object.values(checks.engines).every(({ state }) => state === 'ready');
      },
      `${this.name} to serve generation ${generation}`,
      readyLimitMs,
    );
    return this;
  }

  async end(signal = 'SIGTERM') {
    await this.child?.end(signal);
  }

  /** The profile, once it has ended. */
  async readProfile() {
    const file = (await readdir(this.dataDir)).find((name) => name.endsWith('.cpuprofile'));
    return file === undefined ? null : JSON.parse(await readFile(join(this.dataDir, file), 'utf8'));
  }
}

/** Many of them, all serving this generation. */
export async function startGateways(stage, count, generation) {
  const all = Array.from({ length: count }, (_, at) => new GatewayProcess(stage, { name: `gateway-${at}` }));
  // Ten processes that compile themselves at once would take a small machine down for their probes.
  for (let at = 0; at < all.length; at += startedAtOnce) {
    await Promise.all(all.slice(at, at + startedAtOnce).map(async (one) => await (await one.start()).ready(generation)));
  }
  return all;
}
