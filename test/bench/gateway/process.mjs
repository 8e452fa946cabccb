// Processes of a run: started on the cores that are theirs, asked by messages, ended by their own handle and no other.
import { fork, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

const askLimitMs = 240_000;
const endLimitMs = 20_000;
const many = availableParallelism() > 1 && spawnSync('taskset', ['-V']).status === 0;

/** Where a process runs. With one core, or without taskset, everywhere. */
export const cores = {
  /** The proxy under measurement has the first core to itself. */
  proxy: many ? '0' : null,
  /** Clients and upstreams share the others. */
  rest: many ? `1-${availableParallelism() - 1}` : null,
};

/** Binds a process and all its threads; false where that cannot be done. */
export function bind(pid, where) {
  return where !== null && spawnSync('taskset', ['-a', '-c', '-p', where, String(pid)], { stdio: 'ignore' }).status === 0;
}

export class Child {
  /** `script` is an absolute path. Its output is shown only when it ends badly. */
  constructor(script, { where = null, env = {}, execArgv = [], args = [], name = script.split('/').at(-1), quiet = false } = {}) {
    this.name = name;
    this.said = '';
    this.asked = new Map();
    this.lastId = 0;
    this.ending = false;
    this.child = fork(script, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: { ...process.env, ...env }, execArgv });
    if (where !== null) bind(this.child.pid, where);
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (text) => {
        this.said = (this.said + text).slice(-20_000);
      });
    }
    this.child.on('message', ({ id, value, error }) => {
      const waiting = this.asked.get(id);
      this.asked.delete(id);
      if (error) waiting?.failed(new Error(`${name}: ${error}`));
      else waiting?.done(value);
    });
    this.ended = new Promise((done) => this.child.on('exit', (code, signal) => done(signal ?? code)));
    this.ended.then((how) => {
      if (!this.ending && !quiet) console.error(`${name} ended with ${how}\n${this.said.slice(-2_000)}`);
      for (const { failed } of this.asked.values()) failed(new Error(`${name} ended with ${how}`));
      this.asked.clear();
    });
    this.child.on('error', () => undefined);
  }

  get pid() {
    return this.child.pid;
  }

  get running() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async ask(what, content = {}) {
    const id = ++this.lastId;
    const answer = new Promise((done, failed) => this.asked.set(id, { done, failed }));
    const timer = setTimeout(
      () => this.asked.get(id)?.failed(new Error(`${this.name} did not ${what} in ${askLimitMs / 1_000} s`)),
      askLimitMs,
    );
    this.child.send({ id, what, content });
    try {
      return await answer;
    } finally {
      clearTimeout(timer);
      this.asked.delete(id);
    }
  }

  /** Asks it to end by `signal`, and does not rely on it. */
  async end(signal = 'SIGTERM') {
    this.ending = true;
    if (!this.running) return;
    this.child.kill(signal);
    const timer = setTimeout(() => this.child.kill('SIGKILL'), endLimitMs);
    await this.ended;
    clearTimeout(timer);
  }
}

/** The child's side: answers messages by the function of that name, and ends with its parent. */
export function answerTo(acts) {
  process.on('message', ({ id, what, content }) => {
    Promise.resolve()
      .then(async () => await acts[what](content))
      .then(
        (value) => process.send?.({ id, value }),
        (error) => process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
      );
  });
  process.on('disconnect', () => process.exit(0));
  process.on('SIGTERM', () => process.exit(0));
}
