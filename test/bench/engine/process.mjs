// The main process's side of a participant: starts it, asks it one thing at a time, ends it.
import { fork } from 'node:child_process';
import { join } from 'node:path';

const askLimitMs = 300_000;
const endLimitMs = 5_000;

export class Participant {
  constructor(script) {
    this.child = fork(join(import.meta.dirname, script), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    this.waiting = null;
    this.child.on('message', ({ value, error }) => (error ? this.waiting?.failed(new Error(error)) : this.waiting?.done(value)));
    this.ended = new Promise((done) => this.child.on('exit', done));
    this.child.on('exit', (code, signal) => this.waiting?.failed(new Error(`${script} ended with ${signal ?? code}`)));
    this.child.on('error', (error) => this.waiting?.failed(error));
  }

  async ask(name, content) {
    const answer = new Promise((done, failed) => {
      this.waiting = { done, failed };
    });
    const timer = setTimeout(() => this.waiting?.failed(new Error(`no answer to ${name} within ${askLimitMs / 1_000} s`)), askLimitMs);
    this.child.send({ do: name, ...content });
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.waiting = null;
    }
  }

  /** Asks it to end, and does not rely on it. */
  async end() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.send({ do: 'close' });
    const timer = setTimeout(() => this.child.kill('SIGKILL'), endLimitMs);
    await this.ended;
    clearTimeout(timer);
  }
}
