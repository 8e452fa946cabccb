// Keeps the demo's processes alive: each app runs on its own, so that killing one shows that the others do not care.
import { type ChildProcess, fork } from 'node:child_process';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '#libs/base';

export type AppName = 'gateway' | 'controller' | 'evaluator';

export interface ProcessOptions {
  readonly app: AppName;
  readonly env: Readonly<Record<string, string>>;
  readonly logDir: string;
  readonly clock: Clock;
  /** Told of every death that nobody asked for. */
  readonly onRestart: (app: AppName, how: string) => void;
}

const restartDelayMs = 300;
const stopDeadlineMs = 15_000;

/** One app in a child process, restarted whenever it dies unasked. Its output goes to `<logDir>/<app>.log`. */
export class SupervisedProcess {
  private child: ChildProcess | null = null;
  private stopping = false;

  constructor(private readonly options: ProcessOptions) {}

  get pid(): number | null {
    return this.child?.pid ?? null;
  }

  start(): void {
    const { app, env, logDir } = this.options;
    const child = fork(new URL(`../../../${app}/src/main.js`, import.meta.url), [], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      execArgv: ['--enable-source-maps', '--import', new URL('../orphan-watch.js', import.meta.url).href],
    });
    this.child = child;
    const log = join(logDir, `${app}.log`);
    // Appends are queued one after the other, so lines stay whole; a full disk must not stop the demo.
    let writing = Promise.resolve();
    const keep = (chunk: Buffer) => {
      writing = writing.then(() => appendFile(log, chunk)).catch(() => undefined);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    child.once('exit', (code, signal) => {
      if (this.child === child) this.child = null;
      if (this.stopping) return;
      this.options.onRestart(app, signal ?? `exit code ${code}`);
      void this.options.clock.sleep(restartDelayMs).then(() => {
        if (!this.stopping) this.start();
      });
    });
  }

  /** Asks the child to finish; kills it when it has not after 15 s. */
  async stop(): Promise<void> {
    this.stopping = true;
    const child = this.child;
    if (!child) return;
    const gone = new Promise<void>((done) => child.once('exit', () => done()));
    child.kill('SIGTERM');
    const patience = new AbortController();
    const late = this.options.clock.sleep(stopDeadlineMs, patience.signal).then(
      () => child.kill('SIGKILL'),
      () => undefined,
    );
    await gone;
    patience.abort();
    await late;
  }
}
