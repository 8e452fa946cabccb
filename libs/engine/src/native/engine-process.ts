// One run of an engine child: started, spoken to, watched, ended. Knows nothing of restarts.
import { type ChildProcess, fork } from 'node:child_process';
import { writeFile } from 'node:fs';
import { compiledFile } from '../compiled-file.js';
import type { FromChild, ToChild } from './protocol.js';

const heapLimitMb = 1_024;
const keptStderrBytes = 4_096;

/** How a child ended, with its last words on stderr. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lastWords: string;
}

export class EngineProcess {
  private readonly child: ChildProcess;
  private stderr = '';
  readonly exited: Promise<Exit>;

  constructor(onMessage: (message: FromChild) => void) {
    this.child = fork(compiledFile(import.meta.url, './child.js'), [String(process.pid)], {
      serialization: 'json',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      execArgv: [`--max-old-space-size=${heapLimitMb}`],
      // Nothing of the gateway's environment (keys, database) is an engine's business.
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: process.env['HOME'] ?? '',
        LD_LIBRARY_PATH: process.env['LD_LIBRARY_PATH'] ?? '',
        NODE_LLAMA_CPP_SKIP_DOWNLOAD: 'true',
      },
    });
    this.child.on('message', (message) => onMessage(message as FromChild));
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.stderr = (this.stderr + chunk.toString('utf8')).slice(-keptStderrBytes);
    });
    // A write to a child that just died is told by 'exit'; unheard it would end the gateway.
    this.child.on('error', () => undefined);
    this.exited = new Promise((done) => {
      this.child.once('exit', (code, signal) => done({ code, signal, lastWords: clean(this.stderr) }));
      this.child.once('error', (error) => {
        if (this.child.pid === undefined) done({ code: null, signal: null, lastWords: error.message });
      });
    });
    // When memory runs out the kernel should take an engine, which restarts, and not the gateway or the database.
    if (process.platform === 'linux' && this.child.pid !== undefined)
      writeFile(`/proc/${this.child.pid}/oom_score_adj`, '500', () => undefined);
  }

  get pid(): number | null {
    return this.child.pid ?? null;
  }

  send(message: ToChild): void {
    if (this.child.connected) this.child.send(message, () => undefined);
  }

  kill(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }
}

function clean(text: string): string {
  const lines = text
    .replaceAll(/[^\P{Cc}\n]/gu, ' ')
    .trim()
    .split('\n');
  return lines.slice(-3).join(' | ').slice(-500);
}

/** "signal SIGABRT" or "exit code 134", with what the child said last. */
export function describeExit(exit: Exit): string {
  const how = exit.signal ? `signal ${exit.signal}` : exit.code === null ? 'it could not be started' : `exit code ${exit.code}`;
  return exit.lastWords ? `${how}: ${exit.lastWords}` : how;
}
